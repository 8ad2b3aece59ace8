"""Who is calling: logging in, the token that proves it, logging out. `approvals` says who may."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from processpilot.demo.application.errors import NotAuthenticatedError
from processpilot.demo.application.passwords import hash_password, password_matches
from processpilot.demo.application.tables import LoginSession, Role, User, UserRole

SESSION_LIFETIME: Final = timedelta(hours=12)
TOKEN_BYTES: Final = 32

# Checked when the name is unknown, so that the answer takes as long as for a wrong password.
NOBODYS_HASH: Final = hash_password(secrets.token_hex(16))


@dataclass(frozen=True, slots=True)
class Caller:
    """A logged-in user and the names of their roles."""

    user_id: int
    name: str
    roles: frozenset[str]


@dataclass(frozen=True, slots=True)
class Login:
    """A fresh session; the token is shown this once and cannot be read back."""

    token: str = field(repr=False)
    expires_at: datetime
    caller: Caller


def log_in(session: Session, name: str, password: str) -> Login:
    """Return a new login, or raise NotAuthenticatedError without telling which part was wrong."""
    user = session.scalar(select(User).where(User.name == name, User.active))
    if not password_matches(password, user.password_hash if user else NOBODYS_HASH) or not user:
        raise NotAuthenticatedError("wrong name or password")
    token = secrets.token_urlsafe(TOKEN_BYTES)
    row = LoginSession(
        token_hash=_token_hash(token), user_id=user.id, expires_at=func.now() + SESSION_LIFETIME
    )
    session.add(row)
    session.flush()
    session.refresh(row)
    return Login(token, row.expires_at, _caller(session, user.id, user.name))


def caller_of(session: Session, token: str | None) -> Caller:
    """Return whose token it is; an unknown, expired or revoked one raises NotAuthenticatedError."""
    row = session.execute(
        select(User.id, User.name)
        .join(LoginSession, LoginSession.user_id == User.id)
        .where(
            LoginSession.token_hash == _token_hash(token or ""),
            LoginSession.revoked_at.is_(None),
            LoginSession.expires_at > func.now(),
            User.active,
        )
    ).first()
    if row is None:
        raise NotAuthenticatedError("log in first")
    return _caller(session, row.id, row.name)


def log_out(session: Session, token: str | None) -> None:
    """Revoke the token; it never works again. Doing so twice changes nothing."""
    session.execute(
        update(LoginSession)
        .where(LoginSession.token_hash == _token_hash(token or ""))
        .where(LoginSession.revoked_at.is_(None))
        .values(revoked_at=func.now())
    )


def _caller(session: Session, user_id: int, name: str) -> Caller:
    roles = session.scalars(
        select(Role.name)
        .join(UserRole, UserRole.role_id == Role.id)
        .where(UserRole.user_id == user_id)
    )
    return Caller(user_id, name, frozenset(roles))


def _token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
