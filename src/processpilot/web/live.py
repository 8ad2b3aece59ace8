"""GET /run/ID/events: a run's page kept up to date by server-sent events.

Each event carries the part of the page that changes, as the page itself shows it. The connection
is ended after a while, and the browser begins a new one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse

from processpilot.errors import ProcessPilotError, UnavailableError
from processpilot.web.ground import Ground
from processpilot.web.pages import checked
from processpilot.web.render import fragment
from processpilot.web.standing import read_run_view

MOST_STREAMS = 32
_LOOK_S = 1.0
_LOOKS = 900
# A reader who takes nothing keeps a stream open; after this it is cut off.
_LONGEST_S = 1000.0


def routes(ground: Ground) -> APIRouter:
    """Return the resource."""
    router = APIRouter()
    streams = _Streams(ground)

    @router.get("/run/{run_id}/events")
    async def events(request: Request, run_id: str) -> StreamingResponse:
        ground.visitor(request)
        first = await run_in_threadpool(_look, ground, checked(run_id))
        return streams.begin(run_id, first)

    return router


class _Streams:
    """The streams that are open; no more than `MOST_STREAMS` are."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._open_count = 0

    def begin(self, run_id: str, first: tuple[str, bool]) -> StreamingResponse:
        """Return the answer that follows a run."""
        if self._open_count >= MOST_STREAMS:
            raise UnavailableError(f"{MOST_STREAMS} people follow runs already", transient=True)
        return _Bounded(self._follow(run_id, first), media_type="text/event-stream")

    async def _follow(self, run_id: str, look: tuple[str, bool]) -> AsyncIterator[str]:
        self._open_count += 1
        try:
            shown = None
            for _ in range(_LOOKS):
                text, is_finished = look
                if text != shown:
                    yield _event("run", text)
                    shown = text
                if is_finished:
                    yield _event("end", "")
                    return
                await asyncio.sleep(_LOOK_S)
                if self._ground.stopping.is_set():
                    return
                try:
                    look = await run_in_threadpool(_look, self._ground, run_id)
                except ProcessPilotError:
                    return  # The browser asks again, and the page then says what is wrong.
        finally:
            self._open_count -= 1


class _Bounded(StreamingResponse):
    async def listen_for_disconnect(self, receive: object) -> None:
        """End with the reader, and at the latest after a while."""
        try:
            async with asyncio.timeout(_LONGEST_S):
                await super().listen_for_disconnect(receive)  # type: ignore[arg-type]
        except TimeoutError:
            return


def _look(ground: Ground, run_id: str) -> tuple[str, bool]:
    """Return the changing part of a run's page, and whether it is the last."""
    view = read_run_view(ground.wired, run_id)
    return fragment("run_now.html", {"view": view, "root": ground.root}), view.run.is_finished


def _event(name: str, text: str) -> str:
    lines = "".join(f"data: {line}\n" for line in text.splitlines() or [""])
    return f"event: {name}\n{lines}\n"
