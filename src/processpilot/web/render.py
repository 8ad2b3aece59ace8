"""Pages: templates, the one style sheet and script inside them, and the headers of every answer."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.datastructures import MutableHeaders
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from processpilot.evidence.page import format_duration
from processpilot.plan.wording import visible

_TEMPLATES = Path(__file__).with_name("templates")


def page(template: str, context: Mapping[str, object], status: int = 200) -> HTMLResponse:
    """Return a page as an answer."""
    return HTMLResponse(fragment(template, context), status)


def fragment(template: str, context: Mapping[str, object]) -> str:
    """Return the text of a template; whatever is put into it is escaped."""
    return _environment().get_template(template).render(context)


class Guarded:
    """An application whose every answer carries the headers that keep browsers careful."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def careful(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_headers())
            await send(message)

        await self._app(scope, receive, careful)


@cache
def _headers() -> dict[str, str]:
    policy = (
        "default-src 'none'",
        f"style-src {_digest('style.css')}",
        f"script-src {_digest('live.js')}",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
    return {
        "content-security-policy": "; ".join(policy),
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "x-frame-options": "DENY",
        "x-robots-tag": "noindex",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Whatever an alert says, nothing in it hides what it is.
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
    environment.filters |= {
        "duration": format_duration,
        "moment": _moment,
        "clock": lambda at: f"{at.astimezone(UTC):%H:%M:%S}",
    }
    environment.globals |= {"style": Markup(_text("style.css")), "live": Markup(_text("live.js"))}  # noqa: S704
    return environment


@cache
def _text(name: str) -> str:
    return (_TEMPLATES / name).read_text()


def _digest(name: str) -> str:
    """Return how a policy names what stands inside the page."""
    found = hashlib.sha256(_text(name).encode()).digest()
    return f"'sha256-{base64.b64encode(found).decode()}'"


def _moment(at: datetime | None) -> str:
    return "not yet" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
