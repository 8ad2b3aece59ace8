"""nginx in front of an API: what people see while it is there, away, failing, or closed."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from demo_application import free_port, listens, wait_until
from plain_server import endpoint

from processpilot.demo.nginx import Front, command, find_nginx, require_nginx, write_config
from processpilot.errors import NotFoundError

pytestmark = pytest.mark.skipif(find_nginx() is None, reason="nginx is not installed")


@contextmanager
def opened(folder: Path, api_port: int) -> Iterator[tuple[Front, httpx.Client]]:
    """Run nginx in front of an API's port; give a client of it."""
    front = Front(folder / "front", free_port(), api_port)
    write_config(front)
    process = subprocess.Popen(command(require_nginx(), front))
    try:
        wait_until(lambda: listens(front.port), "nginx listens")
        with httpx.Client(base_url=front.url, timeout=20, trust_env=False) as client:
            yield front, client
    finally:
        process.terminate()
        process.wait(20)


def answering(status: int) -> object:
    """Return what serves one connection with a status."""

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        head = f"HTTP/1.1 {status} Said\r\nContent-Length: 4\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode() + b"said")

    return serve


def test_the_page_is_there_while_the_api_is_away(tmp_path: Path) -> None:
    """nginx serves the frontend itself, and 502 is what is seen of an API that is not there."""
    with opened(tmp_path, free_port()) as (_, client):
        page = client.get("/")
        assert (page.status_code, "Workflow" in page.text) == (200, True)
        assert "default-src 'self'" in page.headers["Content-Security-Policy"]
        assert client.get("/static/app.js").status_code == 200
        assert client.get("/api/health").status_code == 502
        assert client.post("/api/requests", json={}).status_code == 502


@pytest.mark.parametrize("status", [200, 500, 503])
def test_the_api_s_own_answers_pass_through(tmp_path: Path, status: int) -> None:
    """What the API says, also that it cannot, is not replaced by a page."""
    with endpoint(answering(status)) as port, opened(tmp_path, port) as (_, client):
        answer = client.get("/api/health")
    assert (answer.status_code, answer.text) == (status, "said")


def test_maintenance_closes_everything_and_says_when_to_come_back(tmp_path: Path) -> None:
    """While the file exists every path answers 503 with one calm page; then all is as before."""
    with opened(tmp_path, free_port()) as (front, client):
        front.maintenance.touch()
        for answer in (client.get("/"), client.get("/api/health"), client.post("/api/requests")):
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
            assert "closed for maintenance" in answer.text
        front.maintenance.unlink()
        assert client.get("/").status_code == 200
        assert client.get("/maintenance.html").status_code == 404


def test_without_nginx_the_hint_says_how_to_get_it(tmp_path: Path) -> None:
    """Where it is not installed, the message names the package."""
    with pytest.raises(NotFoundError) as refused:
        require_nginx(str(tmp_path))
    assert "apt install nginx-light" in str(refused.value.hint)
