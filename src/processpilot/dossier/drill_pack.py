"""The evidence of one drill, in the same form as that of a run. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from processpilot.checks.result import CheckResult, Outcome
from processpilot.dossier.finding import RunFinding
from processpilot.dossier.pack import SCHEMA_VERSION, events_named, to_plain
from processpilot.drill.state import Phase, Rehearsal
from processpilot.drill.verdict import keeps
from processpilot.journal.event import Event, JsonValue
from processpilot.plan.model import Plan
from processpilot.runbook.state import Verdict


@dataclass(frozen=True, slots=True)
class DrillSources:
    """What a drill's evidence is put together from; `head` is the journal's last position."""

    rehearsal: Rehearsal
    events: Sequence[Event]
    plan: Plan
    versions: Mapping[str, str]
    head: tuple[int, str]


def pack_of_drill(sources: DrillSources) -> dict[str, JsonValue]:
    """Return a drill's evidence as plain JSON values."""
    drill = sources.rehearsal
    resolved = drill.result_of(Phase.RESOLVE)
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "kind": "drill",
        "id": drill.rehearsal_id,
        "scope": _scope(sources),
        "plan": {"hash": str(drill.details.get("plan_hash", "")), "name": sources.plan.name},
        "versions": dict(sources.versions),
        "clock": {
            "begin_at": drill.begun_at,
            "run_begun_at": drill.begun_at,
            "end_at": drill.finished_at,
        },
        "participants": list(_participants(sources)),
        "steps": [],
        "checks": [_check(check) for check in drill.checks],
        "backup": None if "backup" not in resolved else {"id": resolved["backup"]},
        "target": _target(drill),
        "recovery_time_s": drill.recovery_time_s,
        "phases": [
            {
                "name": walked.phase,
                "begin_at": walked.begin_at,
                "end_at": walked.end_at,
                "duration_s": walked.duration_s,
                "passed": walked.passed,
                "result": walked.result,
            }
            for walked in drill.phases
        ],
        "data_loss": {
            "window_s": drill.data_loss_window_s,
            "bound_s": drill.data_loss_bound_s,
            "basis": None if drill.data_loss_window_s is None else "heartbeat",
            "acknowledged_transactions": None,
            "lost_transactions": None,
        },
        "communications": {"pages": [], "updates": []},
        "acknowledgements": [],
        "verdict": {"verdict": drill.verdict or Verdict.NOT_RUN, "cleanup": _cleanup(drill)},
        "findings": [asdict(finding) for finding in _findings(drill)],
        "journal": events_named(sources.events, sources.head),
    }
    plain = to_plain(document)
    assert isinstance(plain, dict)
    return plain


def _scope(sources: DrillSources) -> dict[str, Any]:
    drill = sources.rehearsal
    objective = drill.details.get("objective") or {}
    component = str(objective.get("component", ""))
    title = next((c.title for c in sources.plan.components if c.id == component), component)
    rto_s, rpo_s = objective.get("rto_s"), objective.get("rpo_s")
    loss_s = drill.data_loss_window_s
    if loss_s is None:
        loss_s = drill.data_loss_bound_s
    return {
        "scenario": f"drill {drill.drill} ({drill.kind})",
        "title": drill.title,
        "trigger": str(drill.details.get("trigger", "")),
        "reasons": list(drill.reasons),
        "components": [c.id for c in sources.plan.components],
        "objectives": [
            {
                "component": component,
                "title": title,
                "rto_s": rto_s,
                "rpo_s": rpo_s,
                "rto_met": _kept(drill.recovery_time_s, rto_s),
                "rpo_met": None if loss_s is None or rpo_s is None else keeps(loss_s, rpo_s),
                "watched": True,
            }
        ],
    }


def _target(drill: Rehearsal) -> dict[str, Any] | None:
    """Return the moment that was recovered to, None before that was known."""
    resolved = drill.result_of(Phase.RESOLVE)
    if "moment" not in resolved:
        return None
    replayed = drill.result_of(Phase.REPLAY)
    return {
        "kind": "time" if resolved["moment"] else "latest",
        "value": resolved["moment"],
        "timeline": resolved.get("timeline"),
        "planned_lsn": replayed.get("planned_lsn"),
        "reached_lsn": replayed.get("reached_lsn"),
    }


def _kept(measured_s: float | None, objective_s: float | None) -> bool | None:
    return None if measured_s is None or objective_s is None else measured_s <= objective_s


def _participants(sources: DrillSources) -> Iterator[dict[str, Any]]:
    for role in sources.plan.team.roles:
        yield {
            "role": role.id,
            "title": role.title,
            "primary": role.primary,
            "secondary": role.secondary,
            "held_by": None,
        }
    acts: dict[str, int] = {}
    for event in sources.events:
        by = event.data.get("by")
        if isinstance(by, str):
            acts[by] = acts.get(by, 0) + 1
    for person, count in sorted(acts.items()):
        yield {"person": person, "acts": count}


def _check(check: CheckResult) -> dict[str, Any]:
    return {**asdict(check), "outcome": str(check.outcome), "step": ""}


def _cleanup(drill: Rehearsal) -> str:
    cleanup = [walked for walked in drill.phases if walked.phase is Phase.CLEANUP]
    if not cleanup:
        return "not seen"
    return "done, nothing is left" if cleanup[-1].passed else "FAILED"


def _findings(drill: Rehearsal) -> Iterator[RunFinding]:
    source = f"drill {drill.rehearsal_id}"
    for text in drill.findings:
        yield RunFinding("drill-finding", text, source)
    for text in drill.reasons:
        yield RunFinding("verdict-reason", text, source)
    for check in drill.checks:
        if check.outcome not in (Outcome.PASSED, Outcome.SKIPPED):
            text = f"{check.name}: expected {check.expected}, found {check.actual}"
            yield RunFinding("check-not-passed", text, source)
