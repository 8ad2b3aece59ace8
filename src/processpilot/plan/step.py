"""Steps of a scenario: an act with its time, its people and its ways out, and groups of steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from processpilot.plan.act import (
    ActionName,
    ApprovalAct,
    BuiltInAct,
    CheckAct,
    CommandAct,
    HttpAct,
    MaintenanceAct,
    ManualAct,
    MessageAct,
    ReleaseAct,
    ServiceAct,
    SqlAct,
    ToggleAct,
    UndoAct,
    VendorAct,
    WaitAct,
)
from processpilot.plan.condition import Condition
from processpilot.plan.fields import Duration, Identifier, Record


class StepHead(Record):
    """What every step and every group has.

    `timebox_s` is how long it may take, `estimate_s` how long it probably takes until that was
    measured. `brings_up` names the components that work again once it is done. `origin` is the line
    of the written runbook it came from, as FILE:LINE: an imported command runs only once a person
    has accepted it (`processpilot plan accept`).
    """

    id: Identifier
    title: str
    timebox_s: Duration | None = Field(None, alias="timebox", gt=0)
    estimate_s: Duration | None = Field(None, alias="estimate", ge=0)
    role: Identifier | None = None
    brings_up: tuple[Identifier, ...] = ()
    note: str = ""
    origin: str | None = None


class _ActStep(StepHead):
    """What every step that acts has besides.

    `approval` is the role that must agree first. `precondition` must hold, else the step fails;
    where `only_if` does not hold, the step is not needed. `probe` says after a crash whether the
    act has happened already. `retries` repeats after passing failures; with `on_failure: retry`
    after any.
    """

    approval: Identifier | None = None
    retries: int = Field(0, ge=0, le=10)
    precondition: Condition | None = None
    only_if: Condition | None = None
    probe: Condition | None = None
    undo: UndoAct | None = None
    on_failure: Literal["stop", "retry", "undo", "go-on"] = "stop"
    reason: str | None = None

    @model_validator(mode="after")
    def _ways_out_are_whole(self) -> Self:
        if self.on_failure == "go-on" and not self.reason:
            raise ValueError("on_failure: go-on needs a reason")
        if self.on_failure == "undo" and self.undo is None:
            raise ValueError("on_failure: undo needs an undo")
        if self.on_failure == "retry" and self.retries == 0:
            raise ValueError("on_failure: retry needs retries")
        return self


class BuiltInStep(_ActStep, BuiltInAct):
    """A step that a built-in action carries out."""


class CommandStep(_ActStep, CommandAct):
    """A step that runs a program."""


class HttpStep(_ActStep, HttpAct):
    """A step that sends a request."""


class SqlStep(_ActStep, SqlAct):
    """A step that executes a statement."""


class ServiceStep(_ActStep, ServiceAct):
    """A step that does something with a service."""


class CheckStep(_ActStep, CheckAct):
    """A step that asks whether things are as they should be."""


class WaitStep(_ActStep, WaitAct):
    """A step that waits."""


class MessageStep(_ActStep, MessageAct):
    """A step that tells people."""


class VendorStep(_ActStep, VendorAct):
    """A step that asks a vendor and waits for their answer."""


class ManualStep(_ActStep, ManualAct):
    """A step that people do and confirm."""


class ApprovalStep(_ActStep, ApprovalAct):
    """A step that waits for a role to agree."""

    @model_validator(mode="after")
    def _names_its_role(self) -> Self:
        if self.approval is None:
            raise ValueError("needs approval: ROLE")
        return self


class ReleaseStep(_ActStep, ReleaseAct):
    """A step that changes which release of a component runs."""


class MaintenanceStep(_ActStep, MaintenanceAct):
    """A step that turns maintenance mode on or off."""


class ToggleStep(_ActStep, ToggleAct):
    """A step that turns a feature on or off."""


class Group(StepHead):
    """Steps one after the other, or side by side; its time box is for all of them together."""

    action: Literal["sequence", "parallel"]
    steps: tuple[Step, ...] = Field(min_length=1)


class SubRunbook(StepHead):
    """All steps of another scenario, in this place."""

    action: Literal["runbook"]
    scenario: Identifier


ActStep = (
    BuiltInStep
    | CommandStep
    | HttpStep
    | SqlStep
    | ServiceStep
    | CheckStep
    | WaitStep
    | MessageStep
    | VendorStep
    | ManualStep
    | ApprovalStep
    | ReleaseStep
    | MaintenanceStep
    | ToggleStep
)


Step = Annotated[
    ActStep | Group | SubRunbook,
    Field(discriminator="action"),
]


def every_step(steps: Sequence[Step]) -> Iterator[Step]:
    """Yield steps and groups, each group before what is in it."""
    for step in steps:
        yield step
        if isinstance(step, Group):
            yield from every_step(step.steps)


Group.model_rebuild()

__all__ = [
    "ActStep",
    "ActionName",
    "ApprovalStep",
    "BuiltInStep",
    "CheckStep",
    "CommandStep",
    "Group",
    "HttpStep",
    "MaintenanceStep",
    "ManualStep",
    "MessageStep",
    "ReleaseStep",
    "ServiceStep",
    "SqlStep",
    "Step",
    "StepHead",
    "SubRunbook",
    "ToggleStep",
    "VendorStep",
    "WaitStep",
    "every_step",
]
