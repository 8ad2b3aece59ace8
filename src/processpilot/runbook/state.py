"""A run's state, folded from its events. Pure; the journal is the only memory.

Invariant: at most one step is running or unknown, and every step before it is settled. An event
that would break this was not written by a runner, and folding refuses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from processpilot.errors import IntegrityError
from processpilot.journal.event import Event
from processpilot.runbook.step import StepError, StepOutcome, StepSpec, StepState


class Kind(StrEnum):
    """The kinds of event in a run's stream."""

    RUN_BEGUN = "run-begun"
    RUN_RESUMED = "run-resumed"
    RUN_FINISHED = "run-finished"
    STEP_STARTED = "step-started"
    STEP_FINISHED = "step-finished"
    STEP_PROBED = "step-probed"
    STEP_SKIPPED = "step-skipped"
    APPROVAL_REQUESTED = "approval-requested"
    APPROVAL_GIVEN = "approval-given"
    APPROVAL_REFUSED = "approval-refused"
    RETRY_REQUESTED = "retry-requested"
    ABORT_REQUESTED = "abort-requested"


class Verdict(StrEnum):
    """What a run came to. `missed`: it works, but an objective was missed or a step skipped."""

    PASSED = "passed"
    MISSED = "missed"
    FAILED = "failed"
    ABORTED = "aborted"
    NOT_RUN = "not-run"


@dataclass(frozen=True, slots=True)
class RunState:
    """A run as its events tell it; `sequence` is the newest event's."""

    run_id: str
    scenario: str
    trigger: str
    plan_hash: str
    begun_at: datetime
    details: Mapping[str, Any]
    steps: tuple[StepState, ...]
    sequence: int
    aborted_by: str | None = None
    verdict: Verdict | None = None
    finished_at: datetime | None = None

    @property
    def is_finished(self) -> bool:
        """Whether the run has its verdict."""
        return self.verdict is not None

    @property
    def current(self) -> StepState | None:
        """The first step that is not settled; None when all are."""
        return next((step for step in self.steps if not step.is_settled), None)

    def step(self, step_id: str) -> StepState | None:
        """Return a step by its id."""
        return next((step for step in self.steps if step.spec.id == step_id), None)

    def result_of(self, action: str) -> Mapping[str, Any] | None:
        """Return what the step with that action gave, once it passed."""
        for step in self.steps:
            if step.spec.action == action and step.outcome is StepOutcome.PASSED:
                return step.result or {}
        return None


def stream_of(run_id: str) -> str:
    """Return the name of a run's stream in the journal."""
    return f"run/{run_id}"


def fold(events: Iterable[Event]) -> RunState:
    """Return the state after `events`, all of one run in order; IntegrityError when impossible."""
    state: RunState | None = None
    for event in events:
        state = _begin(event) if state is None else apply(state, event)
    if state is None:
        raise IntegrityError("a run without events")
    return state


def _begin(event: Event) -> RunState:
    if event.kind != Kind.RUN_BEGUN:
        raise IntegrityError(f'{event.stream} begins with "{event.kind}"')
    data: Mapping[str, Any] = event.data
    return RunState(
        run_id=str(data["run_id"]),
        scenario=str(data["scenario"]),
        trigger=str(data["trigger"]),
        plan_hash=str(data["plan_hash"]),
        begun_at=event.at,
        details=data.get("details") or {},
        steps=tuple(StepState(StepSpec.from_json(step)) for step in data["steps"]),
        sequence=event.sequence,
    )


def apply(state: RunState, event: Event) -> RunState:
    """Return the state after one more event; IntegrityError when it cannot follow."""
    try:
        return _apply(state, event)
    except (KeyError, ValueError, TypeError) as error:
        raise _impossible(state, event, f"it is damaged: {error!r}") from error


