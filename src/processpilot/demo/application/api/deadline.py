"""The last time limit: an answer is given even while a worker thread is stuck in the database.

The limits in `database` cover a server that is gone or slow. A server that is frozen keeps its
connections alive and answers nothing; only the web layer can then still say so.
"""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

DEADLINE_S: Final = 4.0


class Deadline:
    """Answers 503 in place of an application that has not begun to answer in time.

    The work itself is left to end by itself: what it commits later is unknown to the caller.
    """

    def __init__(self, app: ASGIApp, seconds: float = DEADLINE_S) -> None:
        self._app = app
        self._seconds = seconds
        self._late: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request of the ASGI protocol."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send)
        task = asyncio.ensure_future(self._run(scope, receive, answer))
        done, _ = await asyncio.wait({task}, timeout=self._seconds)
        if done or answer.begun:
            await task
            return
        answer.abandoned = True
        self._late.add(task)
        task.add_done_callback(self._forget)
        reason = f"the database did not answer within {self._seconds:g} s"
        await JSONResponse({"error": reason}, status_code=503)(scope, receive, send)

    async def _run(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        await self._app(scope, receive, answer)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._late.discard(task)
        if not task.cancelled():
            task.exception()  # Marks it as seen: nobody waits for this answer any more.


class _Answer:
    """The way back to the client, closed once the deadline has answered."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False
        self.abandoned = False

    async def __call__(self, message: Message) -> None:
        if not self.abandoned:
            self.begun = True
            await self._send(message)
