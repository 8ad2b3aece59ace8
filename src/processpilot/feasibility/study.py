"""A plan under study: what every rule looks at, worked out once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from processpilot.feasibility.path import Timeline, timeline
from processpilot.feasibility.world import World
from processpilot.plan.load import LoadedPlan
from processpilot.plan.model import Plan
from processpilot.plan.scenario import Scenario
from processpilot.plan.step import Group, Step, SubRunbook


@dataclass(frozen=True, slots=True)
class Placed:
    """A step or group with its place, what it belongs to, and the groups around it.

    `runs` is False in what is kept for people only. `boxed` says that a group around it has a time
    of its own.
    """

    place: str
    owner: str
    step: Step
    scenario: Scenario | None
    runs: bool
    boxed: bool = False


@dataclass(frozen=True, slots=True)
class Study:
    """A loaded plan, the facts of this machine, all steps in the file's order, and timelines."""

    loaded: LoadedPlan
    world: World
    steps: tuple[Placed, ...]
    timelines: Mapping[str, Timeline]

    @property
    def plan(self) -> Plan:
        """The plan itself."""
        return self.loaded.plan

    def acts_of(self, scenario: Scenario) -> Iterator[Placed]:
        """Yield the steps that act in a scenario, in their order, with those of sub-runbooks."""
        for placed in self.steps:
            if placed.scenario is not scenario or isinstance(placed.step, Group):
                continue
            if isinstance(placed.step, SubRunbook):
                other = self.plan.scenario(placed.step.scenario)
                assert other is not None, "a plan's references hold"
                yield from self.acts_of(other)
            else:
                yield placed


def study_of(loaded: LoadedPlan, world: World) -> Study:
    """Return what the rules look at."""
    plan = loaded.plan
    return Study(
        loaded,
        world,
        tuple(_everywhere(plan)),
        {s.id: timeline(plan, s, world.measured) for s in plan.scenarios},
    )


def _everywhere(plan: Plan) -> Iterator[Placed]:
    for n, scenario in enumerate(plan.scenarios):
        around = Placed(
            f"scenarios[{n}].steps", scenario.id, scenario.steps[0], scenario, runs=True
        )
        yield from _placed(scenario.steps, around)
    for n, drill in enumerate(plan.drills):
        if drill.steps:
            around = Placed(f"drills[{n}].steps", drill.id, drill.steps[0], None, runs=True)
            yield from _placed(drill.steps, around)
    for name, procedures in (("providers", plan.providers), ("procedures", plan.procedures)):
        for n, procedure in enumerate(procedures):
            if procedure.steps:
                around = Placed(
                    f"{name}[{n}].steps", procedure.id, procedure.steps[0], None, runs=False
                )
                yield from _placed(procedure.steps, around)


def _placed(steps: Sequence[Step], around: Placed) -> Iterator[Placed]:
    for n, step in enumerate(steps):
        place = f"{around.place}[{n}]"
        yield Placed(place, around.owner, step, around.scenario, around.runs, around.boxed)
        if isinstance(step, Group):
            boxed = around.boxed or step.timebox_s is not None or step.estimate_s is not None
            inside = Placed(
                f"{place}.steps", around.owner, step, around.scenario, around.runs, boxed
            )
            yield from _placed(step.steps, inside)
