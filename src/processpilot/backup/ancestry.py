"""Whether a server is the one whose log the repository holds: the same cluster, and no earlier.

Log of another cluster, of a timeline that a recovery left behind, or of a server that was put back
to an older state must never be stored beside the log that is there: it would have the same names.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from processpilot.errors import RefusedError
from processpilot.postgres.lsn import Lsn
from processpilot.repository.wal import WalInventory


@dataclass(frozen=True, slots=True)
class ServerPosition:
    """Which cluster a primary is, and up to where its log is on its disk."""

    system_identifier: int
    timeline: int
    flushed: Lsn


def read_position(connection: psycopg.Connection) -> ServerPosition:
    """Return where a primary is; RefusedError for a standby."""
    row = connection.execute(
        "select system_identifier, pg_is_in_recovery() from pg_control_system()"
    ).fetchone()
    assert row is not None
    if row[1]:
        raise RefusedError("the server is a standby", hint="Point database.dsn at the primary.")
    # The name of a segment begins with the timeline (manual, "WAL Internals").
    found = connection.execute(
        "select left(pg_walfile_name(pg_current_wal_flush_lsn()), 8),"
        " pg_current_wal_flush_lsn()::text"
    ).fetchone()
    assert found is not None
    return ServerPosition(int(row[0]), int(str(found[0]), 16), Lsn.parse(str(found[1])))


def check_ancestry(server: ServerPosition, system_identifier: int, held: WalInventory) -> None:
    """Raise RefusedError unless the server continues the log that is `held`."""
    if server.system_identifier != system_identifier:
        raise RefusedError(
            f"the server is cluster {server.system_identifier}, the repository holds cluster "
            f"{system_identifier}",
            hint="Correct database.dsn in the plan; for a new cluster, run `processpilot init` "
            "with another --repo.",
        )
    if held.newest_timeline > server.timeline:
        raise RefusedError(
            f"the server is on timeline {server.timeline}, the repository's log is on timeline "
            f"{held.newest_timeline} already",
            hint="A recovery left this server behind. Stop it and start the recovered one; to go "
            "back on purpose, use `processpilot restore`.",
        )
    stored = held.end_of(server.timeline)
    if stored is not None and server.flushed < stored:
        raise RefusedError(
            f"the server went back in time: its log ends at {server.flushed}, the repository holds "
            f"timeline {server.timeline} to {stored}",
            hint="Somebody put back an older copy of the data directory. Stop it and run "
            "`processpilot recover`; the repository holds what it lacks.",
        )
