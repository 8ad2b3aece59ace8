"""Requests over HTTP; `workflow` changes them and `views` reads them.

A status of 200 or 201 to a POST is sent after COMMIT: the change is then the database's to keep.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final, Literal
from uuid import UUID, uuid4

from fastapi import APIRouter, Path, Query, Response
from pydantic import AfterValidator, BaseModel, Field

from processpilot.demo.application.accounts import caller_of
from processpilot.demo.application.api.access import TheDatabase, Token
from processpilot.demo.application.approvals import RequestState, Verdict
from processpilot.demo.application.database import Database
from processpilot.demo.application.views import (
    HistoryView,
    PageQuery,
    RequestDetail,
    RequestPage,
    page_of_requests,
    request_detail,
    request_history,
)
from processpilot.demo.application.workflow import Draft, create_request, decide_request

router = APIRouter(prefix="/api/requests")

LARGEST_ID: Final = 2**63 - 1
LARGEST_PAGE: Final = 200


def _without_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("PostgreSQL text cannot hold the character NUL")
    return text


PlainText = Annotated[str, AfterValidator(_without_nul)]
RequestId = Annotated[int, Path(ge=1, le=LARGEST_ID)]


class Attachment(BaseModel):
    """A small file, its content in base64."""

    name: PlainText = Field(min_length=1, max_length=200)
    content: PlainText = Field(max_length=200_000, pattern=r"^[A-Za-z0-9+/]*={0,2}$")


class NewRequest(BaseModel):
    """What a client sends to ask for something; without `key` a retry makes a second request."""

    key: UUID = Field(default_factory=uuid4)
    type: Literal["leave", "expenses", "equipment"]
    title: PlainText = Field(min_length=1, max_length=200)
    amount: Decimal | None = Field(default=None, ge=0, max_digits=12, decimal_places=2)
    notes: PlainText = Field(default="", max_length=20_000)
    attachments: list[Attachment] = Field(default_factory=list, max_length=10)


class Remark(BaseModel):
    """What an approver writes beside a verdict."""

    note: PlainText = Field(default="", max_length=2000)


class Created(BaseModel):
    """The number the request got, and the key it is known by."""

    id: int
    key: UUID


class Decided(BaseModel):
    """The state the verdict left the request in."""

    id: int
    state: RequestState


@router.get("")
def page(
    database: TheDatabase,
    token: Token,
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 20,
    before: Annotated[int | None, Query(ge=1, le=LARGEST_ID)] = None,
    state: RequestState | None = None,
    waiting_for_me: bool = False,
) -> RequestPage:
    """List what the caller may see, newest first."""
    query = PageQuery(limit, before, state, waiting_for_me)
    with database.transaction() as session:
        return page_of_requests(session, caller_of(session, token), query)


@router.post("", status_code=201)
def create(database: TheDatabase, token: Token, sent: NewRequest, response: Response) -> Created:
    """Make a request: 201 if it is new, 200 if the same key was stored before."""
    body = sent.model_dump(mode="json", include={"notes", "attachments"})
    draft = Draft(sent.key, sent.type, sent.title, sent.amount, body)
    with database.transaction() as session:
        creation = create_request(session, caller_of(session, token), draft)
    response.status_code = 201 if creation.created else 200
    return Created(id=creation.request_id, key=sent.key)


@router.get("/{request_id}")
def detail(database: TheDatabase, token: Token, request_id: RequestId) -> RequestDetail:
    """Show one request with its steps."""
    with database.transaction() as session:
        return request_detail(session, caller_of(session, token), request_id)


@router.get("/{request_id}/history")
def history(database: TheDatabase, token: Token, request_id: RequestId) -> tuple[HistoryView, ...]:
    """Show what happened to a request, oldest first."""
    with database.transaction() as session:
        return request_history(session, caller_of(session, token), request_id)


@router.post("/{request_id}/approve")
def approve(
    database: TheDatabase, token: Token, request_id: RequestId, remark: Remark | None = None
) -> Decided:
    """Approve the step whose turn it is."""
    return _decide(database, token, request_id, Verdict.APPROVE, remark)


@router.post("/{request_id}/reject")
def reject(
    database: TheDatabase, token: Token, request_id: RequestId, remark: Remark | None = None
) -> Decided:
    """Reject the request at the step whose turn it is."""
    return _decide(database, token, request_id, Verdict.REJECT, remark)


def _decide(
    database: Database, token: str | None, request_id: int, verdict: Verdict, remark: Remark | None
) -> Decided:
    note = remark.note if remark else ""
    with database.transaction() as session:
        caller = caller_of(session, token)
        state = decide_request(session, caller, request_id, verdict, note)
    return Decided(id=request_id, state=state)
