"""The server's thread: trouble stays in it, floods are bounded, and it ends."""

from __future__ import annotations

import http.client
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest
from web_site import PLAN, RUN, SECRET, SetClock, WebSite, open_wired, web_site, with_incident

from processpilot.web.patience import MOST_CONNECTIONS
from processpilot.web.server import serve


def names() -> set[str]:
    """Return the names of the threads there are."""
    return {thread.name for thread in threading.enumerate()}


def test_a_port_that_is_taken_is_trouble(tmp_path: Path) -> None:
    """The block is entered all the same, and left."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        plan = PLAN.replace("listen: 127.0.0.1:0", f"listen: 127.0.0.1:{port}")
        wired = open_wired(tmp_path, SetClock(), plan)
        with serve(wired) as listener:
            assert listener.address is None
            assert listener.trouble == f"cannot listen on 127.0.0.1:{port}: Address already in use"
        wired.close()
    assert "web" not in names()


def test_a_port_that_becomes_free_is_taken(tmp_path: Path) -> None:
    """What was in the way is tried again, and the trouble is over."""
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    plan = PLAN.replace("listen: 127.0.0.1:0", f"listen: 127.0.0.1:{port}")
    wired = open_wired(tmp_path, SetClock(), plan)
    with serve(wired) as listener:
        assert listener.trouble is not None
        taken.close()
        waiting = threading.Event()
        for _ in range(600):
            if listener.address is not None:
                break
            waiting.wait(0.05)
        assert (listener.address, listener.trouble) == (("127.0.0.1", port), None)
    wired.close()


@pytest.mark.parametrize(
    ("listen", "words"),
    [("127.0.0.1:99999", "cannot listen on"), ("host.invalid:80", "cannot listen on")],
)
def test_an_address_that_cannot_be_is_trouble(tmp_path: Path, listen: str, words: str) -> None:
    """Told, not raised."""
    wired = open_wired(tmp_path, SetClock(), PLAN.replace("127.0.0.1:0", listen))
    with serve(wired) as listener:
        assert listener.trouble is not None and words in listener.trouble
    wired.close()


def test_a_secret_that_others_can_read_is_trouble(tmp_path: Path) -> None:
    """Nobody is answered with it."""
    wired = open_wired(tmp_path, SetClock())
    (tmp_path / "web-secret").chmod(0o644)
    with serve(wired) as listener:
        assert listener.address is None
        assert listener.trouble is not None and "can be read by others" in listener.trouble
        assert SECRET not in listener.trouble
    wired.close()


def test_it_ends_with_people_connected(tmp_path: Path) -> None:
    """One who follows a run, one who sends nothing, one in the middle of a request."""
    with ExitStack() as stack:
        with web_site(tmp_path) as site:
            with_incident(site)
            assert site.listener.address is not None
            address = site.listener.address
            follower = http.client.HTTPConnection(*address, timeout=20)
            stack.enter_context(closing(follower))
            follower.request("GET", f"/run/{RUN}/events", headers=site.session())
            follower.getresponse().readline()
            for begun in (b"", b"GET / HT", b"POST /alerts HTTP/1.1\r\n"):
                stack.enter_context(_sending(site, begun))
        assert "web" not in names()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=5)


def test_those_who_send_nothing_block_nobody(tmp_path: Path) -> None:
    """Others are answered meanwhile, and they are let go."""
    head = (
        f"POST /alerts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    )
    with web_site(tmp_path) as site, ExitStack() as stack:
        silent = [stack.enter_context(_sending(site, b"")) for _ in range(60)]
        half = [stack.enter_context(_sending(site, b"GET / HTTP/1.1\r\nX-A: b")) for _ in range(20)]
        body = [stack.enter_context(_sending(site, head.encode() + b"{")) for _ in range(20)]
        for _ in range(5):
            assert site.ask("/healthz").status == 200
        for connection in (*silent, *half):
            assert _rest(connection) == b""
        for connection in body:
            assert b"408" in _rest(connection).splitlines()[0]


def test_a_body_that_is_announced_too_large_is_not_waited_for(tmp_path: Path) -> None:
    """Refused by its length alone, before any of it came."""
    head = (
        f"POST /alerts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\n"
        "Content-Length: 10485760\r\n\r\n"
    )
    with web_site(tmp_path) as site, _sending(site, head.encode()) as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_there_are_only_so_many_connections(tmp_path: Path) -> None:
    """More are dropped at once, and when the others are gone everybody is answered again."""
    with web_site(tmp_path) as site:
        with ExitStack() as stack:
            many = [stack.enter_context(_sending(site, b"")) for _ in range(MOST_CONNECTIONS + 40)]
            dropped = [
                connection for connection in many[MOST_CONNECTIONS:] if _is_closed(connection)
            ]
            assert len(dropped) == 40
            assert not any(_is_closed(c, 0.0) for c in many[:MOST_CONNECTIONS])
        assert _eventually(lambda: site.ask("/healthz").status == 200)


def test_a_thousand_requests_are_answered_with_few_threads(tmp_path: Path) -> None:
    """Forty at a time; memory and threads do not grow with them."""
    with web_site(tmp_path) as site:
        with_incident(site)
        session = site.session()
        link = site.links.link_for("x", "acknowledge", "Ada")
        most = 0

        def one(n: int) -> int:
            nonlocal most
            most = max(most, threading.active_count())
            match n % 4:
                case 0:
                    return site.ask("/healthz").status
                case 1:
                    return site.ask(link).status
                case 2:
                    return site.post_json("/alerts", {}, token="x").status
                case _:
                    return site.ask("/", headers=session).status

        with ThreadPoolExecutor(40) as pool:
            statuses = list(pool.map(one, range(1000)))
    assert [statuses.count(s) for s in (200, 404, 401)] == [500, 250, 250]
    assert most < 40 + 60


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x00\xa5\x01\x00\x00",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"TRACE /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://elsewhere/healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused(tmp_path: Path, raw: bytes) -> None:
    """And the server goes on."""
    with web_site(tmp_path) as site:
        with _sending(site, raw) as connection:
            with suppress(ConnectionResetError):
                first = connection.recv(100)
                assert not first or first.split()[1][:1] == b"4", first
        assert site.ask("/healthz").status == 200


def test_nothing_is_logged(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Addresses hold tokens; a quiet server writes none of them anywhere."""
    with web_site(tmp_path) as site:
        site.ask(f"/alerts/{SECRET}", "POST", b"{")
        site.ask(site.links.login("Ada"))
        with _sending(site, b"rubbish\r\n\r\n") as connection:
            connection.recv(100)
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def _sending(site: WebSite, data: bytes) -> socket.socket:
    """Return a connection that has sent this and sends no more."""
    assert site.listener.address is not None
    connection = socket.create_connection(site.listener.address, timeout=30)
    with suppress(ConnectionError):
        connection.sendall(data)
    return connection


def _rest(connection: socket.socket) -> bytes:
    """Return what comes until the other side hangs up."""
    data = b""
    with suppress(ConnectionResetError):
        while part := connection.recv(4096):
            data += part
    return data


def _is_closed(connection: socket.socket, wait_s: float = 10.0) -> bool:
    connection.settimeout(wait_s)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
    except (TimeoutError, BlockingIOError):
        return False


def _eventually(holds: object) -> bool:
    assert callable(holds)
    for _ in range(200):
        with suppress(OSError, http.client.HTTPException):
            if holds():
                return True
        threading.Event().wait(0.05)
    return False
