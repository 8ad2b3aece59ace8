"""Exit statuses, and how errors become one. The table is documented in docs/commands.md."""

from __future__ import annotations

from processpilot.errors import (
    IntegrityError,
    LockedError,
    NotFoundError,
    ProcessPilotError,
    RefusedError,
    UnavailableError,
    UsageError,
)

OK = 0
NOT_WELL = 1
USAGE = 2
REFUSED = 3
NOT_FOUND = 4
LOCKED = 5
UNAVAILABLE = 6
INTEGRITY = 7
WAITING = 8
INTERRUPTED = 130

MEANINGS = {
    OK: "done; healthy; the verdict is passed",
    NOT_WELL: "done, but a check failed, something is not healthy, or the verdict is not passed",
    USAGE: "the request or the plan is malformed",
    REFUSED: "it would be unsafe, and nothing was changed",
    NOT_FOUND: "no such backup, run, plan or program",
    LOCKED: "another process is at it",
    UNAVAILABLE: "the outside world failed: server, storage, disk, network",
    INTEGRITY: "stored bytes or history are wrong, or log is missing",
    WAITING: "a run waits for a person",
    INTERRUPTED: "interrupted",
}

_BY_CLASS: tuple[tuple[type[ProcessPilotError], int], ...] = (
    (UsageError, USAGE),
    (RefusedError, REFUSED),
    (NotFoundError, NOT_FOUND),
    (LockedError, LOCKED),
    (UnavailableError, UNAVAILABLE),
    (IntegrityError, INTEGRITY),
    (ProcessPilotError, NOT_WELL),
)


def exit_status(error: ProcessPilotError) -> int:
    """Return the status that tells a caller who can act."""
    return next(status for kind, status in _BY_CLASS if isinstance(error, kind))
