"""The heartbeat: one row in a schema of our own, renewed every second.

The newest one that a recovered database holds tells how much was lost. The last one the server
acknowledged is remembered beside the journal, so that it outlives the server.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import psycopg

from processpilot.errors import NotFoundError
from processpilot.postgres.connection import ANSWER_LIMIT_S, ServerAddress, cut_after, translated

SCHEMA = "processpilot"
INTERVAL_S = 1.0
_CREATE = """
create schema if not exists processpilot;
create table if not exists processpilot.heartbeat (
    singleton boolean primary key default true check (singleton),
    beat_at timestamptz not null
);
"""
_BEAT = """
insert into processpilot.heartbeat (beat_at) values (clock_timestamp())
on conflict (singleton) do update set beat_at = excluded.beat_at returning beat_at
"""
FILE_NAME = "heartbeat.json"


def create_heartbeat(connection: psycopg.Connection) -> None:
    """Create the schema and its table if they are not there."""
    connection.execute(_CREATE)


def drop_heartbeat(connection: psycopg.Connection) -> None:
    """Drop the schema and what we put into it; another's objects in it are not dropped."""
    connection.execute("drop table if exists processpilot.heartbeat")
    connection.execute("drop schema if exists processpilot")


def beat(connection: psycopg.Connection, file: Path, shown: str) -> datetime:
    """Renew the row; once the server acknowledged it, remember it in `file`.

    UnavailableError when the server, named by `shown`, does not answer.
    """
    with cut_after(connection, ANSWER_LIMIT_S, shown):
        row = connection.execute(_BEAT).fetchone()
    assert row is not None
    moment: datetime = row[0]
    temporary = file.with_name(f".{file.name}.new")
    temporary.write_text(json.dumps({"acknowledged": moment.isoformat()}) + "\n")
    temporary.replace(file)
    return moment


def last_acknowledged(file: Path) -> datetime | None:
    """Return the newest heartbeat that a server acknowledged, or None when there was none."""
    try:
        return datetime.fromisoformat(json.loads(file.read_text())["acknowledged"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def newest_heartbeat(address: ServerAddress) -> datetime:
    """Return the heartbeat a database holds; NotFoundError when it has none."""
    with address.connect() as connection, translated(address.shown):
        try:
            row = connection.execute("select max(beat_at) from processpilot.heartbeat").fetchone()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            row = None
    if row is None or row[0] is None:
        raise NotFoundError(f"{address.shown} holds no heartbeat")
    moment: datetime = row[0]
    return moment
