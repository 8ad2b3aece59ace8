"""Health probes as the plan describes them, and how often each may fail before it counts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from processpilot.plan.fields import Dsn, Duration, Identifier, Record


class Timing(Record):
    """How often a probe runs, and how many results in a row change what it says."""

    every_s: Duration = Field(2.0, alias="every", gt=0)
    timeout_s: Duration = Field(2.0, alias="timeout", gt=0)
    fail_after: int = Field(3, ge=1)
    recover_after: int = Field(2, ge=1)


class HttpRequest(Record):
    """One HTTP request and the answer expected.

    A value in `json_body` that begins with file: or env: is a secret by reference.
    """

    url: str = Field(pattern=r"^https?://")
    method: Literal["GET", "HEAD", "POST"] = "GET"
    status: int = Field(200, ge=100, le=599)
    contains: str | None = None
    json_body: dict[str, str] | None = Field(None, alias="json")


class SqlQuery(Record):
    """One query on the plan's database, or on another one, and the first value expected."""

    query: str = Field(min_length=1)
    expect: str | None = None
    dsn: Dsn | None = None


class HttpProbe(Timing, HttpRequest):
    """Healthy when the address answers as expected."""

    id: Identifier
    kind: Literal["http"]


class SqlProbe(Timing, SqlQuery):
    """Healthy when the query answers as expected."""

    id: Identifier
    kind: Literal["sql"]


class TcpProbe(Timing):
    """Healthy when the port accepts a connection."""

    id: Identifier
    kind: Literal["tcp"]
    host: str
    port: int = Field(ge=1, le=65535)


class CommandProbe(Timing):
    """Healthy when the program ends with status 0."""

    id: Identifier
    kind: Literal["command"]
    argv: tuple[str, ...] = Field(min_length=1)


class HeartbeatProbe(Timing):
    """Healthy when the newest heartbeat row in the database is younger than `max_age_s`."""

    id: Identifier
    kind: Literal["heartbeat"]
    max_age_s: Duration = Field(10.0, alias="max_age", gt=0)


ProbeSpec = Annotated[
    HttpProbe | SqlProbe | TcpProbe | CommandProbe | HeartbeatProbe, Field(discriminator="kind")
]
