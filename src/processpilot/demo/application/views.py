"""What callers see of requests: pages of them, one in full, its history. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, exists, select
from sqlalchemy.orm import Session, aliased

from processpilot.demo.application.accounts import Caller
from processpilot.demo.application.approvals import RequestState, StepState
from processpilot.demo.application.errors import NotFoundError
from processpilot.demo.application.tables import (
    ApprovalStep,
    Body,
    HistoryEntry,
    Request,
    RequestType,
    Role,
    User,
)

APPROVER_ROLES: Final = frozenset({"manager", "finance", "admin"})


@dataclass(frozen=True, slots=True)
class RequestSummary:
    """A request as a line of a list."""

    id: int
    key: UUID
    type: str
    title: str
    amount: Decimal | None
    state: str
    requester: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StepView:
    """A step with the name of whoever decided it."""

    position: int
    role: str
    state: str
    decided_by: str | None
    decided_at: datetime | None


@dataclass(frozen=True, slots=True)
class RequestDetail:
    """A request in full; steps in order of position."""

    summary: RequestSummary
    body: Body
    steps: tuple[StepView, ...]


@dataclass(frozen=True, slots=True)
class RequestPage:
    """Requests, newest first; `next_before` asks for the page after, None means the end."""

    items: tuple[RequestSummary, ...]
    next_before: int | None


@dataclass(frozen=True, slots=True)
class HistoryView:
    """One thing that happened."""

    event: str
    actor: str
    position: int | None
    note: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class PageQuery:
    """Which requests to list: numbers below `before`, at most `limit` (1 to 200)."""

    limit: int = 20
    before: int | None = None
    state: RequestState | None = None
    waiting_for_me: bool = False


def may_see(caller: Caller, requester_id: int) -> bool:
    """Tell whether the caller may know of a request: approvers of all, others of their own."""
    return caller.user_id == requester_id or bool(caller.roles & APPROVER_ROLES)


def page_of_requests(session: Session, caller: Caller, query: PageQuery) -> RequestPage:
    """Return one page of what the caller may see."""
    statement = _summaries().order_by(Request.id.desc()).limit(query.limit + 1)
    if not caller.roles & APPROVER_ROLES:
        statement = statement.where(Request.requester_id == caller.user_id)
    if query.before is not None:
        statement = statement.where(Request.id < query.before)
    if query.state is not None:
        statement = statement.where(Request.state == query.state.value)
    if query.waiting_for_me:
        statement = _waiting_for(statement, caller)
    items = tuple(RequestSummary(*row) for row in session.execute(statement))
    if len(items) <= query.limit:
        return RequestPage(items, None)
    return RequestPage(items[: query.limit], items[query.limit - 1].id)


def request_detail(session: Session, caller: Caller, request_id: int) -> RequestDetail:
    """Return the request with its body and steps, or raise NotFoundError."""
    row = session.execute(
        _summaries().add_columns(Request.body, Request.requester_id).where(Request.id == request_id)
    ).first()
    if row is None or not may_see(caller, row.requester_id):
        raise NotFoundError(f"no request {request_id}")
    steps = session.execute(
        select(
            ApprovalStep.position,
            Role.name,
            ApprovalStep.state,
            User.name,
            ApprovalStep.decided_at,
        )
        .join(Role, Role.id == ApprovalStep.role_id)
        .outerjoin(User, User.id == ApprovalStep.decided_by)
        .where(ApprovalStep.request_id == request_id)
        .order_by(ApprovalStep.position)
    )
    return RequestDetail(
        RequestSummary(*row[:-2]), row.body, tuple(StepView(*step) for step in steps)
    )


def request_history(session: Session, caller: Caller, request_id: int) -> tuple[HistoryView, ...]:
    """Return what happened to the request, oldest first, or raise NotFoundError."""
    requester_id = session.scalar(select(Request.requester_id).where(Request.id == request_id))
    if requester_id is None or not may_see(caller, requester_id):
        raise NotFoundError(f"no request {request_id}")
    rows = session.execute(
        select(
            HistoryEntry.event,
            User.name,
            HistoryEntry.position,
            HistoryEntry.note,
            HistoryEntry.created_at,
        )
        .join(User, User.id == HistoryEntry.actor_id)
        .where(HistoryEntry.request_id == request_id)
        .order_by(HistoryEntry.id)
    )
    return tuple(HistoryView(*row) for row in rows)


def _summaries() -> Select[*tuple[Any, ...]]:
    return (
        select(
            Request.id,
            Request.key,
            RequestType.name,
            Request.title,
            Request.amount,
            Request.state,
            User.name,
            Request.created_at,
        )
        .join(RequestType, RequestType.id == Request.request_type_id)
        .join(User, User.id == Request.requester_id)
    )


def _waiting_for(statement: Select[*tuple[Any, ...]], caller: Caller) -> Select[*tuple[Any, ...]]:
    """Keep the requests whose turn it is for one of the caller's roles, and not their own."""
    earlier = aliased(ApprovalStep)
    waiting = StepState.WAITING.value
    return (
        statement.join(ApprovalStep, ApprovalStep.request_id == Request.id)
        .join(Role, Role.id == ApprovalStep.role_id)
        .where(
            Request.requester_id != caller.user_id,
            Role.name.in_(caller.roles),
            ApprovalStep.state == waiting,
            ~exists().where(
                earlier.request_id == ApprovalStep.request_id,
                earlier.position < ApprovalStep.position,
                earlier.state == waiting,
            ),
        )
    )
