"""An HTTP server between a client and an S3 endpoint: passes on, answers itself, or goes wrong."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

Answer = Callable[[BaseHTTPRequestHandler, bytes], tuple[int, dict[str, str], bytes]]


@contextmanager
def answering(answer: Answer) -> Iterator[str]:
    """An HTTP endpoint that answers every request with `answer`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            try:
                status, headers, content = answer(self, body)
            except CutOffError:
                self.close_connection = True
                self.connection.close()
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "content-length" not in headers:
                self.send_header("content-length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)
            if int(headers.get("content-length", len(content))) > len(content):
                self.close_connection = self.command != "HEAD"

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _reply  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def forward(
    endpoint: str, request: BaseHTTPRequestHandler, body: bytes, *, without: str = "connection"
) -> tuple[int, dict[str, str], bytes]:
    """Pass a request on to `endpoint`, all but the header `without`."""
    dropped = ("host", "connection", "accept-encoding", without)
    headers = {k: v for k, v in request.headers.items() if k.lower() not in dropped}
    reply = httpx.request(
        request.command, endpoint + request.path, headers=headers, content=body, trust_env=False
    )
    kept = ("content-length", "content-range", "content-type", "etag", "last-modified")
    headers = {name: reply.headers[name] for name in kept if name in reply.headers}
    return reply.status_code, headers, reply.content


class Trouble(Enum):
    """What happens to a request.

    BUSY: 503 Slow Down. CUT: the connection ends before anything is done. LOST: it is done, and
    the connection ends before the answer. TRUNCATED: half of the answer comes. TWICE: it is done
    twice. STALLED: nothing comes for longer than the client waits.
    """

    BUSY = "busy"
    CUT = "cut"
    LOST = "lost"
    TRUNCATED = "truncated"
    TWICE = "twice"
    STALLED = "stalled"


class CutOffError(Exception):
    """The connection ends here."""


class Troublemaker:
    """Passes requests on to an endpoint and troubles those that `choose` names trouble for."""

    def __init__(self, endpoint: str, choose: Callable[[str], Trouble | None]) -> None:
        self._endpoint = endpoint
        self._choose = choose
        self._lock = threading.Lock()
        self.stall_s = 3.0
        self.made: list[Trouble] = []

    def __call__(
        self, request: BaseHTTPRequestHandler, body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        with self._lock:
            trouble = self._choose(request.command)
            if trouble is not None:
                self.made.append(trouble)
        if trouble is Trouble.BUSY:
            return 503, {}, b"<Error><Code>SlowDown</Code></Error>"
        if trouble is Trouble.CUT:
            raise CutOffError
        if trouble is Trouble.STALLED:
            time.sleep(self.stall_s)
        if trouble is Trouble.TWICE:
            forward(self._endpoint, request, body)
        status, headers, content = forward(self._endpoint, request, body)
        if trouble is Trouble.LOST:
            raise CutOffError
        if trouble is Trouble.TRUNCATED and request.command == "GET":
            headers["content-length"] = str(len(content))
            content = content[: len(content) // 2]
        return status, headers, content


def once(trouble: Trouble, at: int) -> Callable[[str], Trouble | None]:
    """Trouble the `at`-th request (from 1), and no other."""
    seen = 0

    def choose(_method: str) -> Trouble | None:
        nonlocal seen
        seen += 1
        return trouble if seen == at else None

    return choose


def often(seed: int, share: float) -> Callable[[str], Trouble | None]:
    """Trouble that share of all requests, with one kind or another."""
    source = random.Random(seed)
    kinds = [kind for kind in Trouble if kind is not Trouble.STALLED]

    def choose(_method: str) -> Trouble | None:
        return source.choice(kinds) if source.random() < share else None

    return choose
