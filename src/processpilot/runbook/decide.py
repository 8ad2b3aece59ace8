"""What a run needs next. Pure and total: every state that can be folded has an answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from processpilot.runbook.state import RunState, Verdict
from processpilot.runbook.step import StepOutcome, StepState


class Need(StrEnum):
    """Why a run cannot go on by itself."""

    APPROVAL = "approval"
    DECISION = "decision"


@dataclass(frozen=True, slots=True)
class StartStep:
    """Execute a step's action."""

    step_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class ProbeStep:
    """Ask a step's action whether an attempt whose end nobody saw has happened."""

    step_id: str


@dataclass(frozen=True, slots=True)
class RequestApproval:
    """Write down that a role is asked."""

    step_id: str
    role: str


@dataclass(frozen=True, slots=True)
class AwaitPeople:
    """Nothing can be done until a person acts; `text` says what is asked of them."""

    step_id: str
    need: Need
    text: str


@dataclass(frozen=True, slots=True)
class Finish:
    """All is done or given up. `verdict` None: every step is settled, objectives decide."""

    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class Finished:
    """The run has its verdict already."""


Decision = StartStep | ProbeStep | RequestApproval | AwaitPeople | Finish | Finished


def decide(state: RunState) -> Decision:
    """Return what comes next."""
    if state.is_finished:
        return Finished()
    current = state.current
    if current is not None and current.outcome is StepOutcome.RUNNING:
        # Only the process that started it can see it end; a new owner folds in run-resumed first.
        return AwaitPeople(current.spec.id, Need.DECISION, "the step is running elsewhere")
    if state.aborted_by is not None:
        return Finish(Verdict.ABORTED)
    if current is None:
        skipped = any(step.outcome is StepOutcome.SKIPPED for step in state.steps)
        return Finish(Verdict.MISSED if skipped else None)
    return _next_for(current)


def _next_for(step: StepState) -> Decision:
    spec = step.spec
    match step.outcome:
        case StepOutcome.UNKNOWN if not step.probed:
            return ProbeStep(spec.id)
        case StepOutcome.UNKNOWN:
            text = "nobody saw the step's end: look, then retry or skip it"
            return AwaitPeople(spec.id, Need.DECISION, text)
        case StepOutcome.FAILED:
            if step.refused_by is not None:
                text = f"{step.refused_by} refused: retry after all, skip or abort"
                return AwaitPeople(spec.id, Need.DECISION, text)
            if step.error is not None and step.error.transient and step.attempt <= spec.retries:
                return StartStep(spec.id, step.attempt + 1)
            text = step.error.message if step.error is not None else "the step failed"
            return AwaitPeople(spec.id, Need.DECISION, text)
    if spec.approval is not None and step.approved_by is None:
        if step.refused_by is not None:
            text = f"{step.refused_by} refused: approve after all, skip or abort"
            return AwaitPeople(spec.id, Need.DECISION, text)
        if not step.asked:
            return RequestApproval(spec.id, spec.approval)
        return AwaitPeople(spec.id, Need.APPROVAL, f"{spec.title}: {spec.approval} must agree")
    return StartStep(spec.id, step.attempt + 1)
