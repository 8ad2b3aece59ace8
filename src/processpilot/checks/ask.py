"""One question to the outside world: an HTTP request, a query, a connection, a program.

Each returns None when the answer is as expected, otherwise what was wrong, without secrets. Each
ends within its time limit.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import httpx
import psycopg

from processpilot.errors import UnavailableError
from processpilot.plan.probe import HttpRequest, SqlQuery
from processpilot.plan.secrets import read_secret
from processpilot.postgres.connection import ServerAddress, cut_after

_OUTPUT_BYTES = 400
_SHOWN_BYTES = 200
_BODY_BYTES = 64 << 20

# The server's own limit, which names the cause, is to come first.
_GRACE_S = 0.25


def ask_http(request: HttpRequest, timeout_s: float, base: Path) -> str | None:
    """Return None when the address answers as expected; redirects are not followed."""
    body = None if request.json_body is None else _resolved(request.json_body, base)
    deadline = time.monotonic() + timeout_s
    try:
        with (
            httpx.Client(timeout=timeout_s, trust_env=False) as client,
            client.stream(request.method, request.url, json=body) as answer,
        ):
            text = _text_until(answer, deadline)
    except httpx.TimeoutException:
        return f"no answer within {timeout_s:g} s"
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        return _one_line(str(error) or type(error).__name__)
    if answer.status_code != request.status:
        return f"status {answer.status_code}, expected {request.status}"
    if request.contains is not None and request.contains not in text:
        return f'the answer does not contain "{request.contains}"'
    return None


def _text_until(answer: httpx.Response, deadline: float) -> str:
    """Return the beginning of the body; ReadTimeout when it is still coming at `deadline`."""
    body = bytearray()
    for part in answer.iter_bytes():
        body += part
        if len(body) > _BODY_BYTES:
            break
        if time.monotonic() > deadline:
            raise httpx.ReadTimeout("the answer trickles", request=answer.request)
    return decoded(bytes(body), answer.encoding)


def decoded(body: bytes, encoding: str | None) -> str:
    """Return a body as text; what an answer names may be no encoding of text at all."""
    try:
        return body.decode(encoding or "utf-8", errors="replace")
    except (LookupError, UnicodeError):
        return body.decode(errors="replace")


def _resolved(body: Mapping[str, str], base: Path) -> dict[str, str]:
    return {
        key: read_secret(value, base).text if value.startswith(("file:", "env:")) else value
        for key, value in body.items()
    }


def ask_sql(question: SqlQuery, address: ServerAddress, timeout_s: float) -> str | None:
    """Return None when the query's first value is as expected."""
    target = address
    if question.dsn is not None:
        target = ServerAddress.parse(question.dsn)
    try:
        value = query_scalar(target, question.query, timeout_s)
    except (psycopg.errors.QueryCanceled, UnavailableError):
        return f"no answer within {timeout_s:g} s"
    except psycopg.Error as error:
        # libpq's further lines ask whether a server runs there; that is what the probe asked.
        return _one_line(hide(str(error).partition("\n")[0], target.password))
    if question.expect is not None and value != question.expect:
        return f'the answer is "{_one_line(str(value))}", expected "{question.expect}"'
    return None


def query_scalar(address: ServerAddress, query: str, timeout_s: float) -> str | None:
    """Return a query's first value as text, asked read-only; raises psycopg's errors.

    Booleans read true and false. UnavailableError when the server accepted and fell silent.
    """
    limit_ms = max(1, int(timeout_s * 1000))
    options = f"-c statement_timeout={limit_ms} -c default_transaction_read_only=on"
    limited = address.with_options(connect_timeout=max(2, round(timeout_s)), options=options)
    with (
        psycopg.connect(limited.conninfo, password=address.password) as connection,
        cut_after(connection, timeout_s + _GRACE_S, address.shown),
    ):
        row = connection.execute(query.encode()).fetchone()
    if row is None or row[0] is None:
        return None
    return str(row[0]).lower() if isinstance(row[0], bool) else str(row[0])


def ask_tcp(host: str, port: int, timeout_s: float) -> str | None:
    """Return None when the port accepts a connection."""
    try:
        socket.create_connection((host, port), timeout=timeout_s).close()
    except TimeoutError:
        return f"no connection to {host}:{port} within {timeout_s:g} s"
    except OSError as error:
        return f"{host}:{port}: {error.strerror or error}"
    except UnicodeError:
        return f'"{host}" is not a host name'
    return None


def ask_command(argv: Sequence[str], timeout_s: float, base: Path) -> str | None:
    """Return None when the program ends with 0; after the time limit its group is killed."""
    # Into a file, not a pipe: what the program leaves running may keep a pipe open for ever.
    with TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                list(argv),
                cwd=base,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            return f"{argv[0]}: {error.strerror}"
        try:
            status = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return f"{argv[0]} did not end within {timeout_s:g} s"
        if status == 0:
            return None
        return f"{argv[0]} ended with {status}: {_one_line(_tail(output))}"


def _tail(output: IO[bytes]) -> str:
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - _OUTPUT_BYTES))
    return output.read().decode(errors="replace")


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_BYTES else f"{line[:_SHOWN_BYTES]}…"


def hide(text: str, secret: str | None) -> str:
    """Return `text` with a secret, should it occur, replaced."""
    return text.replace(secret, "***") if secret else text
