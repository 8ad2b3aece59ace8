"""Messages over real channels on the loopback: what arrives, and what is told when it does not."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from message_receivers import http_receiver, mail_receiver
from plain_server import closed_port, endpoint

from processpilot.clock import SystemClock
from processpilot.messages.send import Delivery, Message, send, send_to_all
from processpilot.plan.secrets import Secret
from processpilot.plan.switch import Channel

HELLO = Message("shop: database is back", "All data is there.\n\nRun r1, 100 % done.")


class FixedClock(SystemClock):
    """A clock that shows one moment."""

    def now(self) -> datetime:
        return datetime(2030, 1, 1, tzinfo=UTC)


def say(url: str, limit_s: float = 20.0) -> Delivery:
    """Return what became of a message to `url`."""
    return send("team", Secret(url), HELLO, FixedClock(), limit_s)


def test_a_message_arrives_over_http() -> None:
    """Subject and text as they are."""
    with http_receiver() as receiver:
        delivery = say(f"json://127.0.0.1:{receiver.port}/hook")
    assert delivery == Delivery("team", FixedClock().now(), True, "")
    (body,) = receiver.bodies
    assert (body["title"], body["message"]) == (HELLO.subject, HELLO.text)


def test_a_message_arrives_as_mail() -> None:
    """From and to whom the address says."""
    with mail_receiver() as receiver:
        port = receiver.port
        url = f"mailto://127.0.0.1:{port}?from=pilot@example.org&to=team@example.org&mode=insecure"
        assert say(url).delivered
    (mail,) = receiver.mails
    assert mail["Subject"] == HELLO.subject
    assert "team@example.org" in mail["To"]
    body = mail.get_body(("plain",))
    assert body is not None
    assert body.get_content().replace("\r\n", "\n").strip() == HELLO.text


@pytest.mark.parametrize("status", [400, 403, 500, 503])
def test_a_refused_message_is_told_with_the_status(status: int) -> None:
    """And is not raised."""
    with http_receiver(status) as receiver:
        delivery = say(f"json://127.0.0.1:{receiver.port}/hook")
    assert not delivery.delivered
    assert str(status) in delivery.detail


def test_a_mail_server_s_refusal_is_told() -> None:
    """In its own words where it has some."""
    with mail_receiver("554 no") as receiver:
        port = receiver.port
        url = f"mailto://127.0.0.1:{port}?from=a@example.org&to=b@example.org&mode=insecure"
        delivery = say(url)
    assert not delivery.delivered
    assert delivery.detail


def test_nobody_listening_is_told_without_the_address() -> None:
    """Any part of an address may be a token, so none of it is shown."""
    delivery = say(f"json://operator:hunter2@127.0.0.1:{closed_port()}/t0ken-of-ours")
    assert not delivery.delivered
    assert delivery.detail
    for part in ("hunter2", "t0ken", "operator", "127.0.0.1"):
        assert part not in delivery.detail


class Listening(logging.Handler):
    """Keeps what reaches the program's log."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@pytest.mark.parametrize("url", ["nonsense", "nosuchscheme://x/y", "", "json://"])
def test_an_address_that_is_none_is_told(url: str) -> None:
    """Without repeating it, here or in the log."""
    listening = Listening()
    logging.getLogger().addHandler(listening)
    try:
        delivery = say(url)
    finally:
        logging.getLogger().removeHandler(listening)
    assert delivery.detail == "the channel's address is none that is known"
    assert listening.said == []


def test_a_silent_server_is_not_waited_for() -> None:
    """After the limit the run goes on."""

    def listen(connection: socket.socket) -> None:
        while connection.recv(1 << 20):
            pass

    with endpoint(listen) as port:
        delivery = say(f"json://127.0.0.1:{port}/hook?rto=2&cto=2", 0.3)
    assert delivery.detail == "no answer within 0.3 s"


def test_a_server_whose_answer_trickles_keeps_nothing_waiting() -> None:
    """Not the next message, however many came before it, and not the end of the process."""

    def trickle(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 200 X\r\n\r\n")
        with suppress(OSError):
            while True:
                connection.sendall(b".")
                time.sleep(0.05)

    program = """
import sys
from processpilot.clock import SystemClock
from processpilot.messages.send import Message, send
from processpilot.plan.secrets import Secret
for limit_s, url in (*[(0.2, sys.argv[1])] * 40, (20.0, sys.argv[2])):
    print(send("team", Secret(url), Message("s", "t"), SystemClock(), limit_s).delivered)
"""
    with http_receiver() as receiver, endpoint(trickle) as port:
        urls = f"json://127.0.0.1:{port}/", f"json://127.0.0.1:{receiver.port}/"
        ended = subprocess.run(
            [sys.executable, "-c", program, *urls],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    assert ended.stdout.split() == ["False"] * 40 + ["True"]


def test_all_channels_are_tried(tmp_path: Path) -> None:
    """One that fails, or whose address is missing, keeps no other from its message."""
    with http_receiver() as receiver:
        (tmp_path / "good").write_text(f"json://127.0.0.1:{receiver.port}/hook\n")
        (tmp_path / "bad").write_text(f"json://127.0.0.1:{closed_port()}/hook\n")
        for name in ("good", "bad"):
            (tmp_path / name).chmod(0o600)
        channels = [Channel(id=name, url=f"file:{name}") for name in ("bad", "gone", "good")]
        bad, gone, good = send_to_all(channels, HELLO, tmp_path, FixedClock())
    assert (bad.channel, bad.delivered) == ("bad", False)
    assert gone.detail.startswith("cannot read the secret")
    assert (good.channel, good.delivered) == ("good", True)
    assert len(receiver.bodies) == 1


def test_no_channels_are_no_deliveries(tmp_path: Path) -> None:
    """And no error."""
    assert send_to_all([], HELLO, tmp_path, FixedClock()) == []


def test_the_library_is_loaded_only_when_something_is_sent() -> None:
    """It takes longer to load than most commands to run."""
    code = "import processpilot.messages.send, sys; sys.exit('apprise' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