def _apply(state: RunState, event: Event) -> RunState:
    if state.is_finished:
        raise _impossible(state, event, "the run is finished")
    state = replace(state, sequence=event.sequence)
    data: Mapping[str, Any] = event.data
    match event.kind:
        case Kind.RUN_RESUMED:
            steps = tuple(_lose_sight(step) for step in state.steps)
            return replace(state, steps=steps)
        case Kind.ABORT_REQUESTED:
            return replace(state, aborted_by=str(data["by"]))
        case Kind.RUN_FINISHED:
            steps = tuple(_close(step) for step in state.steps)
            verdict = Verdict(str(data["verdict"]))
            if not _may_end(state, verdict):
                raise _impossible(state, event, f"the steps contradict {verdict}")
            return replace(state, steps=steps, verdict=verdict, finished_at=event.at)
    current = state.current
    if current is None or current.spec.id != data.get("step"):
        raise _impossible(state, event, f"its step is {data.get('step')}")
    changed = _apply_to_step(current, event)
    if changed is None:
        raise _impossible(state, event, f"step {current.spec.id} is {current.outcome}")
    steps = tuple(changed if step is current else step for step in state.steps)
    return replace(state, steps=steps)


def _may_end(state: RunState, verdict: Verdict) -> bool:
    """Whether the steps allow a verdict: not run is never green, and neither is given up."""
    match verdict:
        case Verdict.PASSED:
            passed = all(step.outcome is StepOutcome.PASSED for step in state.steps)
            return passed and state.aborted_by is None
        case Verdict.MISSED:
            return state.current is None and state.aborted_by is None
        case Verdict.ABORTED:
            return state.aborted_by is not None
    return True


def _apply_to_step(step: StepState, event: Event) -> StepState | None:
    """Return the step after an event, or None when the event cannot follow."""
    data: Mapping[str, Any] = event.data
    at_rest = step.outcome in (StepOutcome.WAITING, StepOutcome.FAILED, StepOutcome.UNKNOWN)
    match event.kind:
        case Kind.STEP_STARTED if at_rest and int(data["attempt"]) == step.attempt + 1:
            return replace(
                step,
                outcome=StepOutcome.RUNNING,
                attempt=step.attempt + 1,
                error=None,
                end_at=None,
                probed=False,
                begin_at=step.begin_at or event.at,
            )
        case Kind.STEP_FINISHED if step.outcome in (StepOutcome.RUNNING, StepOutcome.UNKNOWN):
            outcome = StepOutcome(str(data["outcome"]))
            if outcome not in (StepOutcome.PASSED, StepOutcome.FAILED):
                return None
            error = _error(data.get("error"))
            return replace(
                step, outcome=outcome, result=data.get("result"), error=error, end_at=event.at
            )
        case Kind.STEP_PROBED if step.outcome is StepOutcome.UNKNOWN:
            if data["happened"] is False:
                return replace(step, outcome=StepOutcome.WAITING, probed=True)
            return replace(step, probed=True)
        case Kind.STEP_SKIPPED if at_rest:
            return replace(
                step, outcome=StepOutcome.SKIPPED, reason=str(data["reason"]), end_at=event.at
            )
        case Kind.RETRY_REQUESTED if step.outcome in (StepOutcome.FAILED, StepOutcome.UNKNOWN):
            return replace(step, outcome=StepOutcome.WAITING, refused_by=None)
        case Kind.APPROVAL_REQUESTED if step.outcome is StepOutcome.WAITING:
            return replace(step, asked=True)
        case Kind.APPROVAL_GIVEN if at_rest:
            return replace(step, approved_by=str(data["by"]), refused_by=None)
        case Kind.APPROVAL_REFUSED if at_rest:
            return replace(step, refused_by=str(data["by"]), approved_by=None)
    return None


def _lose_sight(step: StepState) -> StepState:
    if step.outcome is not StepOutcome.RUNNING:
        return step
    return replace(step, outcome=StepOutcome.UNKNOWN, probed=False)


def _close(step: StepState) -> StepState:
    if step.outcome is StepOutcome.WAITING and step.attempt == 0:
        return replace(step, outcome=StepOutcome.NOT_RUN)
    return step


def _error(data: Mapping[str, Any] | None) -> StepError | None:
    if data is None:
        return None
    return StepError(
        str(data["code"]), str(data["message"]), data.get("hint"), bool(data.get("transient"))
    )


def _impossible(state: RunState, event: Event, why: str) -> IntegrityError:
    return IntegrityError(
        f'run {state.run_id}: event {event.sequence} "{event.kind}" cannot follow: {why}',
        hint="Run `processpilot run show` and check the journal's integrity.",
    )
