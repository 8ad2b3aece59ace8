"""Errors as HTTP statuses."""

from __future__ import annotations

from pathlib import Path

from processpilot import errors
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
from processpilot.web.statuses import RequestError, http_status

EXPECTED = {
    UsageError("x"): 422,
    BadLinkError("x"): 403,
    RefusedError("x"): 409,
    NotFoundError("x"): 404,
    LockedError("x"): 503,
    UnavailableError("x"): 503,
    IntegrityError("x"): 500,
    ProcessPilotError("x"): 500,
    RequestError(413, "x"): 413,
}


def test_every_error_has_its_status() -> None:
    """The table names every branch of the tree."""
    for error, status in EXPECTED.items():
        assert http_status(error) == status
    branches = [k for k in ProcessPilotError.__subclasses__() if k.__module__ == errors.__name__]
    assert set(branches) <= {type(error) for error in EXPECTED}


def test_every_status_is_documented() -> None:
    """A person who wires a monitoring system up finds each one in the table."""
    text = Path("docs/inbound.md").read_text()
    for status in {200, 303, 401, 408, 405, *EXPECTED.values()}:
        assert f"| {status} |" in text, status
