"""What tests do with a protected site: stream, recover, run commands, look at runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
from protected_site import SUPERUSER, Site, wait_until

from processpilot.agent.agent import Agent, Duties
from processpilot.backup.protection import StreamState
from processpilot.cli.follow import Lines
from processpilot.clock import SystemClock
from processpilot.errors import UnavailableError
from processpilot.postgres.lsn import Lsn
from processpilot.progress import silent
from processpilot.restore.files import FileWriter
from processpilot.restore.finish import Recovered, recover
from processpilot.restore.plan import RestorePlan, RestoreRequest, plan_restore
from processpilot.restore.scratch import scratch_address, start_scratch
from processpilot.restore.target import RecoveryTarget, TargetKind
from processpilot.runbook.history import read_run, run_ids
from processpilot.runbook.state import RunState
from processpilot.wiring.wired import Wired

LATEST = RecoveryTarget(TargetKind.LATEST)
QUIET = Lines(as_json=False)


def wait_streaming(agent: Agent) -> None:
    """Return once the agent's log streams."""
    wait_until(lambda: agent.stream_state is StreamState.STREAMING, "the stream")


@contextmanager
def opened_copy(plan: RestorePlan) -> Iterator[psycopg.Connection]:
    """Yield a connection to the restored cluster, started in isolation."""
    server = start_scratch(plan, {}, SUPERUSER)
    try:
        with scratch_address(server, SUPERUSER).session() as connection:
            yield connection
    finally:
        server.stop()


def scalar(connection: psycopg.Connection, query: str) -> object:
    """Return a query's first value."""
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


@contextmanager
def streaming(site: Site) -> Iterator[Agent]:
    """Stream the site's log for the length of the block."""
    with (
        closing(site.wired()) as wired,
        Agent(wired, Duties(watch=False, schedule=False), Lines(as_json=False)) as agent,
    ):
        wait_streaming(agent)
        yield agent


def wait_stored(site: Site, agent: Agent) -> None:
    """Return once everything the server has written is in the repository."""
    end = Lsn.parse(str(site.run("select pg_current_wal_insert_lsn()::text")[0][0]))
    site.run("select pg_logical_emit_message(true, 'test', 'flush')")
    wait_until(lambda: (agent.stored_lsn or 0) >= end, f"the log up to {end}")


def restore(
    wired: Wired, folder: Path, target: RecoveryTarget = LATEST
) -> tuple[RestorePlan, Recovered]:
    """Restore into `folder` the way the command does."""
    request = RestoreRequest(target, folder, bin_dirs=wired.bin_dirs)
    plan = plan_restore(wired.repository, request)
    FileWriter(wired.repository, plan.manifest, folder, plan.tablespaces, silent).write()
    return plan, recover(plan, wired.repository, SUPERUSER, SystemClock(), silent)


@contextmanager
def agent_of(site: Site) -> Iterator[tuple[Wired, Agent]]:
    """Run what `processpilot up` runs, in this process, for the length of the block."""
    with closing(site.wired()) as wired, Agent(wired, Duties(True, True), QUIET) as agent:
        thread = threading.Thread(target=agent.serve)
        thread.start()
        try:
            yield wired, agent
        finally:
            agent.stop()
            thread.join()


def finished(wired: Wired, count: int = 1) -> bool:
    """Whether `count` runs have their verdict."""
    states = [read_run(wired.journal, run_id) for run_id in run_ids(wired.journal)]
    return sum(1 for state in states if state.is_finished) >= count


def newest(wired: Wired) -> RunState:
    """Return the run with the newest event."""
    return read_run(wired.journal, run_ids(wired.journal)[0])


def program(site: Site, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a person would."""
    argv = [sys.executable, "-m", "processpilot", *words, "--plan", str(site.plan)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)


def started(site: Site) -> bool:
    """Try to start the server, whose children may still be ending; say whether it answers."""
    subprocess.run(site.pg_ctl("start"), check=False, capture_output=True)
    try:
        return site.run("select 1") == [(1,)]
    except UnavailableError:
        return False


def kill_only(site: Site) -> None:
    """Kill the server without warning; its data directory stays."""
    os.kill(int((site.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)


def waits_at_fence(wired: Wired) -> bool:
    """Whether the newest run asks for approval of its fence."""
    ids = run_ids(wired.journal)
    step = read_run(wired.journal, ids[0]).step("fence") if ids else None
    return step is not None and step.asked
