"""How the outside reaches the agent, and how the agent keeps people informed."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from processpilot.plan.fields import Duration, Identifier, Record, SecretReference


class Severity(StrEnum):
    """How bad an incident is; SEV-1 is worst."""

    SEV1 = "SEV-1"
    SEV2 = "SEV-2"
    SEV3 = "SEV-3"
    SEV4 = "SEV-4"


class Web(Record):
    """The small server of `up`: links in messages, alerts, heartbeats.

    `url` is how people and other programs reach it; `secret` signs links, and programs get tokens
    made from it (docs/inbound.md).
    """

    listen: str = Field(pattern=r"^[^:\s]+:\d{1,5}$")
    url: str = Field(pattern=r"^https?://")
    secret: SecretReference


class Heartbeat(Record):
    """A sign of life that another program sends to /heartbeat/ID; its absence is an incident."""

    id: Identifier
    title: str = ""
    every_s: Duration = Field(alias="every", gt=0)
    grace_s: Duration = Field(30.0, alias="grace", ge=0)
    severity: Severity = Severity.SEV2
    scenario: Identifier | None = None


class AlertRule(Record):
    """Alerts whose labels are all as in `labels` open or update an incident of that severity.

    With a scenario, the incident is answered by its run.
    """

    labels: dict[str, str] = {}
    severity: Severity = Severity.SEV2
    scenario: Identifier | None = None


class Updates(Record):
    """How stakeholders are kept informed: when, by whose leave, over which channels.

    Templates are Jinja2; what they may say is in docs/incidents.md.
    """

    first_within_s: Duration = Field(300.0, alias="first_within", gt=0)
    every_s: Duration = Field(1200.0, alias="every", gt=0)
    approval: Identifier | None = None
    channels: tuple[Identifier, ...] = ()
    first: str | None = None
    progress: str | None = None
    final: str | None = None
