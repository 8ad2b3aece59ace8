"""Who may drive: at most one process of this host holds a lease of a name.

Owns the lock files. The operating system drops a dead owner's lock at once, so nobody waits for a
timeout and no clock is trusted; the epoch in the journal stops an owner whose file was removed.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from processpilot.clock import Clock
from processpilot.errors import LockedError, UnavailableError, UsageError
from processpilot.journal.epoch import Lease
from processpilot.journal.event import at_text
from processpilot.journal.journal import Journal

__all__ = ["Holder", "Lease", "acquire_lease", "holder"]

# `holder` has the lock for microseconds, so one refusal is not yet an owner.
_TRIES = 5
_BETWEEN_TRIES_S = 0.02
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a lease; fields are None until it has written its name down."""

    pid: int | None
    since: datetime | None


@contextmanager
def acquire_lease(journal: Journal, name: str, lock_dir: Path) -> Iterator[Lease]:
    """Hold lease `name` for the length of the block, under an epoch newer than all before.

    Raises LockedError naming the holder if another process, or this one, already holds it. Forked
    children share the lock; programs started through `subprocess` do not.
    """
    with _lock_file(name, lock_dir) as descriptor:
        _take(descriptor, name, lock_dir, journal.clock)
        try:
            yield journal.begin_epoch(name)
        finally:
            # Closing the file is what releases; a name left behind is overwritten by the next.
            with suppress(OSError):
                os.ftruncate(descriptor, 0)


def holder(name: str, lock_dir: Path) -> Holder | None:
    """Return who holds lease `name` now, None when nobody does."""
    path = _path(name, lock_dir)
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreachable(path, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(descriptor)
    else:
        return None
    finally:
        os.close(descriptor)


@contextmanager
def _lock_file(name: str, lock_dir: Path) -> Iterator[int]:
    path = _path(name, lock_dir)
    try:
        lock_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _unreachable(path, error) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _take(descriptor: int, name: str, lock_dir: Path, clock: Clock) -> None:
    try:
        _lock(descriptor, name, lock_dir, clock)
        owner = {"pid": os.getpid(), "since": at_text(clock.now())}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(owner).encode(), 0)
    except OSError as error:
        raise _unreachable(_path(name, lock_dir), error) from error


def _lock(descriptor: int, name: str, lock_dir: Path, clock: Clock) -> None:
    for _ in range(_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            clock.sleep(_BETWEEN_TRIES_S)
        else:
            return
    raise _held(name, lock_dir, _read(descriptor))


def _held(name: str, lock_dir: Path, owner: Holder) -> LockedError:
    if owner.pid is None or owner.since is None:
        return LockedError(
            f"lease {name} is held by a process that has not written its name",
            hint=f"Find it with `fuser -v {_path(name, lock_dir)}`, then wait or stop it.",
        )
    return LockedError(
        f"lease {name} is held by process {owner.pid} since {owner.since.isoformat()}",
        hint=f"Wait until it ends, or stop it with `kill {owner.pid}`.",
    )


def _read(descriptor: int) -> Holder:
    try:
        fields = json.loads(os.pread(descriptor, 4096, 0))
        return Holder(int(fields["pid"]), datetime.fromisoformat(fields["since"]))
    except (ValueError, TypeError, KeyError):
        return Holder(None, None)


def _path(name: str, lock_dir: Path) -> Path:
    if not _NAME.fullmatch(name):
        raise UsageError(f"lease name {name!r} is not letters, digits, dots, dashes, underscores")
    return lock_dir / f"{name}.lock"


def _unreachable(path: Path, error: OSError) -> UnavailableError:
    return UnavailableError(
        f"lock file {path} cannot be used: {error.strerror or error}",
        hint=f"Check the folder with `ls -ld {path.parent}` and its file system with "
        f"`df -h {path.parent}`.",
    )
