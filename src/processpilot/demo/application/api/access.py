"""What every route needs: the database, and the token the client sent."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from processpilot.demo.application.database import Database

_bearer = HTTPBearer(auto_error=False)


def _database(request: Request) -> Database:
    database = request.app.state.database
    assert isinstance(database, Database)
    return database


def _token(
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> str | None:
    return credentials.credentials if credentials else None


TheDatabase = Annotated[Database, Depends(_database)]
Token = Annotated[str | None, Depends(_token)]
