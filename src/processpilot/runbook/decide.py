"""What a run needs next. Pure and total: every state that can be folded has an answer.

Steps are independent of each other unless one comes after another, so there may be several things
to do and several people to wait for at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from processpilot.runbook.state import RunState, Verdict
from processpilot.runbook.step import OnFailure, StepOutcome, StepState


class Need(StrEnum):
    """Why a run, or one of its steps, cannot go on by itself."""

    APPROVAL = "approval"
    CONFIRMATION = "confirmation"
    DECISION = "decision"
    CONTINUATION = "continuation"


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
class RequestConfirmation:
    """Ask people to do a manual step, once it is known to be needed, and write that down."""

    step_id: str


@dataclass(frozen=True, slots=True)
class UndoStep:
    """Undo what a step did."""

    step_id: str


@dataclass(frozen=True, slots=True)
class GoOn:
    """Leave a failed step behind, for the reason that the plan gives."""

    step_id: str
    reason: str


Task = StartStep | ProbeStep | RequestApproval | RequestConfirmation | UndoStep | GoOn


@dataclass(frozen=True, slots=True)
class AwaitPeople:
    """A person has to act before this can go on; `text` says what is asked of them.

    `step_id` is None where the whole run waits.
    """

    step_id: str | None
    need: Need
    text: str


@dataclass(frozen=True, slots=True)
class Finish:
    """All is done or given up. `verdict` None: every step is settled, objectives decide."""

    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class Next:
    """What a run needs now: tasks to carry out, people to wait for, or its end.

    Nothing of all that: steps are running, or the run is finished.
    """

    tasks: tuple[Task, ...] = ()
    waits: tuple[AwaitPeople, ...] = ()
    finish: Finish | None = None


def decide(state: RunState) -> Next:
    """Return what comes next."""
    if state.is_finished:
        return Next()
    if state.aborted_by is not None:
        return _give_up(state)
    if state.current is None:
        left_out = any(step.is_left_out for step in state.steps)
        return Next(finish=Finish(Verdict.MISSED if left_out else None))
    if state.paused_by is not None:
        text = f"{state.paused_by} paused the run: processpilot run continue"
        return Next(waits=(AwaitPeople(None, Need.CONTINUATION, text),))
    found = [need for step in state.ready for need in _needs(step)]
    tasks = tuple(need for need in found if not isinstance(need, AwaitPeople))
    return Next(tasks, tuple(need for need in found if isinstance(need, AwaitPeople)))


def waits_of(state: RunState) -> tuple[AwaitPeople, ...]:
    """Return whom the run waits for, while nothing else of it goes on."""
    found = decide(state)
    under_way = state.running or any(step.is_being_undone for step in state.steps)
    return () if under_way or found.tasks else found.waits


def _give_up(state: RunState) -> Next:
    """Let what runs come to its end, then undo in reverse order if that is wanted, then end."""
    if state.running or any(step.is_being_undone for step in state.steps):
        return Next()
    if state.undoing:
        for step in sorted(state.steps, key=lambda step: step.begin_sequence, reverse=True):
            match _take_back(step):
                case None:
                    continue
                case AwaitPeople() as wait:
                    return Next(waits=(wait,))
                case task:
                    return Next((task,))
    return Next(finish=Finish(Verdict.ABORTED))


def _take_back(step: StepState) -> Task | AwaitPeople | None:
    """Return what undoing a step needs; None when there is nothing to undo, or it is undone."""
    if step.spec.undo is None:
        return None
    if step.outcome is StepOutcome.UNKNOWN:
        return _find_out(step)
    if step.outcome is StepOutcome.PASSED and step.undo is None:
        return UndoStep(step.spec.id)
    if step.undo in (StepOutcome.UNKNOWN, StepOutcome.FAILED):
        return _undo_trouble(step)
    return None


def _undo_trouble(step: StepState) -> AwaitPeople:
    why = "nobody saw its end" if step.undo_error is None else step.undo_error.message
    text = f"undoing {step.spec.title}: {why}; retry it, or skip it when it is undone"
    return AwaitPeople(step.spec.id, Need.DECISION, text)


def _needs(step: StepState) -> Iterator[Task | AwaitPeople]:
    """Yield what a step whose turn it is needs; nothing while it is carried out."""
    match step.outcome:
        case StepOutcome.RUNNING:
            return
        case _ if step.is_being_undone:
            return
        case StepOutcome.UNKNOWN:
            yield _find_out(step)
        case StepOutcome.FAILED:
            yield _after_failure(step)
        case _:
            yield _begin(step)


def _find_out(step: StepState) -> Task | AwaitPeople:
    """Ask the step itself what became of it, then people."""
    if not step.probed:
        return ProbeStep(step.spec.id)
    text = f"{step.spec.title}: nobody saw its end: look, then retry or skip it"
    return AwaitPeople(step.spec.id, Need.DECISION, text)


def _begin(step: StepState) -> Task | AwaitPeople:
    spec = step.spec
    if spec.approval is not None and step.approved_by is None:
        if step.refused_by is not None:
            text = f"{step.refused_by} refused: approve after all, skip or abort"
            return AwaitPeople(spec.id, Need.DECISION, text)
        if not step.asked:
            return RequestApproval(spec.id, spec.approval)
        return AwaitPeople(spec.id, Need.APPROVAL, f"{spec.title}: {spec.approval} must agree")
    if step.is_manual:
        if not step.told:
            return RequestConfirmation(spec.id)
        who = f"{spec.role}: " if spec.role else ""
        what = str(spec.settings.get("instruction") or spec.title)
        return AwaitPeople(spec.id, Need.CONFIRMATION, f"{who}{what}")
    return StartStep(spec.id, step.attempt + 1)


def _after_failure(step: StepState) -> Task | AwaitPeople:
    spec, error = step.spec, step.error
    if step.refused_by is not None:
        text = f"{step.refused_by} refused: retry after all, skip or abort"
        return AwaitPeople(spec.id, Need.DECISION, text)
    passing = error is not None and (error.transient or spec.on_failure is OnFailure.RETRY)
    if passing and step.attempt <= spec.retries and not step.is_manual:
        return StartStep(spec.id, step.attempt + 1)
    if spec.on_failure is OnFailure.GO_ON:
        return GoOn(spec.id, spec.reason or "the plan goes on without it")
    if spec.on_failure is OnFailure.UNDO:
        if step.undo is None:
            return UndoStep(spec.id)
        if step.undo in (StepOutcome.UNKNOWN, StepOutcome.FAILED):
            return _undo_trouble(step)
    message = error.message if error is not None else "the step failed"
    return AwaitPeople(spec.id, Need.DECISION, f"{spec.title}: {message}")
