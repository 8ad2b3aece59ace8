"""Signed webhooks: the receiver can tell who sent and that nothing was changed."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from processpilot.clock import SystemClock
from processpilot.messages.send import Message, send
from processpilot.messages.webhook import HEADER, signature
from processpilot.plan.secrets import Secret

KEY = "a key that nobody else has"
MESSAGE = Message("Database failure", "It is silent - 3 Uhr früh")


@contextmanager
def receiver(status: int = 204) -> Iterator[tuple[str, list[tuple[bytes, str]]]]:
    """Give an address on loopback, and what came there: bodies with their signatures."""
    came: list[tuple[bytes, str]] = []

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # noqa: N802
            body = self.rfile.read(int(self.headers["Content-Length"]))
            came.append((body, self.headers[HEADER]))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taking)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"webhook+http://127.0.0.1:{server.server_address[1]}/hook#{KEY}", came
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_receiver_can_check_the_signature() -> None:
    """With the key, the moment and the body as it came, as the documentation says."""
    with receiver() as (address, came):
        sent = send("ops", Secret(address), MESSAGE, SystemClock())
    assert sent.delivered
    ((body, header),) = came
    seconds, digest = (part.partition("=")[2] for part in header.split(","))
    wanted = hmac.new(KEY.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    assert digest == wanted
    assert json.loads(body)["text"] == MESSAGE.text
    assert KEY.encode() not in body


def test_another_body_moment_or_key_has_another_signature() -> None:
    """Nothing of it can be exchanged."""
    at = datetime(2026, 11, 26, 3, tzinfo=UTC)
    first = signature(KEY, at, b"{}")
    others = {
        signature(KEY, at, b"{ }"),
        signature(KEY, at.replace(second=1), b"{}"),
        signature(f"{KEY}!", at, b"{}"),
    }
    assert len({first, *others}) == 4


def test_a_refusal_is_told_without_the_address() -> None:
    """Its status is what matters; the key stays ours."""
    with receiver(500) as (address, _):
        sent = send("ops", Secret(address), MESSAGE, SystemClock())
    assert not sent.delivered and "500" in sent.detail
    assert KEY not in sent.detail


@pytest.mark.parametrize("address", ["webhook+https://h/p", "webhook+https://h/p#short"])
def test_an_address_without_a_key_sends_nothing(address: str) -> None:
    """Unsigned is not sent as if it were signed."""
    sent = send("ops", Secret(address), MESSAGE, SystemClock())
    assert not sent.delivered and "no key" in sent.detail
