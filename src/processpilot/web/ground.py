"""What every resource works with, and what each request is checked for at the door."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import ClientDisconnect, Request

from processpilot.plan.model import Plan
from processpilot.web.admission import Refusals, admit, bearer
from processpilot.web.links import Link, Links, Purpose
from processpilot.web.statuses import (
    MALFORMED,
    TOO_LARGE,
    TOO_SLOW,
    UNAUTHORIZED,
    RequestError,
)
from processpilot.wiring.wired import Wired

COOKIE = "processpilot"
FORM_FIELD = "form"
FORM_BYTES = 16 << 10
BODY_S = 10.0
_MOST_FIELDS = 20

Problems = Callable[[], Sequence[str]]


@dataclass(frozen=True)
class Ground:
    """The plan, opened; what makes and opens its links; what is wrong with the agent now."""

    wired: Wired
    links: Links
    problems: Problems
    refusals: Refusals = field(default_factory=Refusals)
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def plan(self) -> Plan:
        """The plan."""
        return self.wired.loaded.plan

    @cached_property
    def root(self) -> str:
        """The path below which people see this server; empty when it is the whole host."""
        return urlsplit(self.links.url).path.rstrip("/")

    def admit(self, place: str, request: Request) -> None:
        """Return when a program may come in, by the address's last part or its bearer token."""
        token = request.path_params.get("token")
        shown = bearer(request.headers.get("authorization")) if token is None else str(token)
        admit(self.links.secret, place, shown)

    def visitor(self, request: Request) -> Link:
        """Return whose session a request belongs to; RequestError without one."""
        token = request.cookies.get(COOKIE)
        if token is None:
            raise RequestError(UNAUTHORIZED, "this page opens with a personal link")
        return self.links.opened(token, (Purpose.SESSION,))


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """Return a request's body; RequestError for one that is too long or comes too slowly."""
    too_large = RequestError(TOO_LARGE, f"the body is larger than {limit_bytes} bytes")
    if int(request.headers.get("content-length", "0")) > limit_bytes:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for part in request.stream():
                body += part
                if len(body) > limit_bytes:
                    raise too_large
    except (TimeoutError, ClientDisconnect):
        raise RequestError(TOO_SLOW, f"the body did not arrive within {BODY_S:g} s") from None
    return bytes(body)


async def read_form(request: Request, limit_bytes: int = FORM_BYTES) -> dict[str, str]:
    """Return the fields of a form as browsers and gateways send it, the last of each name."""
    body = await read_body(request, limit_bytes)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise RequestError(MALFORMED, "the body is no form") from None
    return dict(pairs)
