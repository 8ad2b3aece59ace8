"""Starts one program inside a drill's namespaces (python -m ...enter KEEPER UID GID PROGRAM...).

It stands outside for the program: signals go through, its end is ours, and when we are killed the
program is. PostgreSQL refuses root, so where the files are root's, one more user namespace shows
them as an ordinary account's. The environment is emptied.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from processpilot.drill import namespaces

_KINDS = (
    ("user", namespaces.NEW_USER),
    ("net", namespaces.NEW_NET),
    ("ipc", namespaces.NEW_IPC),
    ("uts", namespaces.NEW_UTS),
    ("pid", namespaces.NEW_PID),
    ("mnt", namespaces.NEW_NS),
)
_THROUGH = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
_ORDINARY_ID = 1000
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"}


def main(words: Sequence[str]) -> int:
    """Start the program, wait for its end, and return its exit status."""
    keeper, uid, gid, *argv = words
    owner = int(uid), int(gid)
    was_root = os.geteuid() == 0
    opened = [
        (os.open(f"/proc/{keeper}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC), kind)
        for name, kind in _KINDS
    ]
    signal.pthread_sigmask(signal.SIG_BLOCK, _THROUGH)
    for descriptor, kind in opened:
        namespaces.join(descriptor, kind)
    child = os.fork()
    if child == 0:
        _become(argv, owner, was_root=was_root)
    for number in _THROUGH:
        signal.signal(number, lambda number, _frame: os.kill(child, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _THROUGH)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) & 0xFF


def _become(argv: Sequence[str], owner: tuple[int, int], *, was_root: bool) -> None:
    """Turn into the program; never returns."""
    try:
        os.chdir("/")
        if was_root:
            os.setgroups([])
            os.setresgid(owner[1], owner[1], owner[1])
            os.setresuid(owner[0], owner[0], owner[0])
            if owner[0] == 0:
                _show_root_as_ordinary()
        namespaces.die_with_parent()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _THROUGH)
        os.execve(argv[0], list(argv), _ENVIRONMENT)  # noqa: S606 - nothing to quote
    except OSError as error:
        sys.stderr.write(f"FATAL:  {argv[0]}: {error.strerror}\n")
    os._exit(127)


def _show_root_as_ordinary() -> None:
    namespaces.unshare(namespaces.NEW_USER)
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{_ORDINARY_ID} 0 1"),
        ("gid_map", f"{_ORDINARY_ID} 0 1"),
    ):
        Path(f"/proc/self/{name}").write_text(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
