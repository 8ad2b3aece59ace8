"""What people would type when a run waits for them; shared by what shows runs and incidents."""

from __future__ import annotations

from processpilot.runbook.decide import AwaitPeople, Need, waits_of
from processpilot.runbook.state import RunState

_WAYS = {
    Need.APPROVAL: ("approve", "refuse"),
    Need.CONFIRMATION: ("confirm",),
    Need.DECISION: ("retry", "skip", "abort"),
    Need.CONTINUATION: ("continue",),
}


def answer_to(state: RunState, wait: AwaitPeople) -> str:
    """Return the command that answers `wait`, and the others that would."""
    step = "" if wait.step_id is None or len(waits_of(state)) < 2 else f" --step {wait.step_id}"
    first, *others = _WAYS[wait.need]
    instead = f" (or {', '.join(others)})" if others else ""
    return f"`processpilot run {first} {state.run_id}{step}`{instead}"
