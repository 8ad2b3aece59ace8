"""Scenarios: the symptoms that name a disaster, and the steps that lead out of it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from processpilot.plan.fields import Duration, Identifier, Record


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
}


class Symptom(Record):
    """A probe, as component.probe, whose failure (or, with `passes`, success) points here."""

    probe: str = Field(pattern=r"^[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*$")
    required: bool = False
    passes: bool = False
    means: str = ""


class Step(Record):
    """One step; `timebox_s` is how long it should take, `approval` the role that must agree."""

    id: Identifier
    title: str
    action: ActionName
    timebox_s: Duration | None = Field(None, alias="timebox", gt=0)
    approval: Identifier | None = None
    retries: int = Field(0, ge=0, le=10)


class Scenario(Record):
    """A kind of disaster and the way out."""

    id: Identifier
    title: str
    component: Identifier
    symptoms: tuple[Symptom, ...] = Field(min_length=1)
    steps: tuple[Step, ...] = Field(min_length=1)
