"""What lies outside the team: vendors and what they promise, database providers, drills, the list
that is gone through after a recovery, and what follows an incident."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from processpilot.plan.component import Priority
from processpilot.plan.fields import Duration, Identifier, Record, Schedule
from processpilot.plan.step import Step
from processpilot.plan.team import Contact


class Vendor(Contact):
    """Somebody outside whom the team depends on."""

    id: Identifier
    title: str
    note: str = ""
    channels: tuple[Identifier, ...] = ()


class SupportLevel(Record):
    """How soon a vendor answers for a severity; `by` is how they are asked."""

    severity: Priority
    response_s: Duration = Field(alias="response", ge=0)
    by: str = ""


class Procedure(Record):
    """What a written runbook says to do at a provider or in short; kept for people, not run."""

    id: Identifier
    title: str
    steps: tuple[Step, ...] = ()


class DrillKind(StrEnum):
    """What a drill walks: a restore and its proof, the whole system, or people and clock only."""

    RESTORE = "restore"
    COMPLETE = "complete"
    TABLETOP = "tabletop"


class Drill(Record):
    """A rehearsal: when, and what it goes through.

    It lapses `every_s` after it last passed; `schedule` says when the agent begins it by itself.
    `absent` are people who do not take part, so that their seconds do. After `lifetime_s` whatever
    it left is removed. `steps` are what a written runbook says of it, for people.
    """

    id: Identifier
    title: str
    kind: DrillKind = DrillKind.RESTORE
    every_s: Duration = Field(alias="every", gt=0)
    schedule: Schedule | None = None
    scenario: Identifier | None = None
    absent: tuple[str, ...] = ()
    lifetime_s: Duration = Field(4 * 3600.0, alias="lifetime", gt=0)
    steps: tuple[Step, ...] = ()


class ChecklistItem(Record):
    """A line of the list after a recovery; `by` names what proves it, nothing if only people can.

    A proof is a probe (component.probe), the name of a check in `validation`, or one of the
    built-in checks: streaming, heartbeat, speed, backup, prove.
    """

    text: str = Field(min_length=1)
    by: tuple[str, ...] = ()


class FollowUp(Record):
    """What is done after an incident, between two moments from its end."""

    title: str
    begin_s: Duration = Field(0.0, alias="from", ge=0)
    end_s: Duration | None = Field(None, alias="to", ge=0)
    items: tuple[str, ...] = ()


class AcceptedCommand(Record):
    """A person's word that an imported command may run: the command's digest, who, and when."""

    digest: str = Field(pattern=r"^[0-9a-f]{32}$")
    by: str = Field(min_length=1)
    at: str = ""
    command: str = ""
