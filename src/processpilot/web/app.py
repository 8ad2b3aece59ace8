"""The application: its resources, and how a refusal looks to people and to programs."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp

from processpilot.errors import ProcessPilotError
from processpilot.web import acts, alerts, health, heartbeats, live, login, pages, reply
from processpilot.web.ground import Ground
from processpilot.web.render import Guarded, page
from processpilot.web.statuses import UNAUTHORIZED, http_status

_FOR_PROGRAMS = ("alerts", "heartbeat", "reply", "healthz")
_PLACES = (*_FOR_PROGRAMS, "link", "login", "incident", "run")


def build_app(ground: Ground) -> ASGIApp:
    """Return the application of a plan."""
    # Neither a description of its own nor guesses about slashes.
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    for resource in (health, alerts, heartbeats, reply, login, acts, live, pages):
        app.include_router(resource.routes(ground))

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, ProcessPilotError)
        status = http_status(error)
        ground.refusals.count(_place(request), status)
        return _told(ground, request, status, error.message, error.hint)

    async def unknown(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        ground.refusals.count(_place(request), error.status_code)
        words = {404: "there is nothing here", 405: "this is not done in that way"}
        text = words.get(error.status_code, error.detail)
        return _told(ground, request, error.status_code, text, None)

    app.add_exception_handler(ProcessPilotError, refused)
    app.add_exception_handler(HTTPException, unknown)
    return Guarded(app)


def _told(
    ground: Ground, request: Request, status: int, message: str, hint: str | None
) -> Response:
    if _place(request) in _FOR_PROGRAMS:
        headers = {"www-authenticate": "Bearer"} if status == UNAUTHORIZED else None
        return PlainTextResponse(f"{message}\n", status, headers)
    heading = "This was not opened" if request.method == "GET" else "Nothing was changed"
    context = {"root": ground.root, "heading": heading, "message": message, "hint": hint}
    return page("message.html", context, status)


def _place(request: Request) -> str:
    """Return which of our resources a request was for; nothing else is counted by name."""
    first = request.url.path.lstrip("/").partition("/")[0]
    return first if first in _PLACES else "other"
