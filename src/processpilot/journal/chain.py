"""Rows of the journal's table as events, and the walk along their chain that finds damage.

Owns how an event is spelled in a row and what makes the chain sound. Fetching rows is left to
`journal`.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from processpilot.errors import IntegrityError, UsageError
from processpilot.journal.database import EVENTS
from processpilot.journal.event import FIRST_PREVIOUS_HASH, Event, at_text, canonical, digest

Row = sa.Row[tuple[object, ...]]


class Chain:
    """The part of the chain checked so far, from its first event."""

    def __init__(self, path: Path) -> None:
        self.position = 0
        self._path = path
        self._hash = FIRST_PREVIOUS_HASH
        self._sequences: dict[str, int] = {}

    def check(self, row: Row) -> None:
        """Take `row` as the next event, or raise IntegrityError naming its position.

        `row.position` is above that of the row before.
        """
        expected = self.position + 1
        if row.position != expected:
            position = min(expected, row.position)
            raise self._broken(position, f"expected event {expected}, found {row.position}")
        event = event_of(row, self._path)
        if event.previous_hash != self._hash:
            raise self._broken(expected, f"it follows {event.previous_hash}, not {self._hash}")
        try:
            found = digest(event)
        except UsageError as error:
            raise self._broken(expected, f"it cannot be hashed: {error}") from error
        if event.hash != found:
            raise self._broken(expected, f"its hash is {event.hash}, its content gives {found}")
        sequence = self._sequences.get(event.stream, 0) + 1
        if event.sequence != sequence:
            reason = f"it is number {event.sequence} of its stream, not {sequence}"
            raise self._broken(expected, reason)
        self.position, self._hash = expected, event.hash
        self._sequences[event.stream] = sequence

    def _broken(self, position: int, reason: str) -> IntegrityError:
        return _broken(self._path, position, reason)


def columns_of(event: Event) -> dict[str, int | str]:
    """Return the row that stores `event`, by column name."""
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
    for column in EVENTS.columns:
        stored = getattr(row, column.name)
        if type(stored) is not column.type.python_type:
            raise _broken(path, row.position, f"its {column.name} is {stored!r}")
    try:
        event = Event(
            position=row.position,
            stream=row.stream,
            sequence=row.sequence,
            at=datetime.fromisoformat(row.at).astimezone(UTC),
            kind=row.kind,
            data=json.loads(row.data),
            epoch=row.epoch,
            previous_hash=row.previous_hash,
            hash=row.hash,
        )
        respelled = columns_of(event)
    except (ValueError, OverflowError, RecursionError, UsageError) as error:
        raise _broken(path, row.position, f"it cannot be read: {error}") from error
    for name, value in respelled.items():
        if getattr(row, name) != value:
            raise _broken(path, row.position, f"its {name} is not spelled {value!r}")
    return event


def _broken(path: Path, position: int, reason: str) -> IntegrityError:
    return IntegrityError(
        f"journal {path} is broken at position {position}: {reason}",
        hint=f"Keep {path} as it is for inquiry, and compare it with a copy from before.",
    )
