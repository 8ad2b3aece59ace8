"""A drill's enclosure: namespaces of its own, in which its server and its programs run.

No network but a loopback of its own, no socket of the machine, no process of the machine, and
nothing to write but the drill's own folders. Making and leaving it is here; what is run in it is
the callers'. Where the machine closes namespaces, UnavailableError says what it refused.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processpilot.errors import UnavailableError
from processpilot.restore.isolation import Isolation

_ANSWER_S = 30.0
_END_S = 20.0
_POLL_S = 0.02
_ANSWER_POLL_S = 0.2
# An answer must come after a program's own time limit and the moment it gets to end.
_GRACE_S = 30.0
_KEEPER = (sys.executable, "-P", "-m", "processpilot.drill.inside")
_ENTER = (sys.executable, "-P", "-m", "processpilot.drill.enter")
# Sockets of the machine's programs, mail that waits to be sent, what others put aside.
COVERED = ("/run", "/var/spool", "/var/tmp", "/tmp")  # noqa: S108


@dataclass(frozen=True, slots=True)
class View:
    """What is to be seen inside: `own` may be written, `readable` read, `hidden` is empty.

    Everything else of the machine but COVERED can be read.
    """

    own: tuple[Path, ...]
    readable: tuple[Path, ...]
    hidden: tuple[Path, ...]
    sockets: Path
    lifetime_s: float


@dataclass(frozen=True, slots=True)
class Program:
    """What is to be run inside; its output is appended to a file in a folder of the view's own."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    folder: Path
    output: Path
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended; without `exit_status` it was not started, and `why` says why."""

    exit_status: int | None
    timed_out: bool
    duration_s: float
    why: str | None


def _go_on() -> None:
    """Go on, whatever happens."""


class Enclosure:
    """Open namespaces. Used by one thread at a time."""

    def __init__(self, keeper: subprocess.Popen[str], first_pid: int, view: View) -> None:
        self._keeper = keeper
        self._view = view
        self.first_pid = first_pid

    @property
    def isolation(self) -> Isolation:
        """How servers are started in here."""
        return Isolation((*_ENTER, str(self.first_pid)), self._view.sockets)

    @property
    def namespace(self) -> str:
        """The network namespace's name, as /proc shows it."""
        return str(Path(f"/proc/{self.first_pid}/ns/net").readlink())

    def run(self, program: Program, go_on: Callable[[], None] = _go_on) -> Ended:
        """Run a program to its end or its time limit; what it left in the background stays.

        `go_on` is called while it runs and may raise; the program then ends with the enclosure.
        UnavailableError when the enclosure is gone: ended from outside, or too old.
        """
        answer = _exchange(
            self._keeper,
            {
                "argv": list(program.argv),
                "env": dict(program.env),
                "folder": str(program.folder),
                "output": str(program.output),
                "timeout_s": program.timeout_s,
            },
            program.timeout_s + _GRACE_S,
            go_on,
        )
        return Ended(
            answer.get("exit_status"),
            bool(answer.get("timed_out")),
            float(answer["duration_s"]),
            answer.get("not_started"),
        )


@contextmanager
def enclosed(view: View) -> Iterator[Enclosure]:
    """Yield the namespaces; nothing that ran in them is left afterwards."""
    keeper = subprocess.Popen(
        _KEEPER,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(),
        text=True,
        start_new_session=True,
        cwd="/",
    )
    namespace = None
    try:
        enclosure = _opened(keeper, view)
        namespace = enclosure.namespace
        yield enclosure
    finally:
        keeper.kill()
        keeper.communicate()
        if namespace is not None:
            _await_end(namespace)


def _opened(keeper: subprocess.Popen[str], view: View) -> Enclosure:
    try:
        middle = int(_read(keeper, _ANSWER_S)["unshared"])
        _map_accounts(middle)
        order = {
            "own": [str(path) for path in view.own],
            "readable": [str(path) for path in view.readable],
            "hidden": [str(path) for path in view.hidden],
            "covered": list(COVERED),
            "sockets": [str(path) for path in machine_sockets()],
            "lifetime_s": view.lifetime_s,
        }
        _exchange(keeper, order, _ANSWER_S)
        return Enclosure(keeper, _child_of(middle), view)
    except OSError as error:
        raise UnavailableError(f"this machine allows no namespaces: {error.strerror}") from error


