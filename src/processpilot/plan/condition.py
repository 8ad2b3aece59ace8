"""Conditions: what must hold before a step, whether it is needed, whether it has happened already.

Each is one question that changes nothing. Asking is `checks.condition`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from processpilot.plan.fields import Duration, Record
from processpilot.plan.probe import HttpRequest, SqlQuery

PROBE_NAME = r"^[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*$"


class _Limited(Record):
    """What every question has: how long an answer may take."""

    timeout_s: Duration = Field(10.0, alias="timeout", gt=0)


class ProbeCondition(Record):
    """Holds when the probe, as component.probe, passes now (or, with `passes: false`, fails)."""

    kind: Literal["probe"]
    probe: str = Field(pattern=PROBE_NAME)
    passes: bool = True


class HttpCondition(_Limited, HttpRequest):
    """Holds when the address answers as expected."""

    kind: Literal["http"]


class SqlCondition(_Limited, SqlQuery):
    """Holds when the query answers as expected; it is asked read-only."""

    kind: Literal["sql"]


class CommandCondition(_Limited):
    """Holds when the program ends with status 0."""

    kind: Literal["command"]
    argv: tuple[str, ...] = Field(min_length=1)


class FileCondition(Record):
    """Holds when the path exists (or, with `exists: false`, does not)."""

    kind: Literal["file"]
    path: str = Field(min_length=1)
    exists: bool = True


Condition = Annotated[
    ProbeCondition | HttpCondition | SqlCondition | CommandCondition | FileCondition,
    Field(discriminator="kind"),
]

_CONDITION: TypeAdapter[Condition] = TypeAdapter(Condition)


def condition_from_json(data: Mapping[str, Any]) -> Condition:
    """Return the condition that `condition_to_json` wrote."""
    return _CONDITION.validate_python(dict(data))


def condition_to_json(condition: Condition) -> dict[str, Any]:
    """Return a condition in the form kept in the journal."""
    data = condition.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return {**data, "kind": condition.kind}
