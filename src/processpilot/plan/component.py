"""Components: what the plan protects or depends on, its objectives, and what runs it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from processpilot.plan.fields import Duration, Identifier, Record, SecretReference
from processpilot.plan.probe import ProbeSpec


class Priority(StrEnum):
    """How much depends on a component."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class SupervisordProgram(Record):
    """A program under supervisord; `server` is unix:///path or http://host:port."""

    kind: Literal["supervisord"]
    server: str = Field(pattern=r"^(unix://|https?://)")
    name: str
    user: str | None = None
    password: SecretReference | None = None
    timeout_s: Duration = Field(60.0, alias="timeout", gt=0)


class SystemdUnit(Record):
    """A systemd unit."""

    kind: Literal["systemd"]
    unit: str
    user: bool = False
    timeout_s: Duration = Field(60.0, alias="timeout", gt=0)


class Pm2Process(Record):
    """A process under pm2, the process manager for Node.js; `home` is PM2_HOME."""

    kind: Literal["pm2"]
    name: str = Field(min_length=1)
    home: str | None = None
    program: str = "pm2"
    timeout_s: Duration = Field(60.0, alias="timeout", gt=0)


class StartStopCommands(Record):
    """Programs that start and stop it; `status` ends with 0 while it runs."""

    kind: Literal["command"]
    start: tuple[str, ...] = Field(min_length=1)
    stop: tuple[str, ...] = Field(min_length=1)
    status: tuple[str, ...] | None = None
    timeout_s: Duration = Field(60.0, alias="timeout", gt=0)


ServiceSpec = Annotated[
    SupervisordProgram | SystemdUnit | Pm2Process | StartStopCommands,
    Field(discriminator="kind"),
]


class GitRelease(Record):
    """A work tree whose releases are tags that match `tags`, ordered by their commits and, where
    those do not tell, by name.
    """

    kind: Literal["git"]
    folder: str = Field(min_length=1)
    tags: str = "v*"
    install: tuple[str, ...] = ()
    build: tuple[str, ...] = ()
    migrate: tuple[str, ...] = ()
    timeout_s: Duration = Field(900.0, alias="timeout", gt=0)


class FolderRelease(Record):
    """Folders below `folder`, one a release, in the order of their names; `current` is a link."""

    kind: Literal["folders"]
    folder: str = Field(min_length=1)
    current: str = "current"
    install: tuple[str, ...] = ()
    build: tuple[str, ...] = ()
    migrate: tuple[str, ...] = ()
    timeout_s: Duration = Field(900.0, alias="timeout", gt=0)


ReleaseSpec = Annotated[GitRelease | FolderRelease, Field(discriminator="kind")]


class Component(Record):
    """One part of the application. `rto_s` and `rpo_s` are objectives, in seconds."""

    id: Identifier
    title: str
    priority: Priority
    rto_s: Duration = Field(alias="rto")
    rpo_s: Duration = Field(alias="rpo")
    depends_on: tuple[Identifier, ...] = ()
    service: ServiceSpec | None = None
    release: ReleaseSpec | None = None
    probes: tuple[ProbeSpec, ...] = ()
