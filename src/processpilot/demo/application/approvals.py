"""The approval rule, pure: steps and a verdict in, what changes out. `workflow` stores it.

Invariant of a request's steps: in order of position they are approved, then at most one
rejected, then waiting or cancelled ones; cancelled follow only a rejected one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from processpilot.demo.application.errors import ConflictError, ForbiddenError


class RequestState(StrEnum):
    """Where a request stands as a whole."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


class StepState(StrEnum):
    """Where one step stands."""

    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


class Verdict(StrEnum):
    """What an approver says."""

    APPROVE = "approve"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Step:
    """One role's say; positions of a request are distinct and count from 1."""

    position: int
    role: str
    state: StepState


@dataclass(frozen=True, slots=True)
class Decision:
    """What a verdict changes: the step decided, the steps cancelled by it, the whole request."""

    position: int
    step_state: StepState
    cancelled: tuple[int, ...]
    request_state: RequestState


def current_step(steps: Sequence[Step]) -> Step | None:
    """Return the step whose turn it is, or None when the request is settled."""
    waiting = [step for step in steps if step.state is StepState.WAITING]
    return min(waiting, key=lambda step: step.position, default=None)


def decide(steps: Sequence[Step], verdict: Verdict, roles: frozenset[str]) -> Decision:
    """Return what the verdict of somebody with these roles changes.

    Raises ConflictError if the request is settled, ForbiddenError if it is another role's turn.
    """
    step = current_step(steps)
    if step is None:
        raise ConflictError("the request is already settled")
    if step.role not in roles:
        raise ForbiddenError(
            f"step {step.position} is for the role {step.role!r}, not {', '.join(sorted(roles))!r}"
        )
    later = tuple(sorted(other.position for other in steps if other.position > step.position))
    if verdict is Verdict.REJECT:
        return Decision(step.position, StepState.REJECTED, later, RequestState.REJECTED)
    state = RequestState.PENDING if later else RequestState.APPROVED
    return Decision(step.position, StepState.APPROVED, (), state)
