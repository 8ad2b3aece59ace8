"""Where a drill restores to: a folder of ours alone, known by its name, and its removal.

What a killed drill left is found by name and owner. Outside the drill's namespaces only we can
reach into it; what the server's account may touch lies in an inner folder that is shown inside.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from processpilot.checks.result import CheckResult, passed_if
from processpilot.drill.enclosure import processes_in
from processpilot.drill.verdict import CLEANUP
from processpilot.errors import RefusedError, UnavailableError
from processpilot.postgres.cluster import server_processes
from processpilot.restore.finish import end_leftovers
from processpilot.restore.staging import make_staging, staging_of

NAME = "drill-"
_CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class Place:
    """The folders of one rehearsal."""

    root: Path

    @property
    def inner(self) -> Path:
        """What is shown inside the namespaces, and may be written there."""
        return self.root / "in"

    @property
    def cluster(self) -> Path:
        """The restored data directory."""
        return self.inner / _CLUSTER

    @property
    def sockets(self) -> Path:
        """Where servers put their sockets."""
        return self.inner / "s"

    @property
    def outputs(self) -> Path:
        """What programs said."""
        return self.inner / "out"

    @property
    def lock(self) -> Path:
        """What the process that drills holds while it lives."""
        return self.root / "lock"

    @property
    def staging(self) -> Path:
        """Where the scratch server keeps its own things."""
        return staging_of(self.cluster)


def place_of(rehearsal_id: str) -> Place:
    """Return where a rehearsal has its folders, made or not."""
    base = staging_of(Path(_CLUSTER)).parent
    return Place(base / f"{NAME}{rehearsal_id}")


@contextmanager
def made_place(rehearsal_id: str) -> Iterator[Place]:
    """Yield the same place, made and empty, and held: nobody else takes it for a leftover.

    RefusedError when something is there already. Removing it is `clear`'s.
    """
    place = _make(rehearsal_id)
    lock = os.open(place.lock, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield place
    finally:
        os.close(lock)


def _make(rehearsal_id: str) -> Place:
    place = place_of(rehearsal_id)
    make_staging(place.cluster)
    try:
        place.root.mkdir(mode=0o700)
    except FileExistsError as error:
        raise RefusedError(
            f"{place.root} exists", hint="Find out whose it is; remove it, then drill again."
        ) from error
    except OSError as error:
        raise UnavailableError(f"cannot make {place.root}: {error.strerror}") from error
    for folder, mode in ((place.inner, 0o711), (place.sockets, 0o711), (place.outputs, 0o700)):
        folder.mkdir(mode=mode)
        folder.chmod(mode)
    return place


def left_places() -> Iterator[Place]:
    """Yield the places that killed rehearsals left, known by name and owner; nobody holds them."""
    base = place_of("").root.parent
    for path in sorted(base.glob(f"{NAME}*")) if base.is_dir() else ():
        status = path.lstat()
        ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
        if ours and not _is_held(Place(path)):
            yield Place(path)


def _is_held(place: Place) -> bool:
    try:
        lock = os.open(place.lock, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(lock)


def clear(place: Place, namespace: str | None) -> list[CheckResult]:
    """End what runs in a place, remove it, and return what proves that nothing is left.

    `namespace` is the network namespace's name, where there was one.
    """
    trouble = ""
    try:
        end_leftovers(place.cluster)
    except UnavailableError as error:
        trouble = error.message
    for folder in (place.staging, place.root):
        shutil.rmtree(folder, ignore_errors=True)
    running = server_processes(place.cluster)
    inside = [] if namespace is None else list(processes_in(namespace))
    folders = [str(path) for path in (place.root, place.staging) if os.path.lexists(path)]
    mounts = [line for line in _mounts() if str(place.root) in line]
    return [
        _none_left("processes", [str(pid) for pid in running], trouble),
        _none_left("namespaces", [str(pid) for pid in inside], ""),
        _none_left("folders", folders, ""),
        _none_left("mounts", mounts, ""),
    ]


def _none_left(what: str, left: list[str], detail: str) -> CheckResult:
    found = ", ".join(left[:5]) or "none left"
    return passed_if(f"{CLEANUP}{what}", not left, "none left", found, detail)


def _mounts() -> list[str]:
    return [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
