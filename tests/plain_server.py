"""A real PostgreSQL server without plan or protection, and endpoints that misbehave."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from protected_site import MAJORS, one_of

from processpilot.clock import SystemClock
from processpilot.postgres.cluster import Postmaster, initialise, start
from processpilot.postgres.connection import ServerAddress

SUPERUSER = "postgres"


@dataclass(frozen=True)
class PlainServer:
    """A running server and how to reach it."""

    postmaster: Postmaster

    @property
    def address(self) -> ServerAddress:
        return ServerAddress.parse("").with_options(
            host=str(self.postmaster.socket_dir),
            port=self.postmaster.port,
            user=SUPERUSER,
            dbname="postgres",
        )

    def run(self, *statements: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Execute statements; return the last one's rows."""
        rows: list[tuple[object, ...]] = []
        with self.address.with_options(dbname=database).session() as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
        return rows


@pytest.fixture(scope="module")
def server() -> Iterator[PlainServer]:
    """Give a running server of the newest major installed."""
    with server_of(MAJORS[-1]) as running:
        yield running


@contextmanager
def server_of(major: int) -> Iterator[PlainServer]:
    """Give a running server of a major that is installed."""
    folder = Path(tempfile.mkdtemp(prefix="pp-test-"))
    installation = one_of(major)
    settings = {"listen_addresses": "", "fsync": "off", "shared_buffers": "16MB"}
    try:
        initialise(installation, folder / "data", superuser=SUPERUSER)
        postmaster = start(
            installation,
            folder / "data",
            settings=settings,
            log_path=folder / "log",
            timeout_s=60.0,
            superuser=SUPERUSER,
        )
        try:
            yield PlainServer(postmaster)
        finally:
            postmaster.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def endpoint(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Give the port of a listener that serves each connection with `serve`, in a thread."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def one(connection: socket.socket) -> None:
        with closing(connection), suppress(OSError):
            serve(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threads.append(threading.Thread(target=one, args=(connection,)))
                threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()
        for thread in threads:
            thread.join()


def closed_port() -> int:
    """Return a port of the loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_alive(pid: int) -> bool:
    """Whether a process runs; a dead one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def end(pid: int) -> None:
    """Kill a process by its id, if it is still there."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


class SettableClock(SystemClock):
    """Time that stands still until it is told to go on; sleeping takes none."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
