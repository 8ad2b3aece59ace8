"""A server in backup mode, between pg_backup_start and pg_backup_stop.

Manual, "Making a Base Backup Using the Low Level API".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import psycopg

from processpilot.postgres.connection import ServerAddress
from processpilot.postgres.lsn import Lsn


class BackupMode:
    """A server between pg_backup_start and pg_backup_stop, both on one connection."""

    def __init__(self, connection: psycopg.Connection, label: str) -> None:
        self._connection = connection
        row = connection.execute(
            "select pg_backup_start(%s, fast => true)::text", [label]
        ).fetchone()
        # pg_backup_start has just made a checkpoint; its timeline is the backup's.
        control = connection.execute("select timeline_id from pg_control_checkpoint()").fetchone()
        assert row is not None and control is not None
        self.start_lsn = Lsn.parse(str(row[0]))
        self.timeline = int(control[0])

    def stop(self) -> tuple[Lsn, datetime, str, str]:
        """Return the stop LSN, the server's time, backup_label and tablespace_map as given."""
        row = self._connection.execute(
            "select lsn::text, clock_timestamp(), labelfile, spcmapfile"
            " from pg_backup_stop(wait_for_archive => false)"
        ).fetchone()
        assert row is not None
        return Lsn.parse(str(row[0])), row[1], str(row[2]), str(row[3] or "")


@contextmanager
def backup_mode(address: ServerAddress, label: str) -> Iterator[BackupMode]:
    """Hold the server in backup mode; closing the connection early ends it without a backup."""
    with address.session(limit_s=None) as connection:
        yield BackupMode(connection, label)
