"""People and runners of a run, played: what they write down after a decision."""

from __future__ import annotations

from collections.abc import Callable

from run_events import History

from processpilot.runbook.decide import (
    AwaitPeople,
    GoOn,
    Need,
    ProbeStep,
    RequestApproval,
    RequestConfirmation,
    StartStep,
    Task,
    UndoStep,
)
from processpilot.runbook.state import Kind
from processpilot.runbook.step import StepOutcome


def write_task(history: History, task: Task, answer: str) -> None:
    """Write what a runner writes first for a task; a probe answers `done`, `not` or `unclear`."""
    match task:
        case StartStep(step_id=step, attempt=attempt):
            history.start(step, attempt)
        case ProbeStep(step_id=step) if answer == "done":
            history.passed(step, size=1)
        case ProbeStep(step_id=step):
            history.probed(step, False if answer == "not" else None)
        case RequestApproval(step_id=step, role=role):
            history.add(Kind.APPROVAL_REQUESTED, step=step, role=role)
        case RequestConfirmation(step_id=step):
            history.asked(step)
        case UndoStep(step_id=step):
            history.undoing(step)
        case GoOn(step_id=step, reason=reason):
            history.add(Kind.STEP_SKIPPED, step=step, by="the plan", reason=reason)


def ask_person(history: History, wait: AwaitPeople, choose: Callable[[list[str]], str]) -> None:
    """Write what a person, who chooses among what may be done, says to a run that waits."""
    if wait.step_id is None:
        history.add(Kind.RUN_CONTINUED, by="tester")
        return
    step = history.state.step(wait.step_id)
    assert step is not None
    acts = ["skip"]
    trouble = (StepOutcome.FAILED, StepOutcome.UNKNOWN)
    if step.outcome in trouble or step.undo in trouble:
        acts.append("retry")
    if step.spec.approval is not None and not step.is_settled:
        acts += ["approve", "refuse"]
    if wait.need is Need.CONFIRMATION:
        acts += ["confirm", "confirm", "did not work"]
    match choose(acts):
        case "skip":
            history.skipped(wait.step_id)
        case "retry":
            history.person(Kind.RETRY_REQUESTED, wait.step_id)
        case "approve":
            history.person(Kind.APPROVAL_GIVEN, wait.step_id)
        case "refuse":
            history.person(Kind.APPROVAL_REFUSED, wait.step_id)
        case "confirm":
            history.confirmed(wait.step_id)
        case "did not work":
            history.confirmed(wait.step_id, done=False)
