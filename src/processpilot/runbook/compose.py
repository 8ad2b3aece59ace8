"""A scenario's steps as a run pins them: groups become an order, other scenarios are put in place.

Pure. What comes out is flat: each step names the steps that must be settled before it, and the
groups it belongs to. Steps of a sub-runbook are called SUB.STEP.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from processpilot.plan.acceptance import is_accepted
from processpilot.plan.act import ActionName, act_to_json
from processpilot.plan.condition import Condition, condition_to_json
from processpilot.plan.model import Plan
from processpilot.plan.scenario import Scenario
from processpilot.plan.step import ActStep, CommandStep, Group, Step, SubRunbook
from processpilot.runbook.step import GroupSpec, OnFailure, Settings, StepSpec

# Who must agree where the plan names no role.
ANYBODY = "anybody"

# Later steps build on what these give, so leaving one out cannot end well.
BUILT_ON = frozenset(
    {
        ActionName.RESTORE,
        ActionName.REPLAY,
        ActionName.FENCE,
        ActionName.SWAP,
        ActionName.START_DATABASE,
    }
)


@dataclass(frozen=True, slots=True)
class Composed:
    """The steps of a run in the order of the document, and the groups they belong to."""

    steps: tuple[StepSpec, ...]
    groups: tuple[GroupSpec, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a step stands: what it is called after, its groups, and whose scenario it is of."""

    prefix: str
    groups: tuple[str, ...]
    component: str


@dataclass
class _Pinning:
    plan: Plan
    asks: bool
    steps: list[StepSpec] = field(default_factory=list)
    groups: list[GroupSpec] = field(default_factory=list)

    def sequence(
        self, steps: Sequence[Step], place: _Place, after: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Pin steps one after the other; return what comes last."""
        for step in steps:
            after = self.one(step, place, after)
        return after

    def one(self, step: Step, place: _Place, after: tuple[str, ...]) -> tuple[str, ...]:
        name = f"{place.prefix}{step.id}"
        match step:
            case Group():
                inside = replace(place, groups=(*place.groups, name))
                parallel = step.action == "parallel"
                self.groups.append(GroupSpec(name, step.title, parallel, step.timebox_s))
                if parallel:
                    ends = [self.one(child, inside, after) for child in step.steps]
                    last = tuple(end for branch in ends for end in branch)
                else:
                    last = self.sequence(step.steps, inside, after)
                self._bring_up(step.brings_up, last)
                return last
            case SubRunbook():
                scenario = self.plan.scenario(step.scenario)
                assert scenario is not None, "the plan's references hold"
                inside = _Place(f"{name}.", (*place.groups, name), scenario.component)
                self.groups.append(GroupSpec(name, step.title, False, step.timebox_s))
                last = self.sequence(scenario.steps, inside, after)
                self._bring_up(step.brings_up, last)
                return last
            case _:
                self.steps.append(self._pinned(step, name, place, after))
                return (name,)

    def _bring_up(self, components: tuple[str, ...], last: tuple[str, ...]) -> None:
        """Let what comes last in a group bring up what the group does: up once all are done."""
        for n, step in enumerate(self.steps):
            if step.id in last:
                self.steps[n] = replace(step, brings_up=(*step.brings_up, *components))

    def _lacks_approval(self, action: str) -> bool:
        """Whether a cluster would be swapped in though nobody has to agree to it.

        With `autonomy: approve` a person always agrees; where the plan names no role, anybody may.
        """
        guards = (ActionName.FENCE, ActionName.SWAP)
        guarded = any(s.approval for s in self.steps if s.action in guards)
        return action == ActionName.SWAP and not guarded

    def _pinned(self, step: ActStep, name: str, place: _Place, after: tuple[str, ...]) -> StepSpec:
        settings: Settings = act_to_json(step)
        if isinstance(step, CommandStep) and not is_accepted(self.plan, step):
            settings = _by_hand(step)
        needs_role = self.asks or step.action == "approval"
        approval = step.approval or (ANYBODY if self._lacks_approval(step.action) else None)
        return StepSpec(
            name,
            step.title,
            str(settings["action"]),
            step.timebox_s,
            approval if needs_role else None,
            step.retries,
            step.action not in BUILT_ON,
            settings=settings,
            after=after,
            groups=place.groups,
            component=place.component,
            role=step.role,
            estimate_s=step.estimate_s,
            brings_up=step.brings_up,
            precondition=_question(step.precondition),
            only_if=_question(step.only_if),
            probe=_question(step.probe),
            undo=None if step.undo is None else act_to_json(step.undo),
            on_failure=OnFailure(step.on_failure),
            reason=step.reason,
        )


def compose(plan: Plan, scenario: Scenario, *, asks: bool) -> Composed:
    """Return the steps of a run of `scenario`; unless it `asks`, no step waits for an approval.

    Steps that are an approval and nothing else always wait. A command that came from a written
    runbook and was accepted by nobody becomes a manual step that shows it.
    """
    pinning = _Pinning(plan, asks)
    pinning.sequence(scenario.steps, _Place("", (), scenario.component), ())
    return Composed(tuple(pinning.steps), tuple(pinning.groups))


def _by_hand(step: CommandStep) -> Settings:
    words = shlex.join(step.argv)
    where = f" in {step.folder}" if step.folder else ""
    return {
        "action": "manual",
        "instruction": f"Nobody has accepted this command ({step.origin}), so it does not run by "
        f"itself. Look at it, carry it out{where} if it is right, and confirm: {words}",
    }


def _question(condition: Condition | None) -> Settings | None:
    return None if condition is None else condition_to_json(condition)
