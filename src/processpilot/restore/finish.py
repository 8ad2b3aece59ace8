"""Ending recovery: promotion, only after what was reached has been compared with the plan.

How far replay got is written beside the folder before promotion, so that whoever continues after
an interruption knows it without replaying again. Afterwards the cluster is shut down cleanly.
"""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from processpilot.clock import Clock
from processpilot.errors import GapError, IntegrityError, UnavailableError
from processpilot.postgres.cluster import server_processes
from processpilot.postgres.connection import ServerAddress
from processpilot.postgres.control import ClusterState, read_control
from processpilot.postgres.lsn import Lsn
from processpilot.progress import Progress
from processpilot.repository.repository import Repository
from processpilot.restore.plan import RestorePlan
from processpilot.restore.replay import Reached, Recovering, replayed
from processpilot.restore.scratch import scratch_address, start_scratch
from processpilot.restore.staging import write_into

_PROMOTE_S = 600
_RECORD = "reached.json"


@dataclass(frozen=True, slots=True)
class Recovered:
    """A cluster that ended recovery and was shut down cleanly."""

    folder: Path
    reached: Lsn
    last_commit_at: datetime | None
    timeline: int


def recover(
    plan: RestorePlan, repository: Repository, superuser: str, clock: Clock, progress: Progress
) -> Recovered:
    """Replay, compare, promote and shut down. Idempotent: an interrupted call may be repeated."""
    end_leftovers(plan.folder)
    reached = _read_record(plan)
    if reached is None or (plan.folder / "standby.signal").exists():
        with replayed(plan, repository, superuser, clock, progress) as recovering:
            reached = recovering.reached
            _compare(plan, reached)
            _write_record(plan, reached)
            _promote(recovering)
            _settle(recovering.address)
    else:
        server = start_scratch(plan, {}, superuser)
        try:
            _settle(scratch_address(server, superuser))
        finally:
            server.stop()
    control = read_control(plan.folder)
    if control.state is not ClusterState.SHUT_DOWN:
        raise IntegrityError(f"{plan.folder} was not shut down after recovery: {control.state}")
    return Recovered(plan.folder, reached.lsn, reached.last_commit_at, control.timeline)


def _compare(plan: RestorePlan, reached: Reached) -> None:
    """Refuse to go on when less was replayed than planned: a recovery that ends early failed."""
    if reached.lsn < plan.planned_lsn:
        raise GapError(
            f"replay ended at {reached.lsn}, planned was {plan.planned_lsn}; nothing was promoted",
            segment=str(reached.lsn),
        )


def _promote(recovering: Recovering) -> None:
    with recovering.address.session(limit_s=None) as connection:
        row = connection.execute(
            "select pg_promote(wait => true, wait_seconds => %s)", [_PROMOTE_S]
        ).fetchone()
    if row is None or not row[0]:
        raise UnavailableError(f"the scratch server did not end recovery within {_PROMOTE_S} s")


def _settle(address: ServerAddress) -> None:
    """Leave the cluster so that it starts without waiting for anybody."""
    with address.session(limit_s=None) as connection:
        row = connection.execute("select pg_is_in_recovery()").fetchone()
        if row is None or row[0]:
            raise UnavailableError("the scratch server is still in recovery")
        connection.execute("alter system set synchronous_standby_names = ''")
        connection.execute("checkpoint")


def _write_record(plan: RestorePlan, reached: Reached) -> None:
    moment = None if reached.last_commit_at is None else reached.last_commit_at.isoformat()
    record = {"lsn": str(reached.lsn), "last_commit_at": moment}
    write_into(plan.staging, _RECORD, json.dumps(record).encode(), durable=True)


def _read_record(plan: RestorePlan) -> Reached | None:
    try:
        document = json.loads((plan.staging / _RECORD).read_text())
    except FileNotFoundError:
        return None
    moment = document["last_commit_at"]
    last = None if moment is None else datetime.fromisoformat(moment)
    return Reached(Lsn.parse(document["lsn"]), last, paused=False)


def end_leftovers(folder: Path) -> None:
    """End a scratch server that an interrupted call left on `folder`."""
    for number in (signal.SIGQUIT, signal.SIGKILL):
        for pid in server_processes(folder):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        for _ in range(100):
            if not server_processes(folder):
                return
            time.sleep(0.05)
    raise UnavailableError(f"processes {server_processes(folder)} still run in {folder}")
