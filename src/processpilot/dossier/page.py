"""The HTML twins of evidence and reviews: pages that need nothing else, for a screen or paper."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from processpilot.evidence.page import format_bytes, format_duration
from processpilot.journal.event import JsonValue

_TEMPLATES = Path(__file__).with_name("templates")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined
    )
    environment.filters |= {
        "duration": format_duration,
        "bytes": format_bytes,
        "moment": _moment,
        "time": _time,
    }
    return environment


def render_pack(pack: Mapping[str, JsonValue], text: bytes) -> str:
    """Return the page of an evidence pack whose canonical JSON is `text`."""
    digest = hashlib.sha256(text).hexdigest()
    return _environment().get_template("evidence.html").render(pack=pack, digest=digest)


def render_review(review: object) -> str:
    """Return the page of a post-incident document."""
    return _environment().get_template("review.html").render(review=review)


def _time(text: object) -> str:
    """Return the time of day of an ISO moment in UTC."""
    return "-" if text is None else str(text)[11:19]


def _moment(text: object) -> str:
    """Return an ISO moment in UTC as people read it; nothing as a dash."""
    return "-" if text is None else f"{str(text)[:19].replace('T', ' ')} UTC"
