"""A run's report: its clock, its loss, its steps and checks, and the verdict they lead to.

The recovery time runs from the last probe that passed before the failure to the last step that
passed a check. All moments come from the journal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from processpilot.runbook.forecast import clock_begins_at
from processpilot.runbook.state import RunState, Verdict
from processpilot.runbook.step import StepOutcome, StepState

SCHEMA_VERSION = 1

# Which phase of the clock each action belongs to, in the order they are shown.
_PHASES = {
    "assess": ("assess", "drain"),
    "restore": ("restore",),
    "replay": ("replay",),
    "prove": ("prove",),
    "swap": ("fence", "swap"),
    "start": ("start-database", "protect", "start-applications"),
    "validate": ("validate",),
    "backup": ("backup",),
}


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of the run's clock; `duration_s` is in seconds."""

    name: str
    begin_at: datetime
    end_at: datetime
    duration_s: float


@dataclass(frozen=True, slots=True)
class StepLine:
    """A step as the report shows it; `duration_s` is None for one that never ended."""

    id: str
    title: str
    outcome: str
    duration_s: float | None
    timebox_s: float | None
    attempts: int
    message: str | None


@dataclass(frozen=True, slots=True)
class CheckLine:
    """A check; `step` is the step that made it."""

    name: str
    outcome: str
    expected: str
    actual: str
    detail: str
    step: str


@dataclass(frozen=True, slots=True)
class Objective:
    """A component's objectives, and whether what was measured keeps them (None: not known).

    Of a component that no probe watches nothing is known.
    """

    component: str
    title: str
    rto_s: float
    rpo_s: float
    rto_met: bool | None
    rpo_met: bool | None
    watched: bool


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a run leaves as evidence. Fields are documented in docs/report.md."""

    schema_version: int
    run_id: str
    scenario: str
    title: str
    verdict: Verdict
    recovery_time_s: float | None
    rto_s: float
    data_loss_window_s: float | None
    data_loss_bound_s: float | None
    data_loss_basis: str | None
    rpo_s: float
    acknowledged_transactions: int | None
    lost_transactions: int | None
    begin_at: datetime
    end_at: datetime | None
    trigger: str
    reasons: tuple[str, ...]
    phases: tuple[Phase, ...]
    steps: tuple[StepLine, ...]
    checks: tuple[CheckLine, ...]
    objectives: tuple[Objective, ...]
    backup: Mapping[str, Any] | None
    target: Mapping[str, Any] | None
    old_data_dir: str | None
    warnings: tuple[str, ...]
    plan_hash: str
    versions: Mapping[str, str]

    def to_json(self) -> str:
        """Return the text of report.json."""
        return json.dumps(asdict(self), default=_plain, indent=2) + "\n"


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    raise TypeError(f"{type(value).__name__} has no place in a report")


def build_report(run: RunState, versions: Mapping[str, str]) -> Report:
    """Return the report of a run, finished or not; an unfinished one has the verdict not-run."""
    restore = run.result_of("restore") or {}
    replay = run.result_of("replay") or {}
    prove = _any_result(run, "prove")
    kept = _keeps_database(run)
    swap = run.result_of("swap") or {}
    target = restore.get("target")
    objectives = tuple(_objectives(run))
    own = objectives[0] if objectives else None
    return Report(
        schema_version=SCHEMA_VERSION,
        run_id=run.run_id,
        scenario=run.scenario,
        title=str(run.details.get("title", run.scenario)),
        verdict=run.verdict or Verdict.NOT_RUN,
        recovery_time_s=recovery_time_s(run),
        rto_s=own.rto_s if own else 0.0,
        data_loss_window_s=0.0 if kept else prove.get("data_loss_window_s"),
        data_loss_bound_s=_loss_bound_s(run),
        data_loss_basis=_loss_basis(run),
        rpo_s=own.rpo_s if own else 0.0,
        acknowledged_transactions=prove.get("acknowledged_transactions"),
        lost_transactions=prove.get("lost_transactions"),
        begin_at=clock_begins_at(run),
        end_at=run.finished_at,
        trigger=run.trigger,
        reasons=tuple(str(reason) for reason in run.details.get("reasons", ())),
        phases=tuple(_phases(run)),
        steps=tuple(_step_line(step) for step in run.steps),
        checks=tuple(_checks(run.steps)),
        objectives=objectives,
        backup=restore.get("backup"),
        target=None if target is None else {**target, "reached_lsn": replay.get("reached_lsn")},
        old_data_dir=swap.get("old_data_dir"),
        warnings=tuple(str(text) for text in restore.get("warnings", ())),
        plan_hash=run.plan_hash,
        versions=versions,
    )


def conclude(run: RunState) -> Verdict:
    """Return the verdict of a run whose steps all passed: objectives kept, or missed.

    An objective of which nothing was measured counts as missed: not known is never green. What
    no probe watches is not judged, and the report says so. Whoever accepted a hole in the log lost
    what came after it.
    """
    if (run.result_of("restore") or {}).get("gap") is not None:
        return Verdict.MISSED
    kept = all(o.rto_met is True and o.rpo_met is True for o in _objectives(run) if o.watched)
    return Verdict.PASSED if kept else Verdict.MISSED


def recovery_time_s(run: RunState) -> float | None:
    """Return seconds until the last step that proved something; None before any did.

    That is the last step that passed a check; of a run without such steps, the last that brought a
    component up.
    """
    passed = [s for s in run.steps if s.outcome is StepOutcome.PASSED and s.end_at is not None]
    proving = [s for s in passed if s.spec.action in ("validate", "backup")]
    if not any(s.spec.action in ("validate", "backup") for s in run.steps):
        proving = [s for s in passed if s.spec.brings_up or s.spec.action == "check"]
    ends = [s.end_at for s in proving if s.end_at is not None]
    return (max(ends) - clock_begins_at(run)).total_seconds() if ends else None


def _any_result(run: RunState, action: str) -> Mapping[str, Any]:
    """Return a step's result, also of one that failed with a result."""
    for step in run.steps:
        if step.spec.action == action and step.result is not None:
            return step.result
    return {}


