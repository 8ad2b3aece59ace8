"""The receiver: pg_receivewal with a replication slot, started, watched and stopped.

With `--synchronous` it flushes every write at once and reports it, so that a server whose
synchronous_standby_names names it acknowledges a commit only when the spool has it.
"""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psycopg

from processpilot.errors import RefusedError, UnavailableError
from processpilot.postgres.binaries import Installation
from processpilot.postgres.connection import ServerAddress
from processpilot.postgres.lsn import Lsn

APPLICATION_NAME = "processpilot"
_STOP_TIMEOUT_S = 10
_LOG_TAIL_BYTES = 2000


@dataclass(frozen=True, slots=True)
class SlotState:
    """A physical replication slot as the server reports it."""

    name: str
    active: bool
    restart_lsn: Lsn | None
    wal_status: str | None


def read_slot(connection: psycopg.Connection, name: str) -> SlotState | None:
    """Return the slot's state, or None when the server has no slot of that name."""
    row = connection.execute(
        "select slot_name, active, restart_lsn::text, wal_status, slot_type"
        " from pg_replication_slots where slot_name = %s",
        [name],
    ).fetchone()
    if row is None:
        return None
    if row[4] != "physical":
        raise RefusedError(f'the slot "{name}" is {row[4]}, a physical one is needed')
    restart = None if row[2] is None else Lsn.parse(str(row[2]))
    return SlotState(str(row[0]), bool(row[1]), restart, row[3])


def create_slot(connection: psycopg.Connection, name: str) -> None:
    """Create a physical slot that keeps write-ahead log from now on."""
    connection.execute("select pg_create_physical_replication_slot(%s, true)", [name])


def drop_slot(connection: psycopg.Connection, name: str) -> None:
    """Drop a slot if there is one; whoever streams from it is cut off first."""
    connection.execute(
        "select pg_terminate_backend(active_pid) from pg_replication_slots"
        " where slot_name = %s and active_pid is not null",
        [name],
    )
    for _ in range(50):
        slot = read_slot(connection, name)
        if slot is None:
            return
        if not slot.active:
            connection.execute("select pg_drop_replication_slot(%s)", [name])
            return
        connection.execute("select pg_sleep(0.1)")
    raise UnavailableError(f'the slot "{name}" is still in use', transient=True)


class Receiver:
    """One pg_receivewal process writing into `folder`."""

    def __init__(
        self,
        installation: Installation,
        address: ServerAddress,
        slot: str,
        folder: Path,
        secrets_dir: Path,
    ) -> None:
        self._program = installation.bin_dir / "pg_receivewal"
        self._address = address.with_options(application_name=APPLICATION_NAME)
        self._slot = slot
        self._folder = folder
        self._secrets_dir = secrets_dir
        self._log = secrets_dir / f"{folder.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start receiving; returns at once. A failure shows in `is_running` and `last_words`."""
        argv = [
            str(self._program),
            "--directory",
            str(self._folder),
            "--slot",
            self._slot,
            "--synchronous",
            "--no-loop",
            "--no-password",
            "--status-interval=1",
            "--dbname",
            self._address.conninfo,
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(self._address.environment(self._secrets_dir)),
                start_new_session=True,
            )

    @property
    def pid(self) -> int | None:
        """The process id while one was started."""
        return None if self._process is None else self._process.pid

    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def last_words(self) -> str:
        """Return the last line the process wrote, for messages."""
        try:
            with self._log.open("rb") as log:
                log.seek(max(0, os.fstat(log.fileno()).st_size - _LOG_TAIL_BYTES))
                lines = log.read().decode(errors="replace").strip().splitlines()
        except FileNotFoundError:
            return "it wrote nothing"
        # Its last line often only says that it ended.
        telling = [line for line in lines if not line.endswith("error: disconnected")] or lines
        return telling[-1] if telling else "it wrote nothing"

    def kill(self) -> None:
        """End the process at once; what the server was told is flushed is on disk."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """End the process; what it had received is flushed. Idempotent."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()


def flushed_lsn(connection: psycopg.Connection) -> Lsn | None:
    """Return up to where the receiver has confirmed the log to be on the spool's disk."""
    row = connection.execute(
        "select flush_lsn::text from pg_stat_replication"
        " where application_name = %s and state = 'streaming'",
        [APPLICATION_NAME],
    ).fetchone()
    return None if row is None or row[0] is None else Lsn.parse(str(row[0]))


def silence(connection: psycopg.Connection) -> float | None:
    """Return seconds since the receiver last confirmed anything; None when none is connected."""
    row = connection.execute(
        "select extract(epoch from clock_timestamp() - coalesce(reply_time, backend_start))"
        " from pg_stat_replication where application_name = %s and state = 'streaming'",
        [APPLICATION_NAME],
    ).fetchone()
    return None if row is None or row[0] is None else float(row[0])
