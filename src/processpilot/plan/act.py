"""Acts: what one step does, by itself or as another step's undo.

A built-in act is named and knows the rest from the plan. The others carry their own settings. Which
room carries each out is in docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import Field, TypeAdapter, model_validator

from processpilot.plan.condition import Condition
from processpilot.plan.fields import Duration, Identifier, Record
from processpilot.plan.probe import HttpRequest, SqlQuery


class ActionName(StrEnum):
    """What a step can do by itself; the text says what."""

    ASSESS = "assess"
    DRAIN = "drain"
    RESTORE = "restore"
    REPLAY = "replay"
    PROVE = "prove"
    FENCE = "fence"
    SWAP = "swap"
    START_DATABASE = "start-database"
    PROTECT = "protect"
    START_APPLICATIONS = "start-applications"
    VALIDATE = "validate"
    BACKUP = "backup"
    LIST_BACKUPS = "list-backups"
    DATABASE_HEALTH = "database-health"
    VERIFY_DATA = "verify-data"

    @property
    def meaning(self) -> str:
        """What the action does, in one sentence."""
        return _MEANINGS[self]


_MEANINGS = {
    ActionName.ASSESS: "Look at what is left of the database and what can be recovered.",
    ActionName.DRAIN: "Bring the last received log from the spool into the repository.",
    ActionName.RESTORE: "Write the backup's files into a new folder beside the old one.",
    ActionName.REPLAY: "Replay the log there, compare what was reached with what was planned.",
    ActionName.PROVE: "Examine the recovered data on an isolated server.",
    ActionName.FENCE: "Prove the old server dead and keep it from starting.",
    ActionName.SWAP: "Put the recovered folder in the old one's place; the old one is kept.",
    ActionName.START_DATABASE: "Start the database through what runs it.",
    ActionName.PROTECT: "Stream the log of the recovered server into a fresh spool.",
    ActionName.START_APPLICATIONS: "Start what depends on the database.",
    ActionName.VALIDATE: "Go through the checklist after recovery.",
    ActionName.BACKUP: "Take the first base backup of the recovered server.",
    ActionName.LIST_BACKUPS: "Read which backups there are and up to when the log reaches.",
    ActionName.DATABASE_HEALTH: "Ask the database whether it answers and how it is.",
    ActionName.VERIFY_DATA: "Read every table and index of the running database and check it.",
}


class BuiltInAct(Record):
    """One of the built-in actions."""

    action: Literal[
        ActionName.ASSESS,
        ActionName.DRAIN,
        ActionName.RESTORE,
        ActionName.REPLAY,
        ActionName.PROVE,
        ActionName.FENCE,
        ActionName.SWAP,
        ActionName.START_DATABASE,
        ActionName.PROTECT,
        ActionName.START_APPLICATIONS,
        ActionName.VALIDATE,
        ActionName.BACKUP,
        ActionName.LIST_BACKUPS,
        ActionName.DATABASE_HEALTH,
        ActionName.VERIFY_DATA,
    ]


class CommandAct(Record):
    """Run a program; it passes when the program ends with one of `exit_codes`.

    At `timeout_s` its process group gets TERM and a moment later KILL. Values in `env` may be
    secrets by reference. A relative `folder` starts from the plan's.
    """

    action: Literal["command"]
    argv: tuple[str, ...] = Field(min_length=1)
    env: dict[str, str] = {}
    folder: str | None = None
    timeout_s: Duration = Field(600.0, alias="timeout", gt=0)
    exit_codes: tuple[int, ...] = (0,)


class HttpAct(HttpRequest):
    """Send one request; it passes when the answer is as expected."""

    action: Literal["http"]
    timeout_s: Duration = Field(30.0, alias="timeout", gt=0)


class SqlAct(SqlQuery):
    """Execute one statement in a transaction of its own, on the plan's database or another."""

    action: Literal["sql"]
    timeout_s: Duration = Field(60.0, alias="timeout", gt=0)


class ServiceAct(Record):
    """Do something with what runs a component, through its service driver."""

    action: Literal["service"]
    component: Identifier
    do: Literal["start", "stop", "restart", "status", "hold", "release"]


class CheckAct(Record):
    """Ask conditions until all hold, at most for `within_s`; it fails when one does not."""

    action: Literal["check"]
    conditions: tuple[Condition, ...] = Field(min_length=1)
    within_s: Duration = Field(0.0, alias="within", ge=0)


class WaitAct(Record):
    """Wait until the condition holds, or just for a time. Past `limit_s` the step fails."""

    action: Literal["wait"]
    until: Condition | None = None
    for_s: Duration | None = Field(None, alias="for", gt=0)
    every_s: Duration = Field(2.0, alias="every", gt=0)
    limit_s: Duration = Field(3600.0, alias="limit", gt=0)

    @model_validator(mode="after")
    def _waits_for_one_thing(self) -> Self:
        if (self.until is None) == (self.for_s is None):
            raise ValueError("needs either until or for")
        return self


class MessageAct(Record):
    """Send a message over the plan's channels; undelivered is written down and fails no run."""

    action: Literal["message"]
    text: str = Field(min_length=1)
    subject: str | None = None
    channels: tuple[Identifier, ...] = ()


class VendorAct(Record):
    """Ask a vendor for help over their channel or by hand, and wait until they have answered.

    The response clock is the plan's for that severity; when it runs out, people are told.
    """

    action: Literal["vendor"]
    vendor: Identifier
    severity: Literal["critical", "high", "medium", "low"]
    text: str = Field(min_length=1)


class ManualAct(Record):
    """Ask people to do something and to say that it is done."""

    action: Literal["manual"]
    instruction: str = ""


class ApprovalAct(Record):
    """Do nothing but wait until the step's `approval` role agrees."""

    action: Literal["approval"]


class ReleaseAct(Record):
    """Put a component's previous release in place, or the newest one again."""

    action: Literal["release"]
    component: Identifier
    do: Literal["rollback", "forward", "migrate"]


class MaintenanceAct(Record):
    """Turn the plan's maintenance mode on or off."""

    action: Literal["maintenance"]
    mode: Literal["on", "off"]


class ToggleAct(Record):
    """Turn one of the plan's feature toggles on or off."""

    action: Literal["toggle"]
    toggle: Identifier
    state: Literal["on", "off"]


Act = Annotated[
    BuiltInAct
    | CommandAct
    | HttpAct
    | SqlAct
    | ServiceAct
    | CheckAct
    | WaitAct
    | MessageAct
    | VendorAct
    | ManualAct
    | ApprovalAct
    | ReleaseAct
    | MaintenanceAct
    | ToggleAct,
    Field(discriminator="action"),
]
UndoAct = Annotated[
    CommandAct | HttpAct | SqlAct | ServiceAct | ReleaseAct | MaintenanceAct | ToggleAct,
    Field(discriminator="action"),
]

_ACT: TypeAdapter[Act] = TypeAdapter(Act)


def act_from_json(data: Mapping[str, Any]) -> Act:
    """Return the act that `act_to_json` wrote; pydantic's ValidationError for anything else."""
    return _ACT.validate_python(dict(data))


def act_to_json(act: Act) -> dict[str, Any]:
    """Return the settings of an act, or of a step that is one, in the form kept in the journal."""
    kind: Any = next(c for c in type(act).__mro__ if c.__name__.endswith("Act"))
    fields = set(kind.model_fields)
    data = act.model_dump(mode="json", by_alias=True, exclude_defaults=True, include=fields)
    return {**data, "action": str(act.action)}
