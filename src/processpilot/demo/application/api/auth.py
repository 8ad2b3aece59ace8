"""Logging in and out over HTTP; `accounts` decides."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from processpilot.demo.application.accounts import Caller, caller_of, log_in, log_out
from processpilot.demo.application.api.access import TheDatabase, Token
from processpilot.demo.application.errors import NotAuthenticatedError
from processpilot.demo.application.health import check_database

router = APIRouter(prefix="/api/auth")


class Credentials(BaseModel):
    """What a login form sends."""

    user: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00]+$")
    password: str = Field(min_length=1, max_length=200)


class Status(BaseModel):
    """Who is logged in; `user` and `roles` are there only if somebody is."""

    authenticated: bool
    user: str | None = None
    roles: list[str] | None = None


class LoginAnswer(BaseModel):
    """The bearer token for the next requests, and until when it works."""

    token: str
    expires_at: datetime
    user: str
    roles: list[str]


@router.get("/status", response_model_exclude_none=True)
def status(database: TheDatabase, token: Token) -> Status:
    """Tell who the token belongs to; the database is asked even when there is none."""
    if token is None:
        check_database(database)
        return Status(authenticated=False)
    try:
        with database.transaction() as session:
            caller = caller_of(session, token)
    except NotAuthenticatedError:
        return Status(authenticated=False)
    return Status(authenticated=True, user=caller.name, roles=_roles(caller))


@router.post("/login")
def login(database: TheDatabase, credentials: Credentials) -> LoginAnswer:
    """Exchange name and password for a token."""
    with database.transaction() as session:
        made = log_in(session, credentials.user, credentials.password)
    return LoginAnswer(
        token=made.token,
        expires_at=made.expires_at,
        user=made.caller.name,
        roles=_roles(made.caller),
    )


@router.post("/logout")
def logout(database: TheDatabase, token: Token) -> Status:
    """Revoke the token that was sent."""
    with database.transaction() as session:
        log_out(session, token)
    return Status(authenticated=False)


def _roles(caller: Caller) -> list[str]:
    return sorted(caller.roles)
