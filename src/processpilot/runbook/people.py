"""What people may do to a run, from any process: approve, refuse, retry, skip, abort.

Each is checked against the state the person saw and written at exactly that place in the stream,
so two people who decide at once cannot both be followed.
"""

from __future__ import annotations

from processpilot.errors import RefusedError, UsageError
from processpilot.journal.event import JsonValue
from processpilot.journal.journal import Journal
from processpilot.runbook.runner import read_run
from processpilot.runbook.state import Kind, RunState, stream_of
from processpilot.runbook.step import StepOutcome, StepState


def approve(journal: Journal, run_id: str, *, by: str, comment: str | None) -> StepState:
    """Agree to the step that waits for an approval; return that step."""
    state, step = needs_approval(journal, run_id)
    _write(journal, state, Kind.APPROVAL_GIVEN, _by(step, by, comment))
    return step


def refuse(journal: Journal, run_id: str, *, by: str, comment: str | None) -> StepState:
    """Refuse the step that waits for an approval; return that step."""
    state, step = needs_approval(journal, run_id)
    _write(journal, state, Kind.APPROVAL_REFUSED, _by(step, by, comment))
    return step


def needs_approval(journal: Journal, run_id: str) -> tuple[RunState, StepState]:
    """Return the run and its step that an approval is for; RefusedError when none is."""
    state, step = _waiting_step(journal, run_id)
    if step.spec.approval is None:
        raise RefusedError(
            f"step {step.spec.id} of run {run_id} needs no approval",
            hint="Run `processpilot run show` to see what the run waits for.",
        )
    return state, step


def retry(journal: Journal, run_id: str, *, by: str) -> StepState:
    """Have the failed step tried again; return that step."""
    state, step = _waiting_step(journal, run_id)
    if step.outcome not in (StepOutcome.FAILED, StepOutcome.UNKNOWN):
        raise RefusedError(f"step {step.spec.id} of run {run_id} is {step.outcome}, not failed")
    _write(journal, state, Kind.RETRY_REQUESTED, _by(step, by, None))
    return step


def skip(journal: Journal, run_id: str, *, by: str, reason: str) -> StepState:
    """Leave the waiting or failed step out; return that step. The verdict then misses passed."""
    if not reason.strip():
        raise UsageError("a step is skipped for a reason", hint="Give it with --reason TEXT.")
    state, step = _waiting_step(journal, run_id)
    if not step.spec.skippable:
        raise RefusedError(
            f"step {step.spec.id} of run {run_id} cannot be left out: later steps build on it",
            hint=f"Retry it, or end the run: processpilot run abort {run_id}",
        )
    _write(journal, state, Kind.STEP_SKIPPED, _by(step, by, None) | {"reason": reason})
    return step


def abort(journal: Journal, run_id: str, *, by: str, reason: str) -> RunState:
    """End the run after the step that is running; return the state before."""
    state = read_run(journal, run_id)
    _must_be_open(state)
    _write(journal, state, Kind.ABORT_REQUESTED, {"by": by, "reason": reason})
    return state


def _by(step: StepState, by: str, comment: str | None) -> dict[str, JsonValue]:
    return {"step": step.spec.id, "by": by, "role": step.spec.approval, "comment": comment}


def _waiting_step(journal: Journal, run_id: str) -> tuple[RunState, StepState]:
    state = read_run(journal, run_id)
    _must_be_open(state)
    step = state.current
    if step is None:
        raise RefusedError(f"every step of run {run_id} is done")
    if step.outcome is StepOutcome.RUNNING:
        raise RefusedError(
            f"step {step.spec.id} of run {run_id} is running",
            hint="Wait for its end; if its process died, run `processpilot run resume`.",
        )
    return state, step


def _must_be_open(state: RunState) -> None:
    if state.is_finished:
        raise RefusedError(f"run {state.run_id} is finished: {state.verdict}")


def _write(journal: Journal, state: RunState, kind: Kind, data: dict[str, JsonValue]) -> None:
    expected = state.sequence + 1
    journal.append(stream_of(state.run_id), kind, data, expected_sequence=expected)
