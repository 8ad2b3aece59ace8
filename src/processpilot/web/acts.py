"""Links in messages: a page that says what it is about, and a button that does it.

Opening a link changes nothing, because mail scanners open links before people do. The button sends
a form that carries a token of its own, so that no other page can press it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from processpilot.errors import LockedError, RefusedError
from processpilot.incident import people as incident_people
from processpilot.incident import updates
from processpilot.runbook import people as run_people
from processpilot.runbook.authority import require_authority
from processpilot.runbook.history import read_run
from processpilot.runbook.people import Person, waiting_step
from processpilot.web.ground import FORM_FIELD, Ground, read_form
from processpilot.web.links import FORM_TTL_S, Link, Purpose
from processpilot.web.matter import ACKNOWLEDGE, APPROVE, DONE, NOT_DONE, REFUSE, look
from processpilot.web.render import page
from processpilot.web.statuses import MALFORMED, RequestError, http_status
from processpilot.wiring.running import team_of
from processpilot.wiring.wired import Wired

LONGEST_COMMENT = 500
_BY_LINK = "link"


def routes(ground: Ground) -> APIRouter:
    """Return the resource."""
    router = APIRouter()

    @router.get("/link/{token}")
    def show(token: str) -> Response:
        return _shown(ground, token, None, 200)

    @router.post("/link/{token}")
    async def press(token: str, request: Request) -> Response:
        fields = await read_form(request)
        return await run_in_threadpool(_press, ground, token, fields)

    return router


def form_token(ground: Ground, token: str) -> str:
    """Return what a form on the page of a link must carry."""
    link = ground.links.opened(token, tuple(Purpose))
    return ground.links.token(Purpose.FORM, _mark(token), "", link.who, FORM_TTL_S)


def check_form(ground: Ground, token: str, shown: str) -> None:
    """Return when a form came from the page of that link; otherwise it is refused."""
    form = ground.links.opened(shown, (Purpose.FORM,))
    if form.subject != _mark(token):
        raise RefusedError("this form belongs to another page")


def _press(ground: Ground, token: str, fields: dict[str, str]) -> Response:
    link = ground.links.opened(token)
    check_form(ground, token, fields.get(FORM_FIELD, ""))
    act = _ACTS.get((link.purpose, fields.get("act", "")))
    if act is None:
        raise RequestError(MALFORMED, "there is no such button on this page")
    comment = fields.get("comment", "").strip()[:LONGEST_COMMENT]
    try:
        act(ground.wired, link, comment)
    except (RefusedError, LockedError) as error:
        # Somebody was quicker, or it is for somebody else: the page says who and when.
        ground.refusals.count("link", http_status(error))
        return _shown(ground, token, error.message, http_status(error))
    return RedirectResponse(f"{ground.root}/link/{token}", 303)


def _shown(ground: Ground, token: str, refusal: str | None, status: int) -> Response:
    link = ground.links.opened(token)
    matter = look(ground.wired, link)
    further = ground.links.token(Purpose.LOGIN, matter.page, "", link.who, FORM_TTL_S)
    context = {
        "root": ground.root,
        "plan": ground.plan.name,
        "link": link,
        "matter": matter,
        "refusal": refusal,
        "token": token,
        "form": form_token(ground, token),
        "further": further,
    }
    return page("link.html", context, status)


def _mark(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()[:32]


def _acknowledge(wired: Wired, link: Link, comment: str) -> None:
    incident_people.acknowledge(wired.journal, link.subject, link.who, _BY_LINK)


def _approve_update(wired: Wired, link: Link, comment: str) -> None:
    plan = wired.loaded.plan
    updates.approve(wired.journal, plan, link.subject, link.item, by=link.who, text=None)


def _refuse_update(wired: Wired, link: Link, comment: str) -> None:
    plan = wired.loaded.plan
    updates.refuse(wired.journal, plan, link.subject, link.item, by=link.who, reason=comment)


def _person(wired: Wired, link: Link) -> Person:
    state = read_run(wired.journal, link.subject)
    return Person(wired.journal, link.subject, link.who, team_of(wired, state))


def _approve_step(wired: Wired, link: Link, comment: str) -> None:
    run_people.approve(_person(wired, link), link.item, comment or None)


def _refuse_step(wired: Wired, link: Link, comment: str) -> None:
    run_people.refuse(_person(wired, link), link.item, comment or None)


def _confirm(wired: Wired, link: Link, comment: str, *, done: bool) -> None:
    person = _person(wired, link)
    state = read_run(wired.journal, link.subject)
    step = waiting_step(state, link.item, lambda one: one.is_manual)
    if step.spec.role is not None:
        require_authority(person.team, state.roles, step.spec.role, link.who)
    run_people.confirm(person, link.item, done=done, comment=comment or None)


_ACTS: dict[tuple[Purpose, str], Callable[[Wired, Link, str], None]] = {
    (Purpose.ACKNOWLEDGE, ACKNOWLEDGE): _acknowledge,
    (Purpose.UPDATE, APPROVE): _approve_update,
    (Purpose.UPDATE, REFUSE): _refuse_update,
    (Purpose.STEP, APPROVE): _approve_step,
    (Purpose.STEP, REFUSE): _refuse_step,
    (Purpose.STEP, DONE): lambda wired, link, said: _confirm(wired, link, said, done=True),
    (Purpose.STEP, NOT_DONE): lambda wired, link, said: _confirm(wired, link, said, done=False),
}
