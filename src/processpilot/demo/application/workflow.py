"""Requests in the database: made, listed, decided, remembered.

Every change writes its history, and the mail about it, in the caller's transaction. `approvals`
holds the rule; `views` holds what is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_skip
from sqlalchemy.orm import Session

from processpilot.demo.application.accounts import Caller
from processpilot.demo.application.approvals import (
    Decision,
    RequestState,
    Step,
    StepState,
    Verdict,
    decide,
)
from processpilot.demo.application.errors import ConflictError, ForbiddenError, NotFoundError
from processpilot.demo.application.outbox import ask_next, tell_requester
from processpilot.demo.application.tables import (
    ApprovalPath,
    ApprovalStep,
    Body,
    HistoryEntry,
    Request,
    RequestType,
    Role,
)
from processpilot.demo.application.views import may_see


@dataclass(frozen=True, slots=True)
class Draft:
    """A request as its author sends it."""

    key: UUID
    type_name: str
    title: str
    amount: Decimal | None = None
    body: Body = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Creation:
    """The number of the request, and whether this call made it or a former one had."""

    request_id: int
    created: bool


def create_request(session: Session, caller: Caller, draft: Draft) -> Creation:
    """Store the draft with its approval steps, or find what the same key stored before.

    Raises NotFoundError for an unknown type and ConflictError if another user has used the key.
    """
    type_id = session.scalar(select(RequestType.id).where(RequestType.name == draft.type_name))
    if type_id is None:
        raise NotFoundError(f"no request type {draft.type_name!r}")
    request_id = session.scalar(
        insert_or_skip(Request)
        .values(
            key=draft.key,
            request_type_id=type_id,
            requester_id=caller.user_id,
            title=draft.title,
            amount=draft.amount,
            body=draft.body,
        )
        .on_conflict_do_nothing(index_elements=[Request.key])
        .returning(Request.id)
    )
    if request_id is None:
        return Creation(_made_before(session, caller, draft.key), created=False)
    path = select(request_id, ApprovalPath.position, ApprovalPath.role_id).where(
        ApprovalPath.request_type_id == type_id
    )
    session.execute(insert(ApprovalStep).from_select(["request_id", "position", "role_id"], path))
    session.add(HistoryEntry(request_id=request_id, actor_id=caller.user_id, event="created"))
    ask_next(session, request_id)
    return Creation(request_id, created=True)


def decide_request(
    session: Session, caller: Caller, request_id: int, verdict: Verdict, note: str
) -> RequestState:
    """Apply the caller's verdict to the step whose turn it is and return the request's new state.

    The request's row is locked until the transaction ends, so that of two simultaneous verdicts
    the second is judged by what the first left. Nobody decides their own request.
    """
    request = session.scalar(select(Request).where(Request.id == request_id).with_for_update())
    if request is None or not may_see(caller, request.requester_id):
        raise NotFoundError(f"no request {request_id}")
    if request.requester_id == caller.user_id:
        raise ForbiddenError(f"request {request_id} is your own; somebody else decides it")
    decision = decide(_steps(session, request_id), verdict, caller.roles)
    _store_decision(session, caller, request_id, decision)
    session.add_all(_entries(caller, request_id, decision, note))
    if decision.request_state is RequestState.PENDING:
        ask_next(session, request_id)
    else:
        tell_requester(session, request_id, decision)
    return decision.request_state


def _made_before(session: Session, caller: Caller, key: UUID) -> int:
    row = session.execute(select(Request.id, Request.requester_id).where(Request.key == key)).one()
    if row.requester_id != caller.user_id:
        raise ConflictError(f"the key {key} belongs to another request")
    return int(row.id)


def _steps(session: Session, request_id: int) -> list[Step]:
    rows = session.execute(
        select(ApprovalStep.position, Role.name, ApprovalStep.state)
        .join(Role, Role.id == ApprovalStep.role_id)
        .where(ApprovalStep.request_id == request_id)
    )
    return [Step(position, role, StepState(state)) for position, role, state in rows]


def _store_decision(session: Session, caller: Caller, request_id: int, decision: Decision) -> None:
    of_request = update(ApprovalStep).where(ApprovalStep.request_id == request_id)
    session.execute(
        of_request.where(ApprovalStep.position == decision.position).values(
            state=decision.step_state.value, decided_by=caller.user_id, decided_at=func.now()
        )
    )
    session.execute(
        of_request.where(ApprovalStep.position.in_(decision.cancelled)).values(
            state=StepState.CANCELLED.value
        )
    )
    session.execute(
        update(Request)
        .where(Request.id == request_id)
        .values(state=decision.request_state.value, updated_at=func.now())
    )


def _entries(
    caller: Caller, request_id: int, decision: Decision, note: str
) -> Sequence[HistoryEntry]:
    step = HistoryEntry(
        request_id=request_id,
        actor_id=caller.user_id,
        event=f"step_{decision.step_state.value}",
        position=decision.position,
        note=note,
    )
    if decision.request_state is RequestState.PENDING:
        return [step]
    settled = HistoryEntry(
        request_id=request_id, actor_id=caller.user_id, event=decision.request_state.value
    )
    return [step, settled]