def _await_end(namespace: str) -> None:
    """Return once the kernel has ended everything in there; the caller finds what stays."""
    deadline = time.monotonic() + _END_S
    while processes_in(namespace) and time.monotonic() < deadline:
        time.sleep(_POLL_S)


def _environment() -> dict[str, str]:
    kept = {"PATH": os.defpath}
    if (path := os.environ.get("PYTHONPATH")) is not None:
        kept["PYTHONPATH"] = path
    return kept


def _map_accounts(pid: int) -> None:
    """Show every account inside as itself, or, where we are not root, only our own."""
    if os.geteuid() == 0:
        for name in ("uid_map", "gid_map"):
            own = Path(f"/proc/self/{name}").read_text().splitlines()
            ranges = [line.split() for line in own]
            lines = "\n".join(f"{inside} {inside} {count}" for inside, _, count in ranges)
            Path(f"/proc/{pid}/{name}").write_text(f"{lines}\n")
        return
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{os.geteuid()} {os.geteuid()} 1"),
        ("gid_map", f"{os.getegid()} {os.getegid()} 1"),
    ):
        Path(f"/proc/{pid}/{name}").write_text(text)


def _child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _exchange(
    keeper: subprocess.Popen[str],
    order: Mapping[str, Any],
    limit_s: float,
    go_on: Callable[[], None] = _go_on,
) -> Mapping[str, Any]:
    assert keeper.stdin is not None
    try:
        keeper.stdin.write(json.dumps(order) + "\n")
        keeper.stdin.flush()
    except (BrokenPipeError, ValueError) as error:
        raise _gone(keeper) from error
    return _read(keeper, limit_s, go_on)


def _read(
    keeper: subprocess.Popen[str], limit_s: float, go_on: Callable[[], None] = _go_on
) -> Mapping[str, Any]:
    assert keeper.stdout is not None
    deadline = time.monotonic() + limit_s
    ready: list[Any] = []
    while not ready and time.monotonic() < deadline:
        go_on()
        ready, _, _ = select.select([keeper.stdout], [], [], _ANSWER_POLL_S)
    line = keeper.stdout.readline() if ready else ""
    if not line.endswith("\n"):
        raise _gone(keeper)
    answer: Mapping[str, Any] = json.loads(line)
    return answer


def _gone(keeper: subprocess.Popen[str]) -> UnavailableError:
    keeper.kill()
    _, said = keeper.communicate()
    lines = said.strip().splitlines()
    return UnavailableError(
        f"the drill's namespaces are gone or were refused: {lines[-1] if lines else 'no word'}",
        hint="Run `unshare --user --net true` to see whether this machine allows namespaces.",
    )


def machine_sockets() -> tuple[Path, ...]:
    """Return the sockets of this machine's programs that have a name in the file system (proc(5)).

    A mount that is read only keeps nobody from connecting to them. Of one that was bound by a
    relative name the kernel knows only that; it is looked for where programs are.
    """
    lines = Path("/proc/net/unix").read_text(errors="surrogateescape").splitlines()[1:]
    names = {line.split(maxsplit=7)[7] for line in lines if len(line.split(maxsplit=7)) == 8}
    found = {Path(name) for name in names if name.startswith("/")}
    relative = [name for name in names if not name.startswith(("/", "@"))]
    for folder in _working_folders() if relative else ():
        for name in relative:
            with suppress(OSError):
                if (folder / name).is_socket():
                    found.add(folder / name)
    return tuple(sorted(found))


def _working_folders() -> set[Path]:
    """Return where the machine's programs are, as far as we may see it."""
    folders = set()
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with suppress(OSError):
                folders.add(Path(f"/proc/{entry.name}/cwd").readlink())
    return folders


def processes_in(namespace: str) -> Sequence[int]:
    """Return the processes in a network namespace, by pid, but for those we may not look at."""
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with suppress(OSError):
                if str(Path(f"/proc/{entry.name}/ns/net").readlink()) == namespace:
                    found.append(int(entry.name))
    return sorted(found)
