"""Assembles the web application: routes, the table of statuses, the frontend."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

from processpilot.demo.application.api import auth, health, requests
from processpilot.demo.application.api.deadline import Deadline
from processpilot.demo.application.database import Database
from processpilot.demo.application.errors import (
    ApplicationError,
    ConflictError,
    DatabaseAwayError,
    ForbiddenError,
    NotAuthenticatedError,
    NotFoundError,
)

STATIC: Final = Path(__file__).parent.with_name("static")

STATUS_OF: Final[dict[type[ApplicationError], int]] = {
    NotAuthenticatedError: 401,
    ForbiddenError: 403,
    NotFoundError: 404,
    ConflictError: 409,
    DatabaseAwayError: 503,
}

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def create_app(database: Database, release: str) -> FastAPI:
    """Return the application; it opens connections on the first request and closes the pool.

    Every answer says which release it comes from.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        database.close()

    app = FastAPI(title="Workflow", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.database = database
    app.state.release = release
    app.add_exception_handler(ApplicationError, _answer_error)
    app.middleware("http")(_add_headers)
    app.add_middleware(Deadline)
    app.include_router(health.router)
    app.include_router(auth.router)
    app.include_router(requests.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_api_route("/", _frontend, include_in_schema=False)
    return app


async def _frontend() -> FileResponse:
    return FileResponse(STATIC / "index.html")


async def _answer_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApplicationError)
    status = STATUS_OF[type(error)]
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse({"error": str(error)}, status_code=status, headers=headers)


async def _add_headers(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    response = await call_next(request)
    response.headers.update(HEADERS)
    response.headers["X-Release"] = request.app.state.release
    if not request.url.path.startswith("/static"):
        response.headers["Cache-Control"] = "no-store"
    return response
