"""Read-only pages for people: where everything stands, an incident, a run."""

from __future__ import annotations

import re
from collections.abc import Mapping

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from processpilot.errors import NotFoundError
from processpilot.web.ground import Ground
from processpilot.web.links import Link
from processpilot.web.render import page
from processpilot.web.standing import read_incident_view, read_run_view, read_standing

_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,99}")


def routes(ground: Ground) -> APIRouter:
    """Return the resources."""
    router = APIRouter()

    def shown(template: str, visitor: Link, context: Mapping[str, object]) -> Response:
        common = {"root": ground.root, "visitor": visitor.who, "name": ground.plan.name}
        return page(template, {**common, **context})

    @router.get("/")
    def overview(request: Request) -> Response:
        visitor = ground.visitor(request)
        standing = read_standing(ground.wired, ground.problems())
        refused = sorted(ground.refusals.counts().items())
        return shown("overview.html", visitor, {"standing": standing, "refused": refused})

    @router.get("/incident/{incident_id}")
    def incident(request: Request, incident_id: str) -> Response:
        visitor = ground.visitor(request)
        view = read_incident_view(ground.wired, checked(incident_id))
        return shown("incident.html", visitor, {"view": view})

    @router.get("/run/{run_id}")
    def run(request: Request, run_id: str) -> Response:
        visitor = ground.visitor(request)
        return shown("run.html", visitor, {"view": read_run_view(ground.wired, checked(run_id))})

    return router


def checked(identifier: str) -> str:
    """Return an identifier of an address; NotFoundError for what can be none of ours."""
    if not _ID.fullmatch(identifier):
        raise NotFoundError("there is nothing of that name here")
    return identifier