def _loss_bound_s(run: RunState) -> float | None:
    """Return the most that can be lost: from the last commit recovered to the last sign of life."""
    replay, restore = run.result_of("replay"), run.result_of("restore")
    if replay is None or restore is None:
        return None
    # Without a commit in the log replayed, everything up to the backup's stop is there.
    text = replay.get("last_commit_at") or restore.get("window_begin_at")
    if text is None:
        return None
    lost = clock_begins_at(run) - datetime.fromisoformat(str(text))
    return max(0.0, lost.total_seconds())


def _loss_basis(run: RunState) -> str | None:
    """Return what the loss is known from: old-log, heartbeat, the bound alone, or kept."""
    if _keeps_database(run):
        return "kept"
    basis = _any_result(run, "prove").get("data_loss_basis")
    if basis is None and _loss_bound_s(run) is not None:
        return "bound"
    return None if basis is None else str(basis)


def _keeps_database(run: RunState) -> bool:
    """Whether the run puts no other database in place: its data stays as it is."""
    return not any(step.spec.action in ("restore", "swap") for step in run.steps)


def _objectives(run: RunState) -> Iterator[Objective]:
    prove = _any_result(run, "prove")
    took = recovery_time_s(run)
    lost = prove.get("lost_transactions")
    window = prove.get("data_loss_window_s")
    if window is None:
        window = 0.0 if lost == 0 or _keeps_database(run) else _loss_bound_s(run)
    for item in run.details.get("objectives", ()):
        rto, rpo = float(item["rto_s"]), float(item["rpo_s"])
        rpo_met = None if window is None else window <= rpo
        if rpo == 0 and lost is not None:
            rpo_met = lost == 0
        yield Objective(
            str(item["component"]),
            str(item["title"]),
            rto,
            rpo,
            _kept_rto(run, str(item["component"]), took, rto) if item["watched"] else None,
            rpo_met if item["watched"] else None,
            bool(item["watched"]),
        )


def _kept_rto(run: RunState, component: str, took: float | None, rto: float) -> bool | None:
    """Whether a component was up in time: when its step says so, otherwise at the end."""
    ends = [
        step.end_at
        for step in run.steps
        if component in step.spec.brings_up
        and step.end_at is not None
        and step.outcome is StepOutcome.PASSED
    ]
    if ends and took is not None:
        took = (max(ends) - clock_begins_at(run)).total_seconds()
    return None if took is None else took <= rto


def _phases(run: RunState) -> Iterator[Phase]:
    begin = clock_begins_at(run)
    detected = run.details.get("declared_at")
    at = run.begun_at if detected is None else datetime.fromisoformat(str(detected))
    yield _phase("detection", begin, at)
    started = [step.begin_at for step in run.steps if step.begin_at is not None]
    if started:
        yield _phase("decision", at, min(started))
    names: dict[str, list[StepState]] = {}
    for step in run.steps:
        names.setdefault(_phase_of(step), []).append(step)
    for name, steps in names.items():
        begins = [s.begin_at for s in steps if s.begin_at is not None]
        ends = [s.end_at for s in steps if s.end_at is not None]
        if begins and ends:
            yield _phase(name, min(begins), max(ends))


def _phase_of(step: StepState) -> str:
    """Return the phase of a built-in action; of other steps the outermost group, or the step."""
    for name, actions in _PHASES.items():
        if step.spec.action in actions:
            return name
    return step.spec.groups[0] if step.spec.groups else step.spec.id


def _phase(name: str, begin: datetime, end: datetime) -> Phase:
    return Phase(name, begin, end, (end - begin).total_seconds())


def _step_line(step: StepState) -> StepLine:
    message = step.reason or (None if step.error is None else step.error.message)
    return StepLine(
        step.spec.id,
        step.spec.title,
        str(step.outcome),
        step.duration_s,
        step.spec.timebox_s,
        step.attempt,
        message,
    )


def _checks(steps: Sequence[StepState]) -> Iterator[CheckLine]:
    for step in steps:
        found: Any = (step.result or {}).get("checks", ())
        for check in found:
            yield CheckLine(
                str(check["name"]),
                str(check["outcome"]),
                str(check["expected"]),
                str(check["actual"]),
                str(check.get("detail", "")),
                step.spec.id,
            )
