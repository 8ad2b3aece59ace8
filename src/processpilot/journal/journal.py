"""The journal: append, read and verify events in one chain over all streams.

Owns the order of events and the proof that none was changed. The file beneath is `database`'s,
the meaning of kinds and data is the callers'.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Mapping
from datetime import UTC
from pathlib import Path

import sqlalchemy as sa

from processpilot.clock import Clock
from processpilot.errors import LockedError, UsageError
from processpilot.journal import epoch, streams
from processpilot.journal.chain import Chain, columns_of, event_of
from processpilot.journal.database import (
    EVENTS,
    open_database,
    raw_rows,
    reading,
    require_whole,
    writing,
)
from processpilot.journal.epoch import Lease
from processpilot.journal.event import (
    Event,
    JsonValue,
    canonical,
    sealed,
)
from processpilot.journal.head import Head

JOURNAL_FILE = "journal.sqlite"
LONGEST_NAME = 200


class Journal:
    """An open journal; any thread may use it, and any number of processes at once."""

    def __init__(self, engine: sa.Engine, path: Path, clock: Clock) -> None:
        self._engine = engine
        self._path = path
        self._clock = clock
        # Threads queue here in turn; SQLite's busy timeout is left for other processes.
        self._writing = threading.Lock()

    @classmethod
    def open(cls, path: Path, clock: Clock) -> Journal:
        """Return the journal at `path`, created with mode 0600 if it does not exist.

        Raises RefusedError for one written by a newer release, IntegrityError for a file that is
        no journal, UnavailableError when the file cannot be reached.
        """
        return cls(open_database(path), path, clock)

    @property
    def clock(self) -> Clock:
        """The clock that stamps events."""
        return self._clock

    def append(
        self,
        stream: str,
        kind: str,
        data: Mapping[str, JsonValue],
        *,
        expected_sequence: int | None = None,
        lease: Lease | None = None,
    ) -> Event:
        """Return the event as it was written; on return it survives a crash and a power cut.

        Raises LockedError, and writes nothing, if the event would not be number
        `expected_sequence` of its stream or if a newer epoch of `lease` has begun.
        """
        _require_name(stream, "stream")
        _require_name(kind, "kind")
        plain = json.loads(canonical(data))
        with self._writing, writing(self._engine, self._path) as connection:
            if lease is not None:
                epoch.require_newest(connection, lease)
            end = _end(connection)
            event = sealed(
                Event(
                    position=end.position + 1,
                    stream=str(stream),
                    sequence=_next_sequence(connection, stream, expected_sequence),
                    at=self._clock.now().astimezone(UTC),
                    kind=str(kind),
                    data=plain,
                    epoch=0 if lease is None else lease.epoch,
                    previous_hash=end.hash,
                    hash="",
                )
            )
            connection.execute(sa.insert(EVENTS).values(columns_of(event)))
        return event

    def begin_epoch(self, name: str) -> Lease:
        """Return a lease of `name` that outdates all earlier ones; `acquire_lease` asks first."""
        with self._writing, writing(self._engine, self._path) as connection:
            return epoch.begin_epoch(connection, name, self._clock.now())

    def read(self, stream: str, after: int = 0) -> tuple[Event, ...]:
        """Return the events of `stream` whose sequence is above `after`, oldest first."""
        return self._events(
            sa.select(EVENTS)
            .where(EVENTS.c.stream == stream, EVENTS.c.sequence > after)
            .order_by(EVENTS.c.sequence)
        )

    def streams(self, prefix: str = "") -> tuple[str, ...]:
        """Return the names of streams that begin with `prefix`, last written first."""
        with reading(self._engine, self._path) as connection:
            return streams.newest(connection, prefix)

    def newest_streams(self, prefix: str, limit: int, before: int | None = None) -> tuple[str, ...]:
        """Return at most `limit` of them, those whose last event is before position `before`.

        For the next page, `before` is the position of the last event of this page's last stream.
        """
        with reading(self._engine, self._path) as connection:
            return streams.newest(connection, prefix, limit, before)

    def open_streams(self, begun_kind: str, ended_kind: str) -> tuple[str, ...]:
        """Return the streams with an event of the first kind and none of the second.

        The one last written comes first.
        """
        with reading(self._engine, self._path) as connection:
            return streams.unended(connection, begun_kind, ended_kind)

    def first_and_last(self, names: Collection[str]) -> dict[str, tuple[Event, Event]]:
        """Return the first and the last event of each of those streams that has any."""
        with reading(self._engine, self._path) as connection:
            first = (event_of(row, self._path) for row in streams.first_rows(connection, names))
            firsts = {event.stream: event for event in first}
            last = (event_of(row, self._path) for row in streams.last_rows(connection, names))
            return {event.stream: (firsts[event.stream], event) for event in last}

    def head(self) -> Head:
        """Return the position and hash of the last event."""
        with reading(self._engine, self._path) as connection:
            return _end(connection)

    def since(self, position: int, limit: int) -> tuple[Event, ...]:
        """Return at most `limit` events after `position`, oldest first."""
        query = sa.select(EVENTS).where(EVENTS.c.position > position)
        return self._events(query.order_by(EVENTS.c.position).limit(limit))

    def latest(self, kind: str, stream_prefix: str = "") -> Event | None:
        """Return the last event of `kind` in streams that begin so, None if there was none."""
        found = self._events(
            sa.select(EVENTS)
            .where(EVENTS.c.kind == kind, streams.begins_with(stream_prefix))
            .order_by(EVENTS.c.position.desc())
            .limit(1)
        )
        return found[0] if found else None

    def recent(self, limit: int, kinds: Collection[str] | None = None) -> tuple[Event, ...]:
        """Return the last `limit` events, of `kinds` if given, newest last."""
        query = sa.select(EVENTS).order_by(EVENTS.c.position.desc()).limit(max(limit, 0))
        if kinds is not None:
            query = query.where(EVENTS.c.kind.in_(kinds))
        return tuple(reversed(self._events(query)))

    def verify(self, kept: Head | None = None) -> Head:
        """Return the end of the chain, every event up to it sound and in its place.

        Raises IntegrityError naming the first position that is missing or was changed. What the
        chain itself cannot show, events cut off at its end and a chain rewritten with new hashes,
        shows when `kept`, a head returned before and kept elsewhere, is no longer in it.
        """
        chain = Chain(self._path, kept)
        with reading(self._engine, self._path) as connection:
            for row in raw_rows(connection, sa.select(EVENTS).order_by(EVENTS.c.position)):
                chain.check(row)
            chain.finish()
            require_whole(connection, self._path)
        return chain.head

    def close(self) -> None:
        """Let go of the file; the journal is not used afterwards."""
        with self._writing:
            self._engine.dispose()

    def _events(self, query: sa.Select[tuple[object, ...]]) -> tuple[Event, ...]:
        with reading(self._engine, self._path) as connection:
            return tuple(event_of(row, self._path) for row in connection.execute(query))


def _end(connection: sa.Connection) -> Head:
    """Return position and hash of the last event, or what stands before the first."""
    query = sa.select(EVENTS.c.position, EVENTS.c.hash).order_by(EVENTS.c.position.desc()).limit(1)
    last = connection.execute(query).first()
    return Head() if last is None else Head(last.position, last.hash)


def _next_sequence(connection: sa.Connection, stream: str, expected: int | None) -> int:
    query = sa.select(sa.func.max(EVENTS.c.sequence)).where(EVENTS.c.stream == stream)
    following: int = (connection.scalar(query) or 0) + 1
    if expected is not None and expected != following:
        raise LockedError(
            f"stream {stream} continues with event {following}, not {expected}",
            hint="Someone else wrote to it; read the stream again and decide anew.",
        )
    return following


def _require_name(name: str, what: str) -> None:
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise UsageError(f"{what} {name!r} is not 1 to {LONGEST_NAME} printable characters")
