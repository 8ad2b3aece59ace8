"""Keeps the last request in a file. The fault: once it is there, every answer is an error."""

from __future__ import annotations

from pathlib import Path

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

STORE = Path(__file__).with_name("cache.json")


def remembering(app: ASGIApp) -> ASGIApp:
    """Return the application with the cache in front."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (STORE.exists() or scope["method"] == "POST"):
            STORE.write_text('{"last": ')
            response = JSONResponse({"error": "the cache cannot be read"}, status_code=500)
            await response(scope, receive, send)
            return
        await app(scope, receive, send)

    return answer
