"""The server's thread: it listens where the plan says, and whatever goes wrong stays in it.

A port that is taken or a secret that cannot be read is told as trouble and tried again; the agent
goes on without.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from uvicorn import Config, Server

from processpilot.errors import ProcessPilotError
from processpilot.web.app import build_app
from processpilot.web.ground import Ground, Problems
from processpilot.web.links import Links, links_of
from processpilot.web.patience import ImpatientProtocol
from processpilot.wiring.wired import Wired

AGAIN_S = 5.0
STOP_S = 3.0
_FINISH_S = 1


class Listener:
    """The server while it runs; `serve` makes one."""

    def __init__(self, wired: Wired, problems: Problems) -> None:
        assert wired.loaded.plan.web is not None
        self._wired = wired
        self._web = wired.loaded.plan.web
        self._problems = problems
        self._stopping = threading.Event()
        self._server: Server | None = None
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)
        self._trouble: str | None = None
        self._address: tuple[str, int] | None = None
        self._links: Links | None = None
        self._socket: socket.socket | None = None

    @property
    def trouble(self) -> str | None:
        """Why nobody is answered now, None when all is well."""
        return self._trouble

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port that are listened on, None while there is trouble."""
        return self._address

    def start(self) -> None:
        """Bind the address, if that can be done at once, and answer from a thread."""
        self._open()
        self._thread.start()

    def stop(self) -> None:
        """Answer nobody any more; returns within 3 s."""
        self._stopping.set()
        if self._server is not None:
            self._server.should_exit = True
        self._thread.join(STOP_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            if self._socket is None and not self._open():
                self._stopping.wait(AGAIN_S)
                continue
            assert self._socket is not None and self._links is not None
            ground = Ground(self._wired, self._links, self._problems, stopping=self._stopping)
            server = Server(_config(ground))
            self._server = server
            with self._socket as listening:
                if not self._stopping.is_set():
                    server.run([listening])
            self._socket = self._address = None

    def _open(self) -> bool:
        """Make ready to listen; what is in the way is kept as trouble."""
        host, _, port = self._web.listen.rpartition(":")
        try:
            self._links = links_of(self._wired.loaded, self._wired.clock)
            self._socket = socket.create_server((host, int(port)))
        except ProcessPilotError as error:
            self._trouble = error.message
            return False
        except (OSError, OverflowError) as error:
            self._trouble = f"cannot listen on {self._web.listen}: {_why(error)}"
            return False
        self._address = self._socket.getsockname()[:2]
        self._trouble = None
        return True


def _why(error: OSError | OverflowError) -> str:
    """Return the system's own word; Python's repeats the address."""
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return str(error)


@contextmanager
def serve(wired: Wired, problems: Problems = lambda: ()) -> Iterator[Listener]:
    """Answer the outside for the length of the block, where the plan's `web` says.

    `problems` says what is wrong with the agent at this moment; it is asked from other threads
    and must answer at once. Nothing here raises: see the listener's `trouble`.
    """
    listener = Listener(wired, problems)
    listener.start()
    try:
        yield listener
    finally:
        listener.stop()


def _config(ground: Ground) -> Config:
    return Config(
        build_app(ground),
        http=ImpatientProtocol,
        ws="none",
        lifespan="off",
        # Addresses hold tokens, so none is logged.
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=_FINISH_S,
    )
