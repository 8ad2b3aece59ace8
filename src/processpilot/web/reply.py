"""POST /reply: what somebody answered to a message, as a chat or SMS gateway passes it on.

Who answered is known by the plan's contacts alone; the gateway's token vouches for the sender it
names. The answer is text that the gateway may send back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from processpilot.errors import NotFoundError, RefusedError
from processpilot.incident.people import acknowledge
from processpilot.incident.record import open_incidents
from processpilot.incident.state import Incident
from processpilot.plan.team import Person, Team
from processpilot.plan.wording import visible
from processpilot.web.admission import REPLY
from processpilot.web.alerts import told_in_one_line
from processpilot.web.ground import Ground, read_body, read_form
from processpilot.web.statuses import MALFORMED, UNKNOWN_SENDER, RequestError
from processpilot.wiring.wired import Wired

LIMIT_BYTES = 16 << 10
SAYS = "Say: ack, ack INCIDENT, or status."
_FORM = "application/x-www-form-urlencoded"


class Reply(BaseModel):
    """What was answered, and the number, address or account it came from."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    text: str = Field(max_length=2000)
    sender: str = Field(min_length=1, max_length=200)


def routes(ground: Ground) -> APIRouter:
    """Return the resource."""
    router = APIRouter()

    @router.post("/reply")
    @router.post("/reply/{token}")
    async def post_reply(request: Request) -> Response:
        ground.admit(REPLY, request)
        answer = await run_in_threadpool(answer_to, ground.wired, await _read(request))
        return PlainTextResponse(visible(answer) + "\n")

    return router


async def _read(request: Request) -> Reply:
    try:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM:
            return Reply.model_validate(await read_form(request, LIMIT_BYTES))
        return Reply.model_validate_json(await read_body(request, LIMIT_BYTES))
    except ValidationError as error:
        raise RequestError(MALFORMED, told_in_one_line(error)) from None


def answer_to(wired: Wired, reply: Reply) -> str:
    """Do what a reply asks for and return what is answered; senders who are not known: 403."""
    person = find_sender(wired.loaded.plan.team, reply.sender)
    if person is None:
        raise RequestError(UNKNOWN_SENDER, "nobody in the plan is reached under that sender")
    match reply.text.strip().rstrip(".!").split():
        case [word] if word.casefold() == "status":
            return "\n".join(_status(open_incidents(wired.journal)))
        case [word] if word.casefold() == "ack":
            return _acknowledge_open(wired, person.name)
        case [word, incident_id] if word.casefold() == "ack":
            return _acknowledge(wired, incident_id, person.name)
    return SAYS


def find_sender(team: Team, sender: str) -> Person | None:
    """Return the one person who is reached under a number, address or account; else None.

    Where two people share it, nobody can be told from the other, so it is nobody's.
    """
    wanted = _key(sender)
    found = [person for person in team.people if wanted and wanted in _keys(person)]
    return found[0] if len(found) == 1 else None


def _keys(person: Person) -> Iterator[str]:
    for contact in (person.phone, person.email, person.chat, *person.accounts):
        if contact is not None:
            yield _key(contact)


def _key(text: str) -> str:
    """Return one spelling of a contact: numbers without blanks and dashes, names without @."""
    plain = text.strip().casefold()
    digits = re.sub(r"[\s()./-]", "", plain)
    if re.fullmatch(r"(\+|00)?\d{5,}", digits):
        return re.sub(r"^00", "+", digits)
    return plain.removeprefix("@")


def _acknowledge_open(wired: Wired, who: str) -> str:
    found = open_incidents(wired.journal)
    waiting = [one for one in found if one.acknowledged_by is None]
    if not waiting:
        return "\n".join(["Nothing waits for an acknowledgement.", *_status(found)])
    if len(waiting) > 1:
        return "\n".join(["Several wait. Say: ack INCIDENT", *_status(waiting)])
    return _acknowledge(wired, waiting[0].incident_id, who)


def _acknowledge(wired: Wired, incident_id: str, who: str) -> str:
    try:
        incident = acknowledge(wired.journal, incident_id, who, "reply")
    except (RefusedError, NotFoundError) as error:
        return f"Nothing was changed: {error.message}."
    return f"Acknowledged by {who}: {incident.title} ({incident.incident_id})."


def _status(incidents: tuple[Incident, ...] | list[Incident]) -> Iterator[str]:
    if not incidents:
        yield "No incident is open."
    for one in incidents:
        whose = one.acknowledged_by or "nobody yet"
        since = f"{one.declared_at:%H:%M} UTC"
        yield f"{one.incident_id} {one.severity} {one.title}, since {since}: {whose}"
