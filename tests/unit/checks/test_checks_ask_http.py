"""Asking over HTTP: real answers, missing answers, and answers that never end."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from plain_server import closed_port, endpoint

from processpilot.checks.ask import ask_http
from processpilot.errors import NotFoundError, RefusedError
from processpilot.plan.probe import HttpRequest

HERE = Path("/")
LIMIT_S = 10.0
SHORT_S = 0.3


def answering(*parts: bytes) -> Callable[[socket.socket], None]:
    """Return a server that reads a request's head and sends these bytes."""

    def serve(connection: socket.socket) -> None:
        read_request(connection)
        for part in parts:
            connection.sendall(part)

    return serve


def read_request(connection: socket.socket) -> tuple[bytes, bytes]:
    """Return head and body of a request."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    wanted = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            wanted = int(line.partition(b":")[2])
    while len(body) < wanted:
        body += connection.recv(65536)
    return head, body


def answer(status: int, body: bytes = b"", *headers: str) -> bytes:
    """Return the bytes of an answer."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def ask(
    serve: Callable[[socket.socket], None], limit_s: float = LIMIT_S, **wanted: object
) -> str | None:
    """Return what asking such a server says."""
    with endpoint(serve) as port:
        url = f"http://127.0.0.1:{port}/health"
        return ask_http(HttpRequest.model_validate({"url": url, **wanted}), limit_s, HERE)


def test_the_expected_status_passes() -> None:
    """200 unless the plan says otherwise."""
    assert ask(answering(answer(200))) is None
    assert ask(answering(answer(401)), status=401) is None


@pytest.mark.parametrize("status", [204, 301, 404, 500, 503])
def test_another_status_is_told_with_both_numbers(status: int) -> None:
    """Neither another success nor an error is what was expected."""
    assert ask(answering(answer(status))) == f"status {status}, expected 200"


@pytest.mark.parametrize("charset", ["hex", "rot13", "idna", "undefined", "nonsense"])
def test_an_encoding_that_is_none_of_text_is_no_reason_not_to_answer(charset: str) -> None:
    """A broken server names anything; its status is what counts, and its words as far as read."""
    header = f"Content-Type: text/html; charset={charset}"
    assert ask(answering(answer(502, b"gone", header))) == "status 502, expected 200"
    assert ask(answering(answer(200, b"fine", header)), contains="fine") is None


@pytest.mark.parametrize("host", ["a..b", "xn--", "a" * 300])
def test_a_host_that_can_be_none_fails(host: str) -> None:
    """It is told like an address that does not answer."""
    assert ask_http(HttpRequest(url=f"http://{host}/"), LIMIT_S, HERE)


def test_redirects_are_not_followed() -> None:
    """A page that only leads to a login page is not healthy; expecting it is possible."""
    asked = []

    def serve(connection: socket.socket) -> None:
        asked.append(read_request(connection)[0].split(b" ")[1])
        connection.sendall(answer(302, b"", "Location: /login"))

    assert ask(serve) == "status 302, expected 200"
    assert ask(serve, status=302) is None
    assert asked == [b"/health", b"/health"]


def test_the_answer_must_contain_what_is_asked_for() -> None:
    """The text decides, however it is encoded on the way."""
    body = "all is wäll".encode()
    utf8 = "Content-Type: text/plain; charset=utf-8"
    assert ask(answering(answer(200, body, utf8)), contains="wäll") is None
    packed = answer(200, gzip.compress(body), utf8, "Content-Encoding: gzip")
    assert ask(answering(packed), contains="wäll") is None
    assert ask(answering(answer(200, body)), contains="bad") == 'the answer does not contain "bad"'


def test_the_status_is_judged_before_the_text() -> None:
    """An error page that happens to contain the text does not pass."""
    assert ask(answering(answer(500, b"fine")), contains="fine") == "status 500, expected 200"


def test_a_large_answer_is_searched_to_its_end() -> None:
    """What is looked for may stand behind 16 MB of other text."""
    chunk = b"x" * 1024 * 1024
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {16 * len(chunk) + 3}\r\n\r\n".encode()
    assert ask(answering(head, *[chunk] * 16, b"end"), contains="end") is None


