"""Executing one statement as a step, in a transaction of its own.

An answer that is not the expected one rolls the transaction back: the statement then had no effect.
Statements that refuse a transaction (VACUUM, CREATE DATABASE) are the server's to refuse.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

import psycopg

from processpilot.errors import UnavailableError
from processpilot.journal.event import JsonValue
from processpilot.plan.act import SqlAct, act_from_json
from processpilot.postgres.connection import ServerAddress, cut_after
from processpilot.runbook.action import (
    CannotTell,
    NotHappened,
    ProbeAnswer,
    Result,
    StepContext,
    StepFailedError,
)
from processpilot.steps.ground import StepGround
from processpilot.steps.redact import Redactor

_SHOWN_CHARACTERS = 2048
_GRACE_S = 0.5

# Functions and words before a parenthesis that change nothing, whatever they are asked.
_HARMLESS = frozenset(
    re.findall(
        r"\w+",
        "abs all and any array as avg between by case cast coalesce count current_database"
        " current_setting date_trunc else exists extract from greatest having in least length"
        " limit lower max min not now nullif on or order over partition pg_database_size"
        " pg_is_in_recovery pg_size_pretty round select sum then to_char upper values version"
        " when where",
    )
)


class ExecuteStatement:
    """Executes a statement; it passes when the server does it and answers as expected."""

    def __init__(self, ground: StepGround) -> None:
        self._ground = ground

    def probe(self, context: StepContext) -> ProbeAnswer:
        """A plain question can be asked again; whether anything else was committed is unknown."""
        return NotHappened() if only_reads(_act(context).query) else CannotTell()

    def execute(self, context: StepContext) -> Result:
        """Return the first value and the count of rows; StepFailedError on another answer."""
        act = _act(context)
        address = self._ground.address if act.dsn is None else ServerAddress.parse(act.dsn)
        begun_s = time.monotonic()
        answer = _Statement(act, address).run()
        result: dict[str, JsonValue] = {
            "value": answer.value,
            "rows": answer.rows,
            "duration_s": round(time.monotonic() - begun_s, 3),
        }
        if not answer.committed:
            raise StepFailedError(
                f'the answer is "{_short(str(answer.value))}", expected "{act.expect}";'
                " rolled back",
                result=result,
                hint="Look at the database, then retry, skip or abort.",
            )
        return result


@dataclass(frozen=True, slots=True)
class _Answer:
    value: str | None
    rows: int
    committed: bool


@dataclass(frozen=True, slots=True)
class _Statement:
    """One statement and where it is executed."""

    act: SqlAct
    address: ServerAddress

    def run(self) -> _Answer:
        """Execute it, and commit when the answer is as expected."""
        limit_s = self.act.timeout_s
        milliseconds = max(1, int(limit_s * 1000))
        with self.address.connect(autocommit=False) as connection:
            try:
                with cut_after(connection, limit_s + _GRACE_S, self.address.shown):
                    connection.execute(f"set local statement_timeout = {milliseconds}".encode())
                    value, rows = _first(connection.execute(self.act.query.encode()))
            except psycopg.Error as error:
                raise self._refused(error) from None
            if self.act.expect is not None and value != self.act.expect:
                connection.rollback()
                return _Answer(value, rows, committed=False)
            self._commit(connection)
        return _Answer(value, rows, committed=True)

    def _commit(self, connection: psycopg.Connection) -> None:
        try:
            with cut_after(connection, self.act.timeout_s + _GRACE_S, self.address.shown):
                connection.commit()
        except (psycopg.OperationalError, UnavailableError):
            raise UnavailableError(
                f"{self.address.shown} did not say whether it committed",
                hint="Look at the database before retrying.",
            ) from None
        except psycopg.Error as error:
            raise self._refused(error) from None

    def _refused(self, error: psycopg.Error) -> UnavailableError:
        if isinstance(error, psycopg.errors.QueryCanceled):
            return UnavailableError(
                f"the statement did not end within {self.act.timeout_s:g} s; rolled back"
            )
        said = " ".join((error.diag.message_primary or str(error)).split())
        secrets = [] if self.address.password is None else [self.address.password]
        is_passing = isinstance(error, psycopg.OperationalError)
        return UnavailableError(
            f"{self.address.shown}: {Redactor(secrets).text(said)}", transient=is_passing
        )


def only_reads(query: str) -> bool:
    """Whether a statement surely changes nothing: one question without calls of unknown functions.

    Refuses in doubt: a function may do anything, and so may a second statement; a backslash may
    move a text's end. One that a view hides is not seen.
    """
    bare = re.sub(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", " ", query, flags=re.DOTALL)
    bare = bare.strip().rstrip(";").lower()
    words = set(re.findall(r"[a-z_][\w$.]*", bare))
    if (
        ";" in bare
        or "$" in bare
        or '"' in bare
        or "\\" in query
        or not re.match(r"(select|show|table|values)\b", bare)
    ):
        return False
    calls = set(re.findall(r"([\w$.]+)\s*\(", bare))
    return "into" not in words and calls <= _HARMLESS


def _act(context: StepContext) -> SqlAct:
    act = act_from_json(context.spec.settings)
    assert isinstance(act, SqlAct)
    return act


def _first(cursor: psycopg.Cursor[tuple[object, ...]]) -> tuple[str | None, int]:
    """Return the first value that any of the statements gave, as text, and the rows of all."""
    value: str | None = None
    found = False
    rows = 0
    while True:
        rows += max(0, cursor.rowcount)
        if cursor.description is not None and not found:
            found = True
            value = _as_text(cursor.fetchone())
        if not cursor.nextset():
            return value, rows


def _as_text(row: tuple[object, ...] | None) -> str | None:
    if not row or row[0] is None:
        return None
    return str(row[0]).lower() if isinstance(row[0], bool) else str(row[0])


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else f"{line[:200]}…"
