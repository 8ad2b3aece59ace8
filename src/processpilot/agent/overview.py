"""`status`: the objectives beside what was last measured; backups, log, gaps; healthy or not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from processpilot.agent.agent import CONTROLLER, STATUS_FILE
from processpilot.agent.backups import backup_is_due, next_scheduled
from processpilot.agent.readiness import harm_in, lack_of_room
from processpilot.agent.rehearsed import (
    DrillStanding,
    drill_standings,
    paging_tested_at,
    problems_in,
)
from processpilot.backup.receiver import read_slot
from processpilot.errors import ProcessPilotError
from processpilot.evidence.page import format_bytes
from processpilot.evidence.report import build_report
from processpilot.incident.record import open_incident
from processpilot.journal.lease import holder
from processpilot.postgres.lsn import Lsn
from processpilot.repository.blob import BackupId
from processpilot.repository.manifest import Manifest
from processpilot.repository.proofs import newest_brought_back, read_proofs
from processpilot.runbook.decide import waits_of
from processpilot.runbook.history import newest_runs, open_runs, read_run
from processpilot.wiring.wired import Wired

# The agent writes of itself every second, and the heartbeat beats every second.
_STALE_S = 15.0
_LOOKED_AT = 20


@dataclass(frozen=True, slots=True)
class Measured:
    """The last finished run's figures; None where nothing was ever measured."""

    run_id: str
    verdict: str
    at: datetime | None
    recovery_time_s: float | None
    data_loss_window_s: float | None
    lost_transactions: int | None


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything `status` shows. `problems` is empty exactly when `healthy`."""

    name: str
    healthy: bool
    problems: tuple[str, ...]
    agent_pid: int | None
    stream: Mapping[str, Any] | None
    failing_probes: tuple[str, ...]
    lag_bytes: int | None
    backups: int
    newest_backup: str | None
    proven_backup: str | None
    next_backup_at: datetime | None
    incident: str | None
    open_run: str | None
    waits_for: str | None
    objectives: tuple[Mapping[str, Any], ...]
    measured: Measured | None
    drills: tuple[DrillStanding, ...]
    paging_tested_at: datetime | None


def read_overview(wired: Wired) -> Overview:
    """Return the state of protection and recovery, from the journal, the agent and the server."""
    problems: list[str] = []
    owner = holder(CONTROLLER, wired.locks)
    agent = agent_status(wired) if owner is not None else None
    stream = None if agent is None else agent["stream"]
    if agent is None:
        problems.append("the agent does not run: processpilot up")
    elif stream is not None and stream["state"] != "streaming":
        problems.append(f"the log is not streamed: {stream['state']} {stream['detail']}".strip())
    if agent is not None:
        problems += _staleness(agent, wired.clock.now())
    if agent is not None and agent.get("trouble") is not None:
        problems.append(f"the agent cannot carry on: {agent['trouble']}")
    if agent is not None and (agent.get("attendance") or {}).get("trouble") is not None:
        problems.append(f"people may not be told: {agent['attendance']['trouble']}")
    failing = () if agent is None else tuple(agent["failing"])
    problems += [f"probe {name} is failing" for name in failing]
    lag = _lag_bytes(wired, problems)
    if lag and stream is not None and stream["state"] != "streaming":
        problems.append(_risk(wired, lag))
    backups = _backups(wired, problems)
    incident = open_incident(wired.journal)
    if incident is not None:
        problems.append(f"incident {incident.incident_id} is open: {incident.title}")
    run_id, waits = _open_run(wired)
    if waits is not None:
        problems.append(f"run {run_id} waits: {waits}")
    elif run_id is not None:
        problems.append(f"run {run_id} is under way")
    drills = drill_standings(wired)
    problems += problems_in(drills)
    newest = backups[-1] if backups else None
    proven = _proven(wired, backups, problems)
    return Overview(
        name=wired.loaded.plan.name,
        healthy=not problems,
        problems=tuple(problems),
        agent_pid=None if owner is None else owner.pid,
        stream=stream,
        failing_probes=failing,
        lag_bytes=lag,
        backups=len(backups),
        newest_backup=newest,
        proven_backup=proven,
        next_backup_at=next_scheduled(wired, wired.clock.now()),
        incident=None if incident is None else incident.incident_id,
        open_run=run_id,
        waits_for=waits,
        objectives=tuple(
            {"component": c.id, "title": c.title, "rto_s": c.rto_s, "rpo_s": c.rpo_s}
            for c in wired.loaded.plan.components
        ),
        measured=_measured(wired),
        drills=drills,
        paging_tested_at=paging_tested_at(wired),
    )


def _staleness(agent: Mapping[str, Any], now: datetime) -> Iterator[str]:
    """Yield what has stood still for too long: a frozen agent must not look healthy."""
    age_s = (now - datetime.fromisoformat(agent["at"])).total_seconds()
    if age_s > _STALE_S:
        yield f"the agent hangs: it wrote nothing of itself for {age_s:.0f} s"
        return
    beat = agent["stream"]["last_heartbeat_at"]
    if beat is not None and agent["stream"]["state"] == "streaming":
        beat_s = (now - datetime.fromisoformat(beat)).total_seconds()
        if beat_s > _STALE_S:
            yield f"the last heartbeat that the database acknowledged is {beat_s:.0f} s old"


def agent_status(wired: Wired) -> Mapping[str, Any] | None:
    """Return what the running agent last wrote of itself, or None."""
    try:
        found: Mapping[str, Any] = json.loads((wired.state_dir / STATUS_FILE).read_text())
    except (OSError, ValueError):
        return None
    return found


def _lag_bytes(wired: Wired, problems: list[str]) -> int | None:
    """Return how much log the server has written that nobody received."""
    slot_name = wired.loaded.plan.protection.slot
    try:
        with wired.address.session() as connection:
            slot = read_slot(connection, slot_name)
            row = connection.execute("select pg_current_wal_flush_lsn()::text").fetchone()
    except ProcessPilotError as error:
        problems.append(f"the database does not answer: {error.message}")
        return None
    if slot is None or slot.restart_lsn is None:
        problems.append(f"the server has no slot {slot_name}, so log is not kept for us")
        return None
    assert row is not None
    return max(0, Lsn.parse(str(row[0])) - slot.restart_lsn)


def _risk(wired: Wired, lag: int) -> str:
    """Say what may be lost while nobody receives the log."""
    begun = f"{format_bytes(lag)} of log lie on the server alone"
    try:
        with wired.address.session() as connection:
            row = connection.execute(
                "select setting::bigint from pg_settings where name = 'max_slot_wal_keep_size'"
            ).fetchone()
    except ProcessPilotError:
        return begun
    limit_mb = -1 if row is None else int(str(row[0]))
    if limit_mb < 0:
        return f"{begun}; it keeps all of it, until its own disk is full"
    return (
        f"{begun}; behind {format_bytes(limit_mb << 20)} (max_slot_wal_keep_size) it lets go of "
        "the oldest, and the recovery window breaks"
    )


def _backups(wired: Wired, problems: list[str]) -> list[str]:
    try:
        due = backup_is_due(wired)
        if due is not None:
            problems.append(f"a backup is due: {due}")
        backups = wired.repository.backup_ids()
        if backups:
            problems += _readiness(wired, wired.repository.manifest(backups[-1]))
        return [str(backup) for backup in backups]
    except ProcessPilotError as error:
        problems.append(f"the repository: {error.message}")
        return []


def _proven(wired: Wired, backups: list[str], problems: list[str]) -> str | None:
    """Return the newest backup that was brought back, if any was."""
    if not backups:
        return None
    try:
        present = [BackupId.parse(text) for text in backups]
        found = newest_brought_back(read_proofs(wired.repository).values(), present)
    except ProcessPilotError as error:
        problems.append(f"the repository: {error.message}")
        return None
    return None if found is None else str(found)


def _readiness(wired: Wired, newest: Manifest) -> Iterator[str]:
    yield from harm_in(newest)
    data_dir = wired.loaded.plan.database.data_dir
    if data_dir is not None:
        lack = lack_of_room(newest, wired.loaded.resolve(data_dir))
        if lack is not None:
            yield lack


def _open_run(wired: Wired) -> tuple[str | None, str | None]:
    for run_id in open_runs(wired.journal):
        waits = waits_of(read_run(wired.journal, run_id))
        return run_id, "; ".join(wait.text for wait in waits) or None
    return None, None


def _measured(wired: Wired) -> Measured | None:
    for run_id in newest_runs(wired.journal, _LOOKED_AT):
        state = read_run(wired.journal, run_id)
        if state.is_finished:
            report = build_report(state, {})
            return Measured(
                run_id,
                str(report.verdict),
                report.end_at,
                report.recovery_time_s,
                report.data_loss_window_s,
                report.lost_transactions,
            )
    return None
