"""Replaying the log on a scratch server, up to what the operation plan says and not a byte less.

The server is started as a standby (`standby.signal`): it then never ends recovery by itself,
however the log ends. It is asked how far it got, and only whoever compares that with the plan
may promote it. Recovery targets pause it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg

from processpilot.clock import Clock
from processpilot.errors import GapError, ProcessPilotError, RefusedError, UnavailableError
from processpilot.postgres.cluster import Postmaster
from processpilot.postgres.connection import ServerAddress, translated
from processpilot.postgres.lsn import Lsn
from processpilot.postgres.wal import Segment
from processpilot.progress import Progress
from processpilot.repository.repository import Repository
from processpilot.repository.wal import WalArchive
from processpilot.restore.fetch import LogServer
from processpilot.restore.plan import RestorePlan
from processpilot.restore.scratch import scratch_address, start_scratch

_POLL_S = 0.05
_RETRY_INTERVAL = "100ms"

# How long the server may stand still behind the plan's end, having asked for more, before replay
# is called short. It retries every 100 ms, so this is many attempts.
_STALL_S = 3.0


@dataclass(frozen=True, slots=True)
class Reached:
    """How far replay got: position, and the last transaction's time as the source stamped it."""

    lsn: Lsn
    last_commit_at: datetime | None
    paused: bool


@dataclass(frozen=True, slots=True)
class Recovering:
    """A scratch server that has replayed everything planned and is still in recovery."""

    server: Postmaster
    address: ServerAddress
    reached: Reached


@contextmanager
def replayed(
    plan: RestorePlan, repository: Repository, superuser: str, clock: Clock, progress: Progress
) -> Iterator[Recovering]:
    """Yield the scratch server once it has reached the plan; it is stopped on leaving.

    GapError when the log ended early, RefusedError when a target was not met before the end of
    the log, whatever a fetch raised when a fetch failed. Nothing is promoted here.
    """
    archive = WalArchive(repository, plan.manifest.cluster.wal_segment_bytes)
    status = plan.folder.stat()
    (plan.folder / "standby.signal").touch(mode=0o600)
    _own_like(plan)
    with LogServer(plan, archive, (status.st_uid, status.st_gid)) as log:
        settings = {
            "restore_command": log.command,
            "recovery_target_timeline": str(plan.chain.timeline),
            "wal_retrieve_retry_interval": _RETRY_INTERVAL,
            **({} if plan.replays_all else plan.target.settings()),
        }
        try:
            server = start_scratch(plan, settings, superuser)
        except UnavailableError as error:
            raise _reason(plan, log, error) from error
        try:
            address = scratch_address(server, superuser)
            reached = _Watch(plan, log, server, address, clock, progress).wait()
            yield Recovering(server, address, reached)
        finally:
            server.stop()


def _own_like(plan: RestorePlan) -> None:
    if os.geteuid() == 0:
        status = plan.folder.stat()
        os.chown(plan.folder / "standby.signal", status.st_uid, status.st_gid)


class _Watch:
    """Waits until replay has reached the plan, or says why it never will."""

    def __init__(
        self,
        plan: RestorePlan,
        log: LogServer,
        server: Postmaster,
        address: ServerAddress,
        clock: Clock,
        progress: Progress,
    ) -> None:
        self._plan = plan
        self._log = log
        self._server = server
        self._address = address
        self._clock = clock
        self._progress = progress
        self._still_since: float | None = None
        self._last = Lsn(0)

    def wait(self) -> Reached:
        """Return how far replay got once that is far enough."""
        while True:
            try:
                with self._address.connect() as connection, translated("the scratch server"):
                    while True:
                        reached = read_reached(connection)
                        if self._enough(reached):
                            return reached
                        self._clock.sleep(_POLL_S)
            except UnavailableError as error:
                if not self._server.is_running():
                    raise _reason(self._plan, self._log, error) from error
                self._clock.sleep(_POLL_S)

    def _enough(self, reached: Reached) -> bool:
        plan = self._plan
        begin = plan.manifest.start_lsn
        self._progress("replay", int(reached.lsn - begin), int(plan.window.end_lsn - begin))
        if self._log.failure is not None:
            raise self._log.failure
        if plan.replays_all:
            if reached.lsn >= plan.window.end_lsn:
                return True
        elif reached.paused:
            return self._met(reached)
        self._check_stall(reached)
        return False

    def _met(self, reached: Reached) -> bool:
        """A paused server has met its target; an LSN target is compared on top."""
        if reached.lsn < self._plan.planned_lsn:
            raise _short(self._plan, reached.lsn)
        return True

    def _check_stall(self, reached: Reached) -> None:
        now = self._clock.monotonic()
        if reached.lsn != self._last or self._still_since is None:
            self._last, self._still_since = reached.lsn, now
            self._log.forget_past_end()
        elif now - self._still_since > _STALL_S and self._log.asked_past_end:
            if reached.lsn < self._plan.window.end_lsn:
                raise _short(self._plan, reached.lsn)
            raise RefusedError(
                f"the log up to {reached.lsn} holds no {self._plan.target}; nothing was promoted",
                hint=f"The window is {self._plan.window}; --backup chooses an older one.",
            )


def _short(plan: RestorePlan, lsn: Lsn) -> GapError:
    size = plan.manifest.cluster.wal_segment_bytes
    segment = Segment.containing(lsn, plan.chain.timeline, size)
    return GapError(
        f"replay ended at {lsn}, planned was {plan.planned_lsn}; nothing was promoted",
        segment=segment.name,
        hint="Run `processpilot backup verify`, then restore from another backup or to an "
        "earlier moment.",
    )


def _reason(plan: RestorePlan, log: LogServer, error: UnavailableError) -> ProcessPilotError:
    """Return why the scratch server ended: a failed fetch explains more than its last words."""
    if log.failure is not None:
        return log.failure
    return UnavailableError(
        f"the scratch server on {plan.folder} ended during recovery: {error.message}",
        hint=f"Read {plan.staging / 'server.log'}.",
    )


def read_reached(connection: psycopg.Connection) -> Reached:
    """Return how far a server in recovery has replayed."""
    row = connection.execute(
        "select pg_last_wal_replay_lsn()::text, pg_last_xact_replay_timestamp(),"
        " pg_get_wal_replay_pause_state()"
    ).fetchone()
    assert row is not None
    lsn = Lsn(0) if row[0] is None else Lsn.parse(str(row[0]))
    return Reached(lsn, row[1], row[2] == "paused")
