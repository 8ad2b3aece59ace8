"""What one event does to one step. Pure; which events may come at all is `state`'s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from processpilot.journal.event import Event
from processpilot.runbook.step import StepError, StepOutcome, StepState

_AT_REST = (StepOutcome.WAITING, StepOutcome.FAILED, StepOutcome.UNKNOWN)
_UNDO_TROUBLE = (StepOutcome.UNKNOWN, StepOutcome.FAILED)
_ENDS = (StepOutcome.PASSED, StepOutcome.FAILED, StepOutcome.NOT_NEEDED)


def after_event(step: StepState, event: Event) -> StepState | None:
    """Return the step after an event, or None when the event cannot follow."""
    data: Mapping[str, Any] = event.data
    match event.kind:
        case "undo-started" | "undo-finished":
            return _undone(step, event)
        case _ if step.is_being_undone:
            return None
        case "step-started" | "step-finished" | "step-probed":
            return _attempted(step, event)
        case "step-skipped" | "retry-requested" if step.undo in _UNDO_TROUBLE:
            skipped = event.kind == "step-skipped"
            return replace(step, undo=StepOutcome.SKIPPED if skipped else None, undo_error=None)
        case "step-skipped" if step.outcome in _AT_REST:
            return replace(
                step,
                outcome=StepOutcome.SKIPPED,
                reason=str(data["reason"]),
                foreseen=data.get("foreseen") is True,
                end_at=event.at,
            )
        case "retry-requested" if step.outcome in (StepOutcome.FAILED, StepOutcome.UNKNOWN):
            return replace(
                step, outcome=StepOutcome.WAITING, refused_by=None, undo=None, told=False
            )
        case "confirmation-requested" if step.outcome is StepOutcome.WAITING and step.is_manual:
            return _begun(replace(step, told=True), event)
    return _decided(step, event)


def _begun(step: StepState, event: Event) -> StepState:
    """Return the step with its begin, unless it has begun before."""
    if step.begin_at is not None:
        return step
    return replace(step, begin_at=event.at, begin_sequence=event.sequence)


def _attempted(step: StepState, event: Event) -> StepState | None:
    data: Mapping[str, Any] = event.data
    match event.kind:
        case "step-started":
            if step.outcome not in _AT_REST or int(data["attempt"]) != step.attempt + 1:
                return None
            started = replace(
                step,
                outcome=StepOutcome.RUNNING,
                attempt=step.attempt + 1,
                error=None,
                end_at=None,
                probed=False,
            )
            return _begun(started, event)
        case "step-finished":
            return _ended(step, event)
        case "step-probed" if step.outcome is StepOutcome.UNKNOWN:
            if data["happened"] is False:
                return replace(step, outcome=StepOutcome.WAITING, probed=True)
            return replace(step, probed=True)
    return None


def _ended(step: StepState, event: Event) -> StepState | None:
    """Return the step after its attempt's end.

    Before people are asked, to agree or to do it, there is no attempt: it is not needed, or must
    not begin.
    """
    data: Mapping[str, Any] = event.data
    outcome = StepOutcome(str(data["outcome"]))
    allowed: tuple[StepOutcome, ...] = ()
    if step.outcome in (StepOutcome.RUNNING, StepOutcome.UNKNOWN):
        allowed = _ENDS
    elif step.outcome is StepOutcome.WAITING and _nobody_was_asked(step):
        allowed = (StepOutcome.FAILED, StepOutcome.NOT_NEEDED)
    if outcome not in allowed:
        return None
    result = data.get("result")
    return replace(
        step,
        outcome=outcome,
        result=None if result is None else dict(result),
        error=_error(data.get("error")),
        end_at=event.at,
    )


def _nobody_was_asked(step: StepState) -> bool:
    before_approval = step.spec.approval is not None and not step.asked
    return before_approval or (step.is_manual and not step.told)


def _undone(step: StepState, event: Event) -> StepState | None:
    data: Mapping[str, Any] = event.data
    if event.kind == "undo-started":
        over = step.outcome in (StepOutcome.PASSED, StepOutcome.FAILED)
        if step.spec.undo is None or step.undo is not None or not over:
            return None
        return replace(step, undo=StepOutcome.RUNNING, undo_error=None)
    outcome = StepOutcome(str(data["outcome"]))
    if not step.is_being_undone or outcome not in (StepOutcome.PASSED, StepOutcome.FAILED):
        return None
    return replace(step, undo=outcome, undo_error=_error(data.get("error")))


def _decided(step: StepState, event: Event) -> StepState | None:
    """Return the step after a person's word on it."""
    data: Mapping[str, Any] = event.data
    at_rest = step.outcome in _AT_REST
    match event.kind:
        case "approval-requested" if step.outcome is StepOutcome.WAITING:
            return replace(step, asked=True)
        case "approval-given" if at_rest:
            return replace(step, approved_by=str(data["by"]), refused_by=None)
        case "approval-refused" if at_rest:
            return replace(step, refused_by=str(data["by"]), approved_by=None)
        case "step-confirmed" if at_rest and step.is_manual:
            return _confirmed(step, event)
    return None


def _confirmed(step: StepState, event: Event) -> StepState:
    """Take in what a person says of a manual step: it is done, or it did not work."""
    data: Mapping[str, Any] = event.data
    by, note = str(data["by"]), data.get("comment")
    begun = _begun(replace(step, attempt=step.attempt + 1), event)
    if data["done"]:
        result = {"confirmed_by": by, "note": note}
        return replace(
            begun,
            outcome=StepOutcome.PASSED,
            confirmed_by=by,
            result=result,
            end_at=event.at,
            error=None,
        )
    error = StepError("not-done", str(note or f"{by} says that it did not work"), None, False)
    return replace(begun, outcome=StepOutcome.FAILED, error=error, end_at=event.at)


def lost_sight_of(step: StepState) -> StepState:
    """Return the step after its controller died: what was running is unknown."""
    if step.undo is StepOutcome.RUNNING:
        step = replace(step, undo=StepOutcome.UNKNOWN)
    if step.outcome is not StepOutcome.RUNNING:
        return step
    return replace(step, outcome=StepOutcome.UNKNOWN, probed=False)


def closed(step: StepState) -> StepState:
    """Return the step at the end of its run: one that still waits was not run."""
    if step.outcome is StepOutcome.WAITING:
        return replace(step, outcome=StepOutcome.NOT_RUN)
    return step


def _error(data: Mapping[str, Any] | None) -> StepError | None:
    if data is None:
        return None
    return StepError(
        str(data["code"]), str(data["message"]), data.get("hint"), bool(data.get("transient"))
    )
