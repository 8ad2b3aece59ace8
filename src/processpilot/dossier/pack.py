"""The evidence of one run: what was planned, what happened, who decided, what was proven. Pure.

The form is canonical JSON (`journal.event.canonical`); its fields are in docs/evidence.md, a
contract like report.json: fields may be added, none changes its meaning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from processpilot.dossier.finding import findings_of
from processpilot.evidence.report import Report
from processpilot.incident.state import Incident
from processpilot.journal.event import Event, JsonValue
from processpilot.plan.model import Plan
from processpilot.runbook.state import RunState
from processpilot.runbook.step import StepState

SCHEMA_VERSION = 1

# What a command leaves in its step's result; its words stay in the file that is named.
_COMMAND = ("command", "exit_status", "duration_s", "bytes", "sha256", "cut", "output")


@dataclass(frozen=True, slots=True)
class Sources:
    """What a run's evidence is put together from; `head` is the journal's last position and hash.

    `incident` and its events are None and empty where a person began the run.
    """

    run: RunState
    events: Sequence[Event]
    report: Report
    plan: Plan
    head: tuple[int, str]
    incident: Incident | None = None
    incident_events: Sequence[Event] = ()


def pack_of_run(sources: Sources) -> dict[str, JsonValue]:
    """Return a run's evidence as plain JSON values."""
    run, report = sources.run, sources.report
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "kind": "run",
        "id": run.run_id,
        "scope": _scope(sources),
        "plan": {"hash": run.plan_hash, "name": sources.plan.name},
        "versions": dict(report.versions),
        "clock": {
            "begin_at": report.begin_at,
            "run_begun_at": run.begun_at,
            "end_at": run.finished_at,
        },
        "participants": list(_participants(sources)),
        "steps": list(_steps(run)),
        "checks": [asdict(check) for check in report.checks],
        "backup": report.backup,
        "target": report.target,
        "recovery_time_s": report.recovery_time_s,
        "phases": [asdict(phase) for phase in report.phases],
        "data_loss": {
            "window_s": report.data_loss_window_s,
            "bound_s": report.data_loss_bound_s,
            "basis": report.data_loss_basis,
            "acknowledged_transactions": report.acknowledged_transactions,
            "lost_transactions": report.lost_transactions,
        },
        "communications": _communications(sources.incident),
        "acknowledgements": list(_acknowledgements(sources)),
        "verdict": {"verdict": report.verdict, "cleanup": _cleanup(report)},
        "findings": [asdict(f) for f in findings_of(run, report, sources.incident)],
        "journal": events_named((*sources.events, *sources.incident_events), sources.head),
    }
    plain = to_plain(document)
    assert isinstance(plain, dict)
    return plain


def _scope(sources: Sources) -> dict[str, Any]:
    run, report = sources.run, sources.report
    return {
        "scenario": run.scenario,
        "title": report.title,
        "trigger": run.trigger,
        "reasons": list(report.reasons),
        "components": [c.id for c in sources.plan.components],
        "objectives": [asdict(objective) for objective in report.objectives],
    }


def _participants(sources: Sources) -> Iterator[dict[str, Any]]:
    """Yield who had which role, then everybody who acted and how often."""
    held = dict(sources.run.roles)
    if sources.incident is not None:
        held = {**sources.incident.roles, **held}
    for role in sources.plan.team.roles:
        yield {
            "role": role.id,
            "title": role.title,
            "primary": role.primary,
            "secondary": role.secondary,
            "held_by": held.get(role.id),
        }
    acts: dict[str, int] = {}
    for event in (*sources.events, *sources.incident_events):
        by = event.data.get("by")
        if isinstance(by, str):
            acts[by] = acts.get(by, 0) + 1
    for person, count in sorted(acts.items()):
        yield {"person": person, "acts": count}


def _steps(run: RunState) -> Iterator[dict[str, Any]]:
    """Yield the steps with the times the plan gave them and the times they took."""
    ends: dict[str, datetime] = {}
    for step in run.steps:
        begin = max((ends[one] for one in step.spec.after if one in ends), default=run.begun_at)
        ends[step.spec.id] = begin + timedelta(seconds=step.spec.timebox_s or 0.0)
        yield {
            "id": step.spec.id,
            "title": step.spec.title,
            "action": step.spec.action,
            "groups": list(step.spec.groups),
            "planned_begin_at": begin,
            "planned_end_at": None if step.spec.timebox_s is None else ends[step.spec.id],
            "begin_at": step.begin_at,
            "end_at": step.end_at,
            "duration_s": step.duration_s,
            "outcome": step.outcome,
            "attempts": step.attempt,
            "approval": step.spec.approval,
            "approved_by": step.approved_by,
            "refused_by": step.refused_by,
            "confirmed_by": step.confirmed_by,
            "added_by": step.added_by,
            "undo": step.undo,
            "reason": step.reason,
            "error": None if step.error is None else asdict(step.error),
            "command": _command(step),
        }


def _command(step: StepState) -> dict[str, Any] | None:
    result = step.result or {}
    kept = {name: result[name] for name in _COMMAND if name in result}
    return kept if "command" in kept else None


def _communications(incident: Incident | None) -> dict[str, Any]:
    if incident is None:
        return {"pages": [], "updates": []}
    return {
        "pages": [asdict(page) for page in incident.pages],
        "updates": [asdict(update) for update in incident.updates],
    }


def _acknowledgements(sources: Sources) -> Iterator[dict[str, Any]]:
    run, incident = sources.run, sources.incident
    if run.acknowledged_by is not None:
        yield {"what": "run", "by": run.acknowledged_by, "at": run.acknowledged_at}
    if incident is not None and incident.acknowledged_by is not None:
        yield {"what": "incident", "by": incident.acknowledged_by, "at": incident.acknowledged_at}


def _cleanup(report: Report) -> str:
    """Return what a recovery leaves: the old cluster is kept on purpose, and named."""
    if report.old_data_dir is None:
        return "nothing to clean up"
    return f"the old cluster is kept in {report.old_data_dir}"


def events_named(events: Sequence[Event], head: tuple[int, str]) -> dict[str, Any]:
    """Return where in the journal's chain the events lie, so that the journal can be asked."""
    every = sorted(events, key=lambda event: event.position)
    return {
        "head": {"position": head[0], "hash": head[1]},
        "events": [
            {
                "position": event.position,
                "stream": event.stream,
                "sequence": event.sequence,
                "at": event.at,
                "kind": event.kind,
                "hash": event.hash,
            }
            for event in every
        ],
    }


def to_plain(value: object) -> JsonValue:
    """Return a value with its moments in UTC and its words as text, as JSON holds them."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, Mapping):
        return {str(key): to_plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(inner) for inner in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
