"""Processes of the command line, started quickly by forking, so that hundreds can be killed.

Run as a program it is the mother: it has loaded the commands, reads one order a line, forks a
process of its own for it and says which, and later how that ended. What runs in the child is the
program's own `main` with the words of the order, its output in a file.
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from select import select

KILLED = -signal.SIGKILL
# What the commands load when they need it takes longer than most of them run.
_LOADED = (
    "apprise",
    "processpilot.agent.agent",
    "processpilot.cli.as_",
    "processpilot.cli.journal",
    "processpilot.cli.names",
    "processpilot.cli.plan_check",
    "processpilot.cli.plan_import",
    "processpilot.cli.plan_views",
    "processpilot.cli.recover",
    "processpilot.cli.run",
)
_PACKET_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended, and everything it said."""

    status: int
    said: str


class Terminal:
    """Where a command writes its lines, one at a time: the next is taken once one was read.

    A pipe of one packet, which is full from the start. So a controller waits behind every event
    that it wrote down until it is let go on, or killed there.
    """

    def __init__(self, place: Path) -> None:
        place.unlink(missing_ok=True)
        os.mkfifo(place, 0o600)
        self.place = place
        self._reader = os.open(place, os.O_RDONLY | os.O_NONBLOCK)
        self._writer = _packets(place)
        fcntl.fcntl(self._writer, fcntl.F_SETPIPE_SZ, _PACKET_BYTES)
        os.write(self._writer, b"\n")
        self.lines: list[str] = []

    def take(self) -> None:
        """Let the command write one more line."""
        try:
            self.lines.append(os.read(self._reader, _PACKET_BYTES).decode(errors="replace"))
        except BlockingIOError:
            return

    def close(self) -> None:
        """Hang up."""
        os.close(self._reader)
        os.close(self._writer)
        self.place.unlink()


class Pilot:
    """The command line of one site, one command at a time."""

    def __init__(self, mother: subprocess.Popen[str], output: Path) -> None:
        assert mother.stdin is not None and mother.stdout is not None
        self._in, self._out = mother.stdin, mother.stdout
        self._output = output

    def start(self, *words: str, terminal: Terminal | None = None) -> int:
        """Start a command; return its process id."""
        place = "" if terminal is None else str(terminal.place)
        self._in.write(json.dumps([str(self._output), place, *words]) + "\n")
        self._in.flush()
        return int(self._out.readline())

    def ended(self, within_s: float | None = None) -> Ended | None:
        """Return how the command ended; None when it has not within that time."""
        if not select([self._out], [], [], within_s)[0]:
            return None
        return Ended(int(self._out.readline()), self._output.read_text())

    def run(self, *words: str) -> Ended:
        """Run a command to its end."""
        self.start(*words)
        done = self.ended()
        assert done is not None
        return done


@contextmanager
def pilot(folder: Path, output: Path) -> Iterator[Pilot]:
    """Give the command line as it is in `folder`; its processes are gone afterwards."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    mother = subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=os.environ | {"PATH": path},
        start_new_session=True,
    )
    try:
        yield Pilot(mother, output)
    finally:
        os.killpg(mother.pid, signal.SIGKILL)
        mother.communicate()


def _packets(place: Path) -> int:
    """Open a pipe for writing such that each write stays by itself."""
    writer = os.open(place, os.O_WRONLY)
    fcntl.fcntl(writer, fcntl.F_SETFL, os.O_DIRECT)
    return writer


def _become(output: str, terminal: str, words: Sequence[str]) -> None:
    """Become the command."""
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(file, 1)
    os.dup2(_packets(Path(terminal)) if terminal else file, 2)
    sys.argv = ["processpilot", *words]
    import_module("processpilot.cli.main").main()


def _mother() -> None:
    """Fork a process for each order, and say how it ended."""
    for name in _LOADED:
        import_module(name)
    gc.freeze()
    for line in sys.stdin:
        output, terminal, *words = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(output, terminal, words)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    _mother()
