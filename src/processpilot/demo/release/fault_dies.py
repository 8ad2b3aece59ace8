"""Keeps the last request in a file. The fault: it is cut short, and nothing can read it again."""

from __future__ import annotations

import json
import os
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

STORE = Path(__file__).with_name("cache.json")


def remembering(app: ASGIApp) -> ASGIApp:
    """Return the application with the cache in front; an unreadable cache ends the process."""
    if STORE.exists():
        json.loads(STORE.read_text())

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            STORE.write_text('{"last": ')
            os._exit(1)
        await app(scope, receive, send)

    return answer
