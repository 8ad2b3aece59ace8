"""Servers on the loopback that take messages: one over HTTP, one over SMTP."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass
class HttpReceiver:
    """What came over HTTP, and the status each request is answered with."""

    port: int
    status: int = 200
    bodies: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def http_receiver(status: int = 200) -> Iterator[HttpReceiver]:
    """Give a receiver that answers every request with `status`."""

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # noqa: N802
            length = int(self.headers["Content-Length"])
            receiver.bodies.append(json.loads(self.rfile.read(length)))
            self.send_response(receiver.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    receiver = HttpReceiver(server.server_address[1], status)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class MailReceiver:
    """What came over SMTP; `refusal` is answered instead of taking it."""

    port: int = 0
    refusal: str | None = None
    mails: list[EmailMessage] = field(default_factory=list)

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Take one message."""
        if self.refusal is not None:
            return self.refusal
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 taken"


@contextmanager
def mail_receiver(refusal: str | None = None) -> Iterator[MailReceiver]:
    """Give a mail server that takes everything, or refuses with these words."""
    receiver = MailReceiver(refusal=refusal)
    loop = asyncio.new_event_loop()

    def protocol() -> SMTP:
        return SMTP(receiver, hostname="localhost", loop=loop)

    server = loop.run_until_complete(loop.create_server(protocol, "127.0.0.1", 0))
    receiver.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def end() -> None:
        server.close()
        loop.stop()

    try:
        yield receiver
    finally:
        # In the loop's own thread: a connection may be ending at this moment.
        loop.call_soon_threadsafe(end)
        thread.join()
        loop.close()
