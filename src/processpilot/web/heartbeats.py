"""GET or POST /heartbeat/ID: a sign of life of another program."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from processpilot.incident.heartbeat import receive_heartbeat
from processpilot.web.admission import heartbeat_place
from processpilot.web.ground import Ground

_METHODS = ["GET", "POST"]


def routes(ground: Ground) -> APIRouter:
    """Return the resource."""
    router = APIRouter()

    @router.api_route("/heartbeat/{name}", methods=_METHODS)
    @router.api_route("/heartbeat/{name}/{token}", methods=_METHODS)
    async def beat(request: Request, name: str) -> Response:
        ground.admit(heartbeat_place(name), request)
        # A body is not read: whatever a program says besides must not make its sign of life miss.
        wired = ground.wired
        at = await run_in_threadpool(
            receive_heartbeat, wired.state_dir, ground.plan, wired.clock, name
        )
        return PlainTextResponse(f"taken at {at:%Y-%m-%d %H:%M:%S} UTC\n")

    return router
