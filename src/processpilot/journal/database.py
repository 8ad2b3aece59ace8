"""The journal's SQLite file: its tables, how it is opened, and what its failures mean.

Owns durability settings and the translation of SQLite's errors into ours. What a row says is left
to `journal` and `epoch`.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event as sa_event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from processpilot.errors import IntegrityError, ProcessPilotError, RefusedError, UnavailableError

SCHEMA_VERSION = 2
BUSY_TIMEOUT_S = 10.0

_METADATA = sa.MetaData()

EVENTS = sa.Table(
    "events",
    _METADATA,
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("stream", sa.Text, nullable=False),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("previous_hash", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    sa.UniqueConstraint("stream", "sequence"),
    # With the streams in it, which of them have begun and not ended is read from it alone.
    sa.Index("events_kind", "kind", "position", "stream"),
)
# One entry a stream.
sa.Index("events_first", EVENTS.c.stream, EVENTS.c.position, sqlite_where=EVENTS.c.sequence == 1)

LEASES = sa.Table(
    "leases",
    _METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("epoch", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("since", sa.Text, nullable=False),
)

# What makes a file of one version into one of the next.
_UPGRADES = {
    1: (
        "DROP INDEX events_kind",
        "CREATE INDEX events_kind ON events (kind, position, stream)",
        "CREATE INDEX events_first ON events (stream, position) WHERE sequence = 1",
    ),
}


def open_database(path: Path) -> sa.Engine:
    """Return an engine on the journal at `path`, which is created if it does not exist.

    One of an older version is brought up to this one in place, whole or not at all. A returned
    commit has been flushed to the disk. A file that belongs to something else, or to a newer
    ProcessPilot, is refused without a change.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _opened_by_one(path.parent):
            _keep_private(path)
            return _open_schema(path)
    except OSError as error:
        raise UnavailableError(
            f"journal {path} cannot be opened: {error.strerror or error}",
            hint=f"Check the folder with `ls -ld {path.parent}` and its file system with "
            f"`df -h {path.parent}`.",
        ) from error


@contextmanager
def reading(engine: sa.Engine, path: Path) -> Iterator[sa.Connection]:
    """Give a connection that sees one moment of the journal."""
    with _translated(path), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: sa.Engine, path: Path) -> Iterator[sa.Connection]:
    """Give a connection that alone may write; all of it is durable on leaving, or none."""
    with _translated(path), engine.connect() as connection:
        connection = connection.execution_options(journal_begin="BEGIN IMMEDIATE")
        with connection.begin():
            yield connection


def raw_rows(
    connection: sa.Connection, query: sa.Select[tuple[object, ...]]
) -> Iterator[tuple[object, ...]]:
    """Yield the rows of a query without parameters as the driver gives them, one at a time."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    yield from raw.execute(str(query.compile(connection)))


def require_whole(connection: sa.Connection, path: Path) -> None:
    """Raise IntegrityError unless tables and indexes agree: lists are read from indexes alone."""
    found = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar_one()
    if found != "ok":
        raise _damaged(path, found)


def _open_schema(path: Path) -> sa.Engine:
    engine = _engine(path)
    try:
        with reading(engine, path) as connection:
            version = _version(connection, path)
        with _translated(path), engine.connect() as connection:
            _use_write_ahead_log(connection, path)
        if version != SCHEMA_VERSION:
            with writing(engine, path) as connection:
                _bring_up(connection, version)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _engine(path: Path) -> sa.Engine:
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        connect_args={"timeout": BUSY_TIMEOUT_S},
        max_overflow=-1,
    )

    @sa_event.listens_for(engine, "connect")
    def _prepare(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        assert isinstance(connection, sqlite3.Connection)
        # Python's own transaction control would begin late and deferred.
        connection.isolation_level = None
        # Damaged text is to reach `chain`, which names its position.
        connection.text_factory = lambda stored: stored.decode(errors="surrogateescape")
        connection.execute("PRAGMA synchronous = FULL")

    @sa_event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("journal_begin", "BEGIN"))

    return engine


def _version(connection: sa.Connection, path: Path) -> int:
    """Return the schema version, 0 for an empty file, or raise if the file is not for us."""
    version: int = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if version > SCHEMA_VERSION:
        raise RefusedError(
            f"journal {path} has schema version {version}, and this program knows up to "
            f"{SCHEMA_VERSION}",
            hint="Use the newer ProcessPilot that wrote it; `processpilot --version` names yours.",
        )
    found = set(connection.exec_driver_sql("SELECT name FROM sqlite_master").scalars())
    if not (found >= set(_METADATA.tables) if version else not found):
        raise IntegrityError(
            f"{path} is a database but not a journal: schema version {version}, "
            f"tables {', '.join(sorted(found)) or 'none'}",
            hint="Name another file for the journal, or put this one back from a copy.",
        )
    return version


def _bring_up(connection: sa.Connection, version: int) -> None:
    if version == 0:
        _METADATA.create_all(connection)
    else:
        for older in range(version, SCHEMA_VERSION):
            for statement in _UPGRADES[older]:
                connection.exec_driver_sql(statement)
    connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _use_write_ahead_log(connection: sa.Connection, path: Path) -> None:
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    (mode,) = raw.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise UnavailableError(
            f"journal {path} cannot use a write-ahead log: SQLite stays in mode {mode}",
            hint="Keep the journal on a local file system; network file systems lack the locks.",
        )


def _keep_private(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        # By name: closing a descriptor of the file would drop the locks that SQLite holds on it
        # elsewhere in this process (https://sqlite.org/howtocorrupt.html, section 2.2).
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            path.chmod(0o600)


@contextmanager
def _opened_by_one(folder: Path) -> Iterator[None]:
    """Hold `folder` while opening: SQLite answers busy at once to two switches into WAL mode."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sa.exc.DBAPIError as error:
        raise _meaning(path, error.orig) from error
    except sqlite3.Error as error:
        raise _meaning(path, error) from error


def _meaning(path: Path, error: BaseException | None) -> ProcessPilotError:
    """Return what SQLite's primary result code (https://sqlite.org/rescode.html) means to us."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return UnavailableError(
            f"journal {path} was busy for longer than {BUSY_TIMEOUT_S:g} s: {error}",
            hint=f"See who writes to it with `fuser -v {path}`, then try again.",
            transient=True,
        )
    if code == sqlite3.SQLITE_FULL:
        return UnavailableError(
            f"journal {path} cannot grow, its file system is full: {error}",
            hint=f"Free space on the file system that `df -h {path.parent}` shows.",
        )
    if code in (
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_IOERR,
    ):
        return UnavailableError(
            f"journal {path} cannot be read or written: {error}",
            hint=f"Check that `ls -l {path}` shows a file this user may write, and the disk with "
            "`dmesg`.",
        )
    return _damaged(path, error)


def _damaged(path: Path, what: object) -> IntegrityError:
    return IntegrityError(
        f"journal {path} is damaged or not a journal: {what}",
        hint=f"Look at it with `sqlite3 {path} 'PRAGMA integrity_check'`; keep the file as it is.",
    )
