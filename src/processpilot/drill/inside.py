"""The process that keeps a drill's namespaces and runs programs in them (python -m ...inside).

It is told on standard input, one JSON document a line, what of the machine is to be seen, then
which programs to run; it answers on standard output. It is the first process of its process
namespace: when its input ends, because whoever holds the drill ended or was killed, it ends, and
the kernel ends every process in there with it. It ends by itself after the drill's lifetime.

Imports nothing that may start threads: a process with several cannot get a user namespace.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from processpilot.drill import namespaces

_SPACES = (
    namespaces.NEW_USER
    | namespaces.NEW_NS
    | namespaces.NEW_NET
    | namespaces.NEW_IPC
    | namespaces.NEW_UTS
    | namespaces.NEW_PID
)
_DEV = Path("/dev")
_DEVICES = ("null", "zero", "full", "random", "urandom")
_LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
)
_TERM_GRACE_S = 2.0
# What root may do to files and to its own processes, and ports below 1024 (capabilities(7));
# none of it undoes a mount or looks into another process.
_POWERS = frozenset({0, 1, 2, 3, 4, 5, 6, 7, 10})


def main() -> int:
    """Make the namespaces, then serve orders until the input ends."""
    namespaces.unshare(_SPACES)
    _say({"unshared": os.getpid()})
    order = _next()  # Whoever started us has mapped the accounts by now.
    if order is None:
        return 1
    first = os.fork()
    if first != 0:
        _, status = os.waitpid(first, 0)
        return os.waitstatus_to_exitcode(status) & 0xFF
    namespaces.die_with_parent()
    signal.signal(signal.SIGALRM, lambda _number, _frame: os._exit(1))
    signal.setitimer(signal.ITIMER_REAL, float(order["lifetime_s"]))
    namespaces.bring_loopback_up()
    _show_only(order)
    namespaces.drop_powers(_POWERS)
    _say({"ready": True})
    while (order := _next()) is not None:
        _say(_run(order))
    return 0


def _next() -> Mapping[str, Any] | None:
    line = sys.stdin.readline()
    return json.loads(line) if line.endswith("\n") else None


def _say(answer: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _show_only(order: Mapping[str, Any]) -> None:
    """Hide what leads to production, let nothing be written outside the drill's own folders."""
    namespaces.keep_mounts_private()
    readable, own = _opened(order["readable"]), _opened(order["own"])
    _cover_devices()
    for path in _folders(order["covered"]):
        namespaces.mount_empty(path, 0o1777)
    _put_back(readable)
    for path in _folders(order["hidden"]):
        namespaces.mount_empty(path, 0o555)
    for path in map(Path, order["sockets"]):
        # One in a folder that this account may not enter is out of its reach.
        with suppress(PermissionError):
            if path.is_socket():
                namespaces.bind("/dev/null", path)
    _close_kernel()
    for path in (_DEV, *_folders(order["covered"])):
        namespaces.set_read_only(path, read_only=False, recursive=False)
    _put_back(own)
    for path in own:
        namespaces.set_read_only(path, read_only=False, recursive=True)


def _cover_devices() -> None:
    """Leave of the devices those that hold nothing; disks, memory and terminals are not there."""
    held = [(name, os.open(_DEV / name, os.O_PATH | os.O_CLOEXEC)) for name in _DEVICES]
    namespaces.mount_empty(_DEV, 0o755)
    for name, descriptor in held:
        (_DEV / name).touch()
        namespaces.bind(f"/proc/self/fd/{descriptor}", _DEV / name)
        os.close(descriptor)
    (_DEV / "shm").mkdir()
    (_DEV / "shm").chmod(0o1777)
    for name, target in _LINKS:
        (_DEV / name).symlink_to(target)


def _close_kernel() -> None:
    """Make everything read only; of /proc, what is the machine's stays so.

    The rest of /proc is needed: a server's namespace of accounts is made by writing there.
    """
    proc = Path("/proc")
    for path in proc.iterdir():
        if path.name.isdigit() or path.is_symlink():
            continue
        if path.is_dir() or path.stat().st_mode & 0o222:
            namespaces.bind(path, path)
    namespaces.set_read_only(Path("/"), read_only=True, recursive=True)
    namespaces.set_read_only(proc, read_only=False, recursive=False)


def _folders(paths: list[str]) -> Iterator[Path]:
    """Yield the folders that are to be seen, one at a time: covering one may hide the next."""
    for path in map(Path, paths):
        if path.is_dir():
            yield path


def _opened(paths: list[str]) -> dict[Path, int]:
    """Return folders by path, held open so that covering them does not lose them."""
    flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    return {Path(path): os.open(path, flags) for path in paths if Path(path).is_dir()}


def _put_back(folders: Mapping[Path, int]) -> None:
    for path, descriptor in folders.items():
        path.mkdir(mode=0o711, parents=True, exist_ok=True)
        namespaces.bind(f"/proc/self/fd/{descriptor}", path)


def _run(order: Mapping[str, Any]) -> Mapping[str, object]:
    """Run one program to its end; what it leaves in the background lives as long as we do."""
    begun = time.monotonic()
    with Path(order["output"]).open("ab") as output:
        try:
            process = subprocess.Popen(
                order["argv"],
                cwd=order["folder"],
                env=order["env"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        except OSError as error:
            return {"not_started": error.strerror or str(error), "duration_s": 0.0}
    timed_out = not _ends_within(process, order["timeout_s"])
    if timed_out:
        _end(process)
    return {
        "exit_status": process.returncode,
        "timed_out": timed_out,
        "duration_s": round(time.monotonic() - begun, 3),
    }


def _ends_within(process: subprocess.Popen[bytes], limit_s: float) -> bool:
    """Return whether a program ended in time.

    Nobody sends an order meanwhile: what can be read is the end of the input, and ends everything.
    """
    ended = os.pidfd_open(process.pid)
    try:
        ready, _, _ = select.select([ended, sys.stdin], [], [], limit_s)
    finally:
        os.close(ended)
    if sys.stdin in ready:
        os._exit(1)
    if ready:
        process.wait()
    return bool(ready)


def _end(process: subprocess.Popen[bytes]) -> None:
    for number, limit_s in ((signal.SIGTERM, _TERM_GRACE_S), (signal.SIGKILL, None)):
        try:
            os.killpg(process.pid, number)
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            process.wait()
        return


if __name__ == "__main__":
    sys.exit(main())
