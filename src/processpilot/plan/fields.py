"""Kinds of value that a plan's fields share: durations, identifiers, schedules, addresses."""

from __future__ import annotations

import re
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import croniter
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
# Plans add durations up to moments, and calendars end with the year 9999.
_LONGEST_S = 3653 * 86400.0
_UNIT_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


class Record(BaseModel):
    """A part of the plan: frozen, and refusing keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def parse_duration(value: object) -> object:
    """Return seconds for texts such as 4h, 30m, 15s, 250ms; 0 needs no unit."""
    if isinstance(value, bool):
        raise ValueError("is not a duration such as 4h, 30m or 15s")
    if isinstance(value, int | float):
        if value == 0:
            return 0.0
        raise ValueError(f"{value} has no unit; write {value}s, {value}m or {value}h")
    match = _DURATION.fullmatch(str(value).strip())
    if match is None:
        if str(value).strip() == "0":
            return 0.0
        raise ValueError(f'"{value}" is not a duration such as 4h, 30m or 15s')
    seconds = float(match[1]) * _UNIT_S[match[2]]
    if not seconds <= _LONGEST_S:
        raise ValueError("is too long: more than ten years")
    return seconds


def _check_schedule(text: str) -> str:
    if not croniter.is_valid(text):
        raise ValueError(f'"{text}" is not a cron expression such as "0 3 * * *"')
    return text


def _check_dsn(text: str) -> str:
    try:
        parts = conninfo_to_dict(text)
    except ProgrammingError:
        raise ValueError(
            "is not a connection string such as postgresql://user@host:port/database"
        ) from None
    if "password" in parts:
        raise ValueError(
            "must hold no password; put it into a file of mode 0600 and name it as "
            "password: file:PATH"
        )
    return text


def _check_secret(text: str) -> str:
    kind, _, rest = text.partition(":")
    if kind not in ("env", "file") or not rest:
        raise ValueError("is not a reference such as file:PATH or env:NAME")
    return text


def _check_identifier(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,62}", text):
        raise ValueError(f'"{text}" is not an identifier: lower-case letters, digits and hyphens')
    return text


def _check_zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f'"{text}" is not a time zone such as UTC or Europe/Berlin') from None
    return text


def _check_slot(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9_]{1,63}", text):
        raise ValueError(f'"{text}" is not a slot name: lower-case letters, digits, underscores')
    return text


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(lambda seconds: f"{seconds!r}s", when_used="json"),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["4h", "30m", "15s", 0]}),
]
Identifier = Annotated[str, AfterValidator(_check_identifier)]
Schedule = Annotated[str, AfterValidator(_check_schedule)]
Dsn = Annotated[str, AfterValidator(_check_dsn)]
SecretReference = Annotated[str, AfterValidator(_check_secret)]
RepositoryId = Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")]
TimeZone = Annotated[str, AfterValidator(_check_zone)]
SlotName = Annotated[str, AfterValidator(_check_slot)]
