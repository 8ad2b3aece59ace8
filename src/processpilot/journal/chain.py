"""Rows of the journal's table as events, and the walk along their chain that finds damage.

Owns how an event is spelled in a row and what makes the chain sound. Fetching rows is left to
`journal`.

A row is sound when `append` could have written it: every value spelled the one way it is spelled.
Its hash is then that of its own text, put together without building the event again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from processpilot.errors import IntegrityError, UsageError
from processpilot.journal.database import EVENTS
from processpilot.journal.event import (
    DEEPEST_NESTING,
    DOMAIN,
    FIRST_PREVIOUS_HASH,
    SPELLING,
    Event,
    at_text,
    canonical,
    digest,
)
from processpilot.journal.head import Head

# One row in the order of the table's columns; what was tampered with may hold any type.
Row = Sequence[Any]

_NAMES = tuple(column.name for column in EVENTS.columns)
_TYPES = tuple(column.type.python_type for column in EVENTS.columns)


class Chain:
    """The part of the chain checked so far, from its first event.

    Memory grows with the number of streams, not with that of events.
    """

    def __init__(self, path: Path, kept: Head | None = None) -> None:
        self.position, self.hash = 0, FIRST_PREVIOUS_HASH
        self._path = path
        self._kept = kept
        self._sequences: dict[str, int] = {}
        if kept is not None and kept.position == 0:
            self._compare(kept)

    @property
    def head(self) -> Head:
        """The end of what was checked."""
        return Head(self.position, self.hash)

    def check(self, row: Row) -> None:
        """Take `row` as the next event, or raise IntegrityError naming its position.

        Its position is above that of the row before.
        """
        expected = self.position + 1
        if row[0] != expected:
            position = min(expected, row[0])
            raise self._broken(position, f"expected event {expected}, found {row[0]}")
        found = _hash_as_spelled(row) or self._hash_of(row)
        _, stream, sequence, *_, previous_hash, hash_ = row
        if previous_hash != self.hash:
            raise self._broken(expected, f"it follows {previous_hash}, not {self.hash}")
        if hash_ != found:
            raise self._broken(expected, f"its hash is {hash_}, its content gives {found}")
        following = self._sequences.get(stream, 0) + 1
        if sequence != following:
            reason = f"it is number {sequence} of its stream, not {following}"
            raise self._broken(expected, reason)
        self._sequences[stream] = following
        self.position, self.hash = expected, found
        if self._kept is not None and self._kept.position == expected:
            self._compare(self._kept)

    def finish(self) -> None:
        """Raise IntegrityError if the chain ended before the head that was kept."""
        if self._kept is not None and self._kept.position > self.position:
            raise IntegrityError(
                f"journal {self._path} ends at position {self.position}, and the head kept "
                f"of it is at {self._kept.position}: what came after was cut off",
                hint=_hint(self._path),
            )

    def _hash_of(self, row: Row) -> str:
        event = event_of(row, self._path)
        try:
            return digest(event)
        except UsageError as error:
            raise self._broken(row[0], f"it cannot be hashed: {error}") from error

    def _compare(self, kept: Head) -> None:
        if kept.hash != self.hash:
            raise IntegrityError(
                f"journal {self._path} has another past than the head kept of it: event "
                f"{kept.position} has the hash {self.hash}, not {kept.hash}",
                hint=_hint(self._path),
            )

    def _broken(self, position: int, reason: str) -> IntegrityError:
        return _broken(self._path, position, reason)


def columns_of(event: Event) -> dict[str, int | str]:
    """Return the row that stores `event`, by column name, in the order of the table."""
    return {
        "position": event.position,
        "stream": event.stream,
        "sequence": event.sequence,
        "at": at_text(event.at),
        "kind": event.kind,
        "data": canonical(event.data).decode(),
        "epoch": event.epoch,
        "previous_hash": event.previous_hash,
        "hash": event.hash,
    }


def event_of(row: Row, path: Path) -> Event:
    """Return the event in `row`, or raise IntegrityError if `append` cannot have written it."""
    for name, kind, stored in zip(_NAMES, _TYPES, row, strict=True):
        if type(stored) is not kind:
            raise _broken(path, row[0], f"its {name} is {stored!r}")
    position, stream, sequence, at, kind, data, epoch, previous_hash, hash_ = row
    try:
        event = Event(
            position=position,
            stream=stream,
            sequence=sequence,
            at=datetime.fromisoformat(at).astimezone(UTC),
            kind=kind,
            data=json.loads(data),
            epoch=epoch,
            previous_hash=previous_hash,
            hash=hash_,
        )
        respelled = columns_of(event)
    except (ValueError, OverflowError, RecursionError, UsageError) as error:
        raise _broken(path, position, f"it cannot be read: {error}") from error
    for name, stored, value in zip(_NAMES, row, respelled.values(), strict=True):
        if stored != value:
            raise _broken(path, position, f"its {name} is not spelled {value!r}")
    return event


def _hash_as_spelled(row: Row) -> str | None:
    """Return what `digest` gives for a row spelled as `append` spells it, None for any other.

    The event's canonical JSON is its columns in the order of their names, of which `data` is
    canonical JSON already and the rest are strings and integers.
    """
    if tuple(map(type, row)) != _TYPES:
        return None
    position, stream, sequence, at, kind, data, epoch, previous_hash, _ = row
    try:
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is not UTC or moment.isoformat(timespec="microseconds") != at:
            return None
        # Counting brackets bounds the nesting without a walk through the values.
        if data.count("[") + data.count("{") > DEEPEST_NESTING or data[:1] != "{":
            return None
        if SPELLING.encode(json.loads(data)) != data:
            return None
        text = (
            f'{{"at":"{at}","data":{data},"epoch":{epoch},"kind":{SPELLING.encode(kind)},'
            f'"position":{position},"previous_hash":{SPELLING.encode(previous_hash)},'
            f'"sequence":{sequence},"stream":{SPELLING.encode(stream)}}}'
        )
        return hashlib.sha256(DOMAIN + text.encode()).hexdigest()
    except (ValueError, OverflowError, RecursionError):
        return None


def _broken(path: Path, position: int, reason: str) -> IntegrityError:
    return IntegrityError(
        f"journal {path} is broken at position {position}: {reason}", hint=_hint(path)
    )


def _hint(path: Path) -> str:
    return f"Keep {path} as it is for inquiry, and compare it with a copy from before."
