"""Looking without acting: a signed link becomes a session, kept in a cookie.

A session shows pages and does nothing else: what a message let somebody do, it let them do once,
and a channel that several people read must not make all of them one of them.
"""

from __future__ import annotations

import re

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from processpilot.web.acts import check_form, form_token
from processpilot.web.ground import COOKIE, FORM_FIELD, Ground, read_form
from processpilot.web.links import SESSION_TTL_S, Purpose
from processpilot.web.render import page

_PAGE = re.compile(r"((incident|run)/[0-9A-Za-z._-]{1,100})?")


def routes(ground: Ground) -> APIRouter:
    """Return the resource."""
    router = APIRouter()

    @router.get("/login/{token}")
    def show(token: str) -> Response:
        link = ground.links.opened(token, (Purpose.LOGIN,))
        context = {
            "root": ground.root,
            "plan": ground.plan.name,
            "link": link,
            "token": token,
            "form": form_token(ground, token),
        }
        return page("login.html", context)

    @router.post("/login/{token}")
    async def enter(token: str, request: Request) -> Response:
        fields = await read_form(request)
        return await run_in_threadpool(_enter, ground, token, fields.get(FORM_FIELD, ""))

    return router


def _enter(ground: Ground, token: str, form: str) -> Response:
    link = ground.links.opened(token, (Purpose.LOGIN,))
    check_form(ground, token, form)
    first = link.subject if _PAGE.fullmatch(link.subject) else ""
    answer = RedirectResponse(f"{ground.root}/{first}", 303)
    answer.set_cookie(
        COOKIE,
        ground.links.token(Purpose.SESSION, "", "", link.who, SESSION_TTL_S),
        max_age=int(SESSION_TTL_S),
        path=f"{ground.root}/",
        secure=ground.links.url.startswith("https://"),
        httponly=True,
        samesite="strict",
    )
    return answer
