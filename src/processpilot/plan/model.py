"""The plan as a whole, with the references between its parts checked."""

from __future__ import annotations

from enum import StrEnum
from graphlib import TopologicalSorter
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from processpilot.plan.alarm import AlertRule, Heartbeat, Updates, Web
from processpilot.plan.component import Component, Priority
from processpilot.plan.fields import (
    Dsn,
    Duration,
    Record,
    RepositoryId,
    Schedule,
    SecretReference,
    SlotName,
)
from processpilot.plan.outside import (
    AcceptedCommand,
    ChecklistItem,
    Drill,
    FollowUp,
    Procedure,
    SupportLevel,
    Vendor,
)
from processpilot.plan.probe import HttpRequest, SqlQuery
from processpilot.plan.references import broken_references
from processpilot.plan.scenario import Scenario
from processpilot.plan.switch import Channel, Switch, Toggle
from processpilot.plan.team import Team


class Autonomy(StrEnum):
    """Whether `up` swaps in a recovered database by itself or after an approval."""

    APPROVE = "approve"
    ACT = "act"


class ProtectionMode(StrEnum):
    """Whether commits wait until the receiver has them."""

    ASYNCHRONOUS = "asynchronous"
    SYNCHRONOUS = "synchronous"


class Database(Record):
    """The protected cluster. Without `data_dir` it is backed up over the replication protocol."""

    dsn: Dsn
    password: SecretReference | None = None
    data_dir: str | None = None
    bin_dir: str | None = None
    superuser: str = "postgres"


class StorageOptions(Record):
    """How to reach object storage; keys only by reference."""

    endpoint: str | None = None
    region: str | None = None
    access_key: SecretReference | None = None
    secret_key: SecretReference | None = None
    allow_http: bool = False
    timeout_s: Duration = Field(300.0, alias="timeout", gt=0)


class RepositorySpec(Record):
    """Where backups and log go, and the key that opens the place unattended."""

    url: str = Field(min_length=1)
    id: RepositoryId | None = None
    options: StorageOptions = StorageOptions()
    identity: SecretReference
    lock_days: float = Field(0.0, ge=0)


class Protection(Record):
    """How the log is streamed."""

    mode: ProtectionMode = ProtectionMode.ASYNCHRONOUS
    slot: SlotName = "processpilot"
    sync_grace_s: Duration = Field(30.0, alias="sync_grace", gt=0)
    tail_interval_s: Duration = Field(2.0, alias="tail_interval", gt=0)
    spool_dir: str | None = None
    heartbeat: bool = True


class Retention(Record):
    """How many backups to keep: the last ones, and one per hour, day, week, month and year."""

    last: int = Field(7, ge=1)
    hourly: int = Field(0, ge=0)
    daily: int = Field(14, ge=0)
    weekly: int = Field(8, ge=0)
    monthly: int = Field(12, ge=0)
    yearly: int = Field(0, ge=0)


class BackupPolicy(Record):
    """When base backups are taken and how long they are kept."""

    schedule: Schedule = "0 3 * * *"
    compression_level: int = Field(1, ge=1, le=19)
    rate_limit_mb_s: float | None = Field(None, gt=0)
    retention: Retention = Retention()


class HttpCheck(HttpRequest):
    """A request that the recovered application must answer as expected."""

    name: str
    kind: Literal["http"]


class SqlCheck(SqlQuery):
    """A query that the recovered database must answer as expected."""

    name: str
    kind: Literal["sql"]


Check = Annotated[HttpCheck | SqlCheck, Field(discriminator="kind")]


class Ledger(Record):
    """Acknowledged writes: a file with one key a line, and a query that returns those of `keys`.

    The query gets the keys as the array parameter %(keys)s and returns the ones it found.
    """

    file: str
    query: str


class Plan(Record):
    """The whole document."""

    version: Literal[1]
    name: str
    state_dir: str = ".processpilot"
    autonomy: Autonomy = Autonomy.APPROVE
    database: Database
    repository: RepositorySpec
    protection: Protection = Protection()
    backup: BackupPolicy = BackupPolicy()
    components: tuple[Component, ...] = Field(min_length=1)
    impact: dict[Priority, str] = {}
    team: Team = Team()
    channels: tuple[Channel, ...] = ()
    web: Web | None = None
    heartbeats: tuple[Heartbeat, ...] = ()
    alerts: tuple[AlertRule, ...] = ()
    updates: Updates = Updates()
    maintenance: Switch | None = None
    toggles: tuple[Toggle, ...] = ()
    scenarios: tuple[Scenario, ...] = ()
    validation: tuple[Check, ...] = ()
    checklist: tuple[ChecklistItem, ...] = ()
    performance_factor: float = Field(3.0, gt=0)
    ledger: Ledger | None = None
    drills: tuple[Drill, ...] = ()
    vendors: tuple[Vendor, ...] = ()
    support: tuple[SupportLevel, ...] = ()
    providers: tuple[Procedure, ...] = ()
    procedures: tuple[Procedure, ...] = ()
    follow_ups: tuple[FollowUp, ...] = ()
    accepted: tuple[AcceptedCommand, ...] = ()

    def component(self, identifier: str) -> Component:
        """Return a component that a validated reference names."""
        return next(c for c in self.components if c.id == identifier)

    def scenario(self, identifier: str) -> Scenario | None:
        """Return the scenario of that id, or None."""
        return next((s for s in self.scenarios if s.id == identifier), None)

    def start_order(self) -> tuple[Component, ...]:
        """Return the components so that each comes after what it depends on."""
        order = TopologicalSorter({c.id: c.depends_on for c in self.components}).static_order()
        return tuple(self.component(identifier) for identifier in order)

    @model_validator(mode="after")
    def _references_hold(self) -> Self:
        problems = list(broken_references(self))
        if problems:
            raise ValueError("\n".join(problems))
        return self
