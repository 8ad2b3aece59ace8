"""HTTP statuses, and how errors become one. The table is documented in docs/inbound.md."""

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
from processpilot.web.links import BadLinkError

UNAUTHORIZED = 401
NOT_FOUND = 404
TOO_SLOW = 408
UNKNOWN_SENDER = 403
TOO_LARGE = 413
MALFORMED = 422

_BY_CLASS: tuple[tuple[type[ProcessPilotError], int], ...] = (
    (UsageError, MALFORMED),
    (BadLinkError, 403),
    (RefusedError, 409),
    (NotFoundError, NOT_FOUND),
    (LockedError, 503),
    (UnavailableError, 503),
    (IntegrityError, 500),
    (ProcessPilotError, 500),
)


class RequestError(UsageError):
    """A request that is refused at the door, with its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def http_status(error: ProcessPilotError) -> int:
    """Return the status that tells a caller who can act."""
    if isinstance(error, RequestError):
        return error.status
    return next(status for kind, status in _BY_CLASS if isinstance(error, kind))
