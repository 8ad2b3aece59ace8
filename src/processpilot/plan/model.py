"""The plan as a whole, with the references between its parts checked."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from processpilot.plan.component import Component
from processpilot.plan.fields import (
    Dsn,
    Duration,
    Identifier,
    Record,
    RepositoryId,
    Schedule,
    SecretReference,
    SlotName,
)
from processpilot.plan.probe import HttpRequest, SqlQuery
from processpilot.plan.scenario import ActionName, Scenario


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


class Role(Record):
    """A function in the emergency response team, and the functions that fill it."""

    id: Identifier
    title: str
    primary: str | None = None
    secondary: str | None = None


class Team(Record):
    """Who decides what."""

    roles: tuple[Role, ...] = ()


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
    team: Team = Team()
    scenarios: tuple[Scenario, ...] = ()
    validation: tuple[Check, ...] = ()
    performance_factor: float = Field(3.0, gt=0)
    ledger: Ledger | None = None

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
        problems = list(_broken_references(self))
        if problems:
            raise ValueError("\n".join(problems))
        return self


def _broken_references(plan: Plan) -> Iterator[str]:
    """Yield "place: message" for every reference that leads nowhere and every double id."""
    components = {c.id for c in plan.components}
    probes = {f"{c.id}.{p.id}" for c in plan.components for p in c.probes}
    roles = {r.id for r in plan.team.roles}
    yield from _doubles("components", [c.id for c in plan.components])
    yield from _doubles("scenarios", [s.id for s in plan.scenarios])
    yield from _doubles("team.roles", [r.id for r in plan.team.roles])
    for n, component in enumerate(plan.components):
        yield from _doubles(f"components[{n}].probes", [p.id for p in component.probes])
        for m, other in enumerate(component.depends_on):
            if other not in components:
                yield f'components[{n}].depends_on[{m}]: there is no component "{other}"'
    for n, scenario in enumerate(plan.scenarios):
        if scenario.component not in components:
            yield f'scenarios[{n}].component: there is no component "{scenario.component}"'
        yield from _doubles(f"scenarios[{n}].steps", [s.id for s in scenario.steps])
        yield from _out_of_order(f"scenarios[{n}].steps", scenario)
        for m, symptom in enumerate(scenario.symptoms):
            if symptom.probe not in probes:
                yield f'scenarios[{n}].symptoms[{m}].probe: there is no probe "{symptom.probe}"'
        for m, step in enumerate(scenario.steps):
            if step.approval is not None and step.approval not in roles:
                yield f'scenarios[{n}].steps[{m}].approval: there is no role "{step.approval}"'
    if all(other in components for c in plan.components for other in c.depends_on):
        try:
            TopologicalSorter({c.id: c.depends_on for c in plan.components}).prepare()
        except CycleError as error:
            circle = " -> ".join(str(part) for part in error.args[1])
            yield f"components: they depend on each other in a circle: {circle}"


# What has to have passed before an action may run, in any scenario that contains it.
_BEFORE = {
    ActionName.REPLAY: (ActionName.RESTORE,),
    ActionName.PROVE: (ActionName.REPLAY,),
    ActionName.FENCE: (ActionName.ASSESS, ActionName.DRAIN, ActionName.REPLAY),
    ActionName.SWAP: (ActionName.PROVE, ActionName.FENCE),
    ActionName.START_DATABASE: (ActionName.SWAP,),
    ActionName.PROTECT: (ActionName.START_DATABASE,),
    ActionName.BACKUP: (ActionName.PROTECT,),
}


def _out_of_order(place: str, scenario: Scenario) -> Iterator[str]:
    """Yield what would destroy before it has proven, or build on what is not there yet."""
    actions = [step.action for step in scenario.steps]
    for n, action in enumerate(actions):
        for needed in _BEFORE.get(action, ()):
            if needed not in actions[:n]:
                yield f'{place}[{n}].action: "{action}" needs a step "{needed}" before it'
    if (
        ActionName.RESTORE in actions
        and ActionName.DRAIN in actions[actions.index(ActionName.RESTORE) :]
    ):
        n = actions.index(ActionName.DRAIN)
        yield f'{place}[{n}].action: "drain" comes too late: "restore" plans with what it stores'


def _doubles(place: str, names: list[str]) -> Iterator[str]:
    for n, name in enumerate(names):
        if name in names[:n]:
            yield f'{place}[{n}].id: "{name}" is there twice'
