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
        case "step-started" | "step-finished" | "step-probed":
            return _attempted(step, event)
        case "undo-started" | "undo-finished":
            return _undone(step, event)
        case "step-skipped" | "retry-requested" if step.undo in _UNDO_TROUBLE:
            skipped = event.kind == "step-skipped"
            return replace(step, undo=StepOutcome.SKIPPED if skipped else None, undo_error=None)
        case "step-skipped" if step.outcome in _AT_REST:
            return replace(
                step, outcome=StepOutcome.SKIPPED, reason=str(data["reason"]), end_at=event.at
            )
        case "retry-requested" if step.outcome in (StepOutcome.FAILED, StepOutcome.UNKNOWN):
            return replace(
                step, outcome=StepOutcome.WAITING, refused_by=None, undo=None, told=False
            )
        case "confirmation-requested" if step.outcome is StepOutcome.WAITING and step.is_manual:
            return replace(step, told=True, begin_at=step.begin_at or event.at)
    return _decided(step, event)


def _attempted(step: StepState, event: Event) -> StepState | None:
    data: Mapping[str, Any] = event.data
    match event.kind:
        case "step-started":
            if step.outcome not in _AT_REST or int(data["attempt"]) != step.attempt + 1:
                return None
            return replace(
                step,
                outcome=StepOutcome.RUNNING,
                attempt=step.attempt + 1,
                error=None,
                end_at=None,
                probed=False,
                begin_at=step.begin_at or event.at,
            )
        case "step-finished" if step.outcome in (StepOutcome.RUNNING, StepOutcome.UNKNOWN):
            outcome = StepOutcome(str(data["outcome"]))
            if outcome not in _ENDS:
                return None
            error = _error(data.get("error"))
            return replace(
                step, outcome=outcome, result=data.get("result"), error=error, end_at=event.at
            )
        case "step-probed" if step.outcome is StepOutcome.UNKNOWN:
            if data["happened"] is False:
                return replace(step, outcome=StepOutcome.WAITING, probed=True)
            return replace(step, probed=True)
    return None


def _undone(step: StepState, event: Event) -> StepState | None:
    if event.kind == "undo-started":
        if step.spec.undo is None or step.undo is StepOutcome.RUNNING:
            return None
        return replace(step, undo=StepOutcome.RUNNING, undo_error=None)
    if step.undo not in (StepOutcome.RUNNING, StepOutcome.UNKNOWN):
        return None
    outcome = StepOutcome(str(event.data["outcome"]))
    data: Mapping[str, Any] = event.data
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
    begun = replace(step, attempt=step.attempt + 1, begin_at=step.begin_at or event.at)
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
    """Return the step at the end of its run: one that never began was not run."""
    if step.outcome is StepOutcome.WAITING and step.attempt == 0:
        return replace(step, outcome=StepOutcome.NOT_RUN)
    return step


def _error(data: Mapping[str, Any] | None) -> StepError | None:
    if data is None:
        return None
    return StepError(
        str(data["code"]), str(data["message"]), data.get("hint"), bool(data.get("transient"))
    )
