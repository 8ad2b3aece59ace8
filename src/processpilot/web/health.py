"""GET /healthz: whether the agent is well, for anybody who asks; nothing else is told."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from processpilot import __version__
from processpilot.web.ground import Ground


def routes(ground: Ground) -> APIRouter:
    """Return the resource."""
    router = APIRouter()

    @router.get("/healthz")
    def healthz() -> Response:
        is_well = not ground.problems()
        document = {"status": "ok" if is_well else "failing", "version": __version__}
        return JSONResponse(document, 200 if is_well else 503)

    return router
