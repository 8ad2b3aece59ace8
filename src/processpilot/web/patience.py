"""Connections that send nothing: they are let go after a while, and there are only so many.

uvicorn waits for a request's head without an end, and takes any number of connections. This server
lives in the agent's process, whose files and memory a flood must not use up.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 10.0
MOST_CONNECTIONS = 128


class ImpatientProtocol(H11Protocol):
    """HTTP/1.1 whose requests begin within 10 s of the connection, or of the answer before."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or drop it when there are too many."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
            return
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._forget()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._wait()
        super().on_response_complete()

    def _wait(self) -> None:
        self._forget()
        self._deadline = self.loop.call_later(HEAD_S, self._give_up)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        """Drop the connection unless a request is being answered; its body has its own limit."""
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()