def test_a_server_that_accepts_and_says_nothing_is_no_answer() -> None:
    """The time limit ends the wait, and the message names it."""
    let_go = threading.Event()

    def serve(connection: socket.socket) -> None:
        read_request(connection)
        let_go.wait(60)

    with endpoint(serve) as port:
        request = HttpRequest(url=f"http://127.0.0.1:{port}/")
        try:
            assert ask_http(request, SHORT_S, HERE) == "no answer within 0.3 s"
        finally:
            let_go.set()


def test_an_answer_that_trickles_past_the_time_limit_is_no_answer() -> None:
    """A server that sends a byte now and then cannot hold the question open."""
    gone = threading.Event()

    def serve(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n")
        for _ in range(12):
            connection.sendall(b"x")
            gone.wait(SHORT_S / 3)

    assert ask(serve, SHORT_S) == "no answer within 0.3 s"


def test_a_refused_connection_is_told_in_one_line() -> None:
    """Nobody listening is a finding, not an exception."""
    request = HttpRequest(url=f"http://127.0.0.1:{closed_port()}/")
    said = ask_http(request, LIMIT_S, HERE)
    assert said is not None and "refused" in said.lower() and "\n" not in said


@pytest.mark.parametrize(
    "bytes_sent",
    [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", b"HTTP/1.1 2"],
)
def test_what_is_no_whole_http_answer_fails(bytes_sent: bytes) -> None:
    """A closed connection, another protocol and a cut answer are told, and do not raise."""
    said = ask(answering(bytes_sent))
    assert said and "\n" not in said


@pytest.mark.parametrize("url", ["http://", "https:///x", "http://no-such-host.invalid/"])
def test_addresses_that_lead_nowhere_fail(url: str) -> None:
    """An address without a host, or with an unknown one, is told."""
    assert ask_http(HttpRequest(url=url), LIMIT_S, HERE)


@pytest.mark.parametrize("url", ["http://127.0.0.1:x/", "http://[::1/"])
def test_addresses_that_cannot_be_read_fail(url: str) -> None:
    """The plan accepts them, so the probe must say what is wrong and not end its thread."""
    assert ask_http(HttpRequest(url=url), LIMIT_S, HERE)


def test_an_encoding_that_lies_is_a_finding() -> None:
    """Bytes that are not what their header says are told."""
    assert ask(answering(answer(200, b"not gzip", "Content-Encoding: gzip")))


def test_a_body_is_sent_with_its_secrets_filled_in(tmp_path: Path) -> None:
    """The server gets the secret's text, and the plan only ever held where it is."""
    (tmp_path / "pw").write_text("hunter2\n")
    (tmp_path / "pw").chmod(0o600)
    bodies = []

    def serve(connection: socket.socket) -> None:
        bodies.append(read_request(connection)[1])
        connection.sendall(answer(403, b"wrong password hunter2"))

    with endpoint(serve) as port:
        request = HttpRequest.model_validate(
            {
                "url": f"http://127.0.0.1:{port}/",
                "method": "POST",
                "json": {"user": "employee", "password": "file:pw"},
            }
        )
        said = ask_http(request, LIMIT_S, tmp_path)
    assert json.loads(bodies[0]) == {"user": "employee", "password": "hunter2"}
    assert said == "status 403, expected 200"


def test_a_secret_that_cannot_be_read_is_no_verdict_on_the_server(tmp_path: Path) -> None:
    """Without the secret nothing was asked, which the caller hears as an error."""
    request = HttpRequest.model_validate({"url": "http://127.0.0.1:1/", "json": {"p": "file:pw"}})
    with pytest.raises(NotFoundError):
        ask_http(request, LIMIT_S, tmp_path)
    (tmp_path / "pw").write_text("hunter2")
    (tmp_path / "pw").chmod(0o644)
    with pytest.raises(RefusedError):
        ask_http(request, LIMIT_S, tmp_path)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_the_method_is_the_plan_s(method: str) -> None:
    """What the plan says is what is asked."""
    heads = []

    def serve(connection: socket.socket) -> None:
        heads.append(read_request(connection)[0])
        connection.sendall(answer(200))

    assert ask(serve, method=method) is None
    assert heads[0].startswith(f"{method} /health HTTP/1.1".encode())
