"""The mechanisms of switches that lie in a database or behind an HTTP address.

Secrets in a request's body are references that are read here; neither they nor what follows the
path of an address are ever shown.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg

from processpilot.errors import RefusedError, UnavailableError
from processpilot.plan.probe import HttpRequest
from processpilot.plan.secrets import read_secret
from processpilot.plan.switch import SwitchHttp, SwitchSql
from processpilot.postgres.connection import ServerAddress

HTTP_LIMIT_S = 30.0
ANSWER_BYTES = 1 << 20
SHOWN_BYTES = 60

_NOBODY_IS_LET_IN = (401, 403, 407, 429)
_TROUBLE_OF_ITS_OWN = 500

_WORDS = {"true": True, "t": True, "on": True, "1": True} | {
    "false": False,
    "f": False,
    "off": False,
    "0": False,
}


class SqlMechanism:
    """Two statements, and a query whose first value is true while it is on."""

    def __init__(self, spec: SwitchSql, address: ServerAddress) -> None:
        self.name = f"in {address.shown}"
        self._spec = spec
        self._address = address

    def ask(self) -> bool | None:
        """Return the query's first value, asked read-only; UnavailableError when it is no truth."""
        if self._spec.status is None:
            return None
        with self._transaction(read_only=True) as connection:
            row = connection.execute(self._spec.status.encode()).fetchone()
        value = None if row is None else row[0]
        truth = _WORDS.get(str(value).lower())
        if truth is None:
            raise UnavailableError(
                f"the status of switch {self.name} is {str(value)[:SHOWN_BYTES]!r},"
                " neither true nor false",
                hint="Correct the switch's `status` in the plan: its first value is to be boolean.",
            )
        return truth

    def put(self, on: bool) -> None:
        """Execute the statement for it in a transaction; on return it is committed."""
        statement = self._spec.on if on else self._spec.off
        with self._transaction(read_only=False) as connection:
            connection.execute(statement.encode())

    @contextmanager
    def _transaction(self, *, read_only: bool) -> Iterator[psycopg.Connection]:
        with self._address.session() as connection:
            connection.read_only = read_only
            try:
                with connection.transaction():
                    yield connection
            except psycopg.errors.InsufficientPrivilege as error:
                raise RefusedError(
                    f"{self._address.shown} denies switch {self.name}:"
                    f" {error.diag.message_primary}",
                    hint="Grant the plan's database account what the switch's statements need.",
                ) from error


class HttpMechanism:
    """Two requests, and one that is answered as expected while it is on.

    An answer ends within `limit_s`; the beginning of its body is all that is read.
    """

    def __init__(self, spec: SwitchHttp, base: Path, limit_s: float = HTTP_LIMIT_S) -> None:
        self.name = f"at {_shown(spec.on.url)}"
        self._spec = spec
        self._base = base
        self._limit_s = limit_s

    def ask(self) -> bool | None:
        """Return whether the answer is as expected; another one means off.

        UnavailableError when the server has trouble of its own or lets nobody in: that tells
        nothing of the switch.
        """
        request = self._spec.status
        if request is None:
            return None
        status, text = self._answer(request)
        difference = _difference(request, status, text)
        if difference is not None and status != request.status and _says_nothing(status):
            raise self._wrong(request, difference)
        return difference is None

    def put(self, on: bool) -> None:
        """Send the request for it, which must be answered as expected."""
        request = self._spec.on if on else self._spec.off
        difference = _difference(request, *self._answer(request))
        if difference is not None:
            raise self._wrong(request, difference)

    def _wrong(self, request: HttpRequest, difference: str) -> UnavailableError:
        return UnavailableError(
            f"switch {self.name}: {request.method} {_shown(request.url)} {difference}",
            hint="Check the switch's request in the plan, and what the address answers.",
        )

    def _answer(self, request: HttpRequest) -> tuple[int, str]:
        """Return an answer's status, and its text where that matters; no redirect is followed."""
        body = request.json_body and {
            key: read_secret(value, self._base).text
            if value.startswith(("file:", "env:"))
            else value
            for key, value in request.json_body.items()
        }
        try:
            with (
                httpx.Client(timeout=self._limit_s, trust_env=False) as client,
                client.stream(request.method, request.url, json=body) as answer,
            ):
                text = "" if request.contains is None else _beginning(answer, self._limit_s)
                return answer.status_code, text
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise UnavailableError(
                f"switch {self.name}: {_shown(request.url)} does not answer:"
                f" {type(error).__name__}",
                hint="Check that the address is right and that its server runs.",
                transient=True,
            ) from error


def _says_nothing(status: int) -> bool:
    return status in _NOBODY_IS_LET_IN or status >= _TROUBLE_OF_ITS_OWN


def _difference(request: HttpRequest, status: int, text: str) -> str | None:
    """Return how an answer differs from what is expected."""
    if status != request.status:
        return f"answered {status}, expected {request.status}"
    if request.contains is not None and request.contains not in text:
        return f'answered without "{request.contains}"'
    return None


def _beginning(answer: httpx.Response, limit_s: float) -> str:
    deadline = time.monotonic() + limit_s
    body = bytearray()
    for part in answer.iter_bytes():
        body += part
        if len(body) > ANSWER_BYTES:
            break
        if time.monotonic() > deadline:
            raise httpx.ReadTimeout("the answer trickles", request=answer.request)
    try:
        return body.decode(answer.encoding or "utf-8", errors="replace")
    except (LookupError, UnicodeError):  # What an answer names may be no encoding of text.
        return body.decode(errors="replace")


def _shown(url: str) -> str:
    """Return the address without login, query and fragment, which may hold a token."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that cannot be read"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
