"""Mail that has to be sent: written in the transaction of what it tells, so neither is without
the other. `mail` sends it.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import func, literal, select
from sqlalchemy.dialects.postgresql import insert as insert_or_skip
from sqlalchemy.orm import Session

from processpilot.demo.application.approvals import Decision, StepState
from processpilot.demo.application.tables import (
    ApprovalStep,
    Feature,
    OutboxEntry,
    Request,
    User,
    UserRole,
)

ASKED: Final = "asked"
FEATURE: Final = "email-notifications"


def ask_next(session: Session, request_id: int) -> None:
    """Write a mail to everybody who may decide the step whose turn it is."""
    waiting = StepState.WAITING.value
    turn = (
        select(func.min(ApprovalStep.position))
        .where(ApprovalStep.request_id == request_id, ApprovalStep.state == waiting)
        .scalar_subquery()
    )
    asked = (
        select(literal(request_id), literal(ASKED), ApprovalStep.position, User.id)
        .join(UserRole, UserRole.role_id == ApprovalStep.role_id)
        .join(User, User.id == UserRole.user_id)
        .join(Request, Request.id == ApprovalStep.request_id)
        .where(
            ApprovalStep.request_id == request_id,
            ApprovalStep.position == turn,
            User.active,
            User.id != Request.requester_id,
        )
    )
    columns = ["request_id", "event", "position", "recipient_id"]
    session.execute(
        insert_or_skip(OutboxEntry).from_select(columns, asked).on_conflict_do_nothing()
    )


def tell_requester(session: Session, request_id: int, decision: Decision) -> None:
    """Write a mail about the end of the request to whoever made it."""
    requester = select(Request.requester_id).where(Request.id == request_id).scalar_subquery()
    session.execute(
        insert_or_skip(OutboxEntry)
        .values(
            request_id=request_id,
            event=decision.request_state.value,
            position=decision.position,
            recipient_id=requester,
        )
        .on_conflict_do_nothing()
    )


def may_send(session: Session) -> bool:
    """Tell whether the feature is on; while it is off, mail waits."""
    return session.scalar(select(Feature.enabled).where(Feature.name == FEATURE)) is True
