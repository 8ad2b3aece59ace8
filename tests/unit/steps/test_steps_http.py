"""Requests as steps, to real listeners."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from plain_server import closed_port, endpoint
from steps_ground import context_of, ground_at

from processpilot.errors import UnavailableError
from processpilot.runbook.action import CannotTell, NotHappened, StepFailedError
from processpilot.steps.http import SHOWN_BYTES, SendRequest


def answering(status: int, body: bytes, heard: list[bytes] | None = None) -> Callable[..., None]:
    """Return a server that reads one request and answers it."""

    def serve(connection: socket.socket) -> None:
        data = connection.recv(1 << 16)
        while b"POST" in data[:4] and b"}" not in data:
            data += connection.recv(1 << 16)
        if heard is not None:
            heard.append(data)
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode() + body)

    return serve


def settings(port: int, **more: object) -> dict[str, Any]:
    """Return the settings of a request to a port of the loopback."""
    return {"action": "http", "url": f"http://127.0.0.1:{port}/do", **more}


def send(folder: Path, given: dict[str, Any]) -> dict[str, Any]:
    """Return what sending gives."""
    return dict(SendRequest(ground_at(folder)).execute(context_of(given)))


def test_the_answer_expected_passes(tmp_path: Path) -> None:
    """Status and the beginning of the body are kept, without what looks like a secret."""
    body = b'{"ok": true, "token": "abc"}' + b" " * 3000 + b"end"
    with endpoint(answering(202, body)) as port:
        result = send(tmp_path, settings(port, status=202, contains="end"))
    assert result["status"] == 202
    assert result["body"].startswith('{"ok": true, "token": "***"}')
    assert len(result["body"]) == SHOWN_BYTES
    assert result["duration_s"] >= 0


def test_an_encoding_that_is_none_of_text_fails_no_step(tmp_path: Path) -> None:
    """What the answer's head says of its body may be anything."""

    def serve(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(
            b"HTTP/1.1 200 X\r\nContent-Type: text/plain; charset=hex\r\n"
            b"Content-Length: 4\r\nConnection: close\r\n\r\nfine"
        )

    with endpoint(serve) as port:
        assert send(tmp_path, settings(port, contains="fine"))["body"] == "fine"


def test_a_host_that_can_be_none_is_told(tmp_path: Path) -> None:
    """As one that does not answer."""
    with pytest.raises(UnavailableError):
        send(tmp_path, {"action": "http", "url": "http://a..b/"})


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"status": 201}, "status 200, expected 201"),
        ({"contains": "fine"}, 'the answer does not contain "fine"'),
    ],
)
def test_another_answer_fails_with_what_came(
    tmp_path: Path, more: dict[str, object], why: str
) -> None:
    """So that people see what the other side said."""
    with endpoint(answering(200, b"so so")) as port, pytest.raises(StepFailedError) as caught:
        send(tmp_path, settings(port, **more))
    assert caught.value.message == f"GET http://127.0.0.1:{port}/do: {why}"
    assert caught.value.result["body"] == "so so"


def test_secrets_are_sent_and_not_kept(tmp_path: Path) -> None:
    """Also where the other side repeats them."""
    (tmp_path / "pin").write_text("tr0ub4dor\n")
    (tmp_path / "pin").chmod(0o600)
    heard: list[bytes] = []
    with endpoint(answering(200, b"hello tr0ub4dor", heard)) as port:
        given = settings(port, method="POST", json={"pin": "file:pin", "who": "me"})
        result = send(tmp_path, given)
    assert b'"pin":"tr0ub4dor"' in heard[0].replace(b" ", b"")
    assert result["body"] == "hello ***"


def test_nobody_listening_is_a_passing_failure(tmp_path: Path) -> None:
    """Nothing was sent, so it may be tried again, whatever the method."""
    for method in ("GET", "POST"):
        with pytest.raises(UnavailableError) as caught:
            send(tmp_path, settings(closed_port(), method=method))
        assert caught.value.transient


def test_a_post_without_an_answer_is_not_repeated_by_itself(tmp_path: Path) -> None:
    """It may have arrived; a GET may be sent again."""

    def silent(connection: socket.socket) -> None:
        while connection.recv(1 << 16):
            pass

    for method, passing in (("GET", True), ("POST", False)):
        with endpoint(silent) as port, pytest.raises(UnavailableError) as caught:
            send(tmp_path, settings(port, method=method, timeout="0.3s"))
        assert caught.value.message.endswith("no answer within 0.3 s")
        assert caught.value.transient is passing


def test_an_answer_that_trickles_ends(tmp_path: Path) -> None:
    """The limit is for the whole answer."""

    def trickle(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 200 X\r\n\r\n")
        while True:
            connection.sendall(b"x" * 100)

    with endpoint(trickle) as port:
        result = send(tmp_path, settings(port, timeout="20s"))
    assert result["status"] == 200


def test_only_reading_may_be_done_again(tmp_path: Path) -> None:
    """Nobody here knows whether a POST arrived."""
    probe = SendRequest(ground_at(tmp_path)).probe
    for method in ("GET", "HEAD"):
        assert probe(context_of(settings(1, method=method))) == NotHappened()
    assert probe(context_of(settings(1, method="POST"))) == CannotTell()
