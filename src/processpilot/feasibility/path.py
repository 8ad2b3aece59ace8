"""The critical path over a plan's steps: when each begins and ends at the latest planned.

Steps one after the other add up; side by side the longest counts; a sub-runbook takes as long as
its scenario. What is known of a step, in this order: measured, the plan's estimate, its time box. A
group's own figure stands for all that is in it, except that a group measured through and through
takes what was measured, and that none is shorter than what of it was measured.

Invariant: adding a step never shortens a path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from processpilot.plan.model import Plan
from processpilot.plan.scenario import Scenario
from processpilot.plan.step import Group, Step, SubRunbook
from processpilot.runbook.forecast import Measured

# By the ids of scenario and step.
Durations = Mapping[tuple[str, str], Measured]


class Source(StrEnum):
    """Where a figure is from."""

    MEASURED = "measured"
    ESTIMATE = "estimate"
    TIMEBOX = "time box"


@dataclass(frozen=True, slots=True)
class Term:
    """One figure of a sum; `count` is the number of runs behind a measured one."""

    step: str
    seconds: float
    source: Source
    count: int = 0


@dataclass(frozen=True, slots=True)
class Span:
    """A sum of terms; the steps in `unknown` belong to it and count as nothing."""

    terms: tuple[Term, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """The sum."""
        return sum(term.seconds for term in self.terms)

    def __add__(self, other: Span) -> Span:
        return Span(self.terms + other.terms, self.unknown + other.unknown)


@dataclass(frozen=True, slots=True)
class Reach:
    """A step or group, where it stands, and when it begins and ends after the scenario began."""

    place: str
    step: Step
    begin: Span
    end: Span


@dataclass(frozen=True, slots=True)
class Timeline:
    """All steps of a scenario, those of sub-runbooks too, and the end of the last."""

    reaches: tuple[Reach, ...]
    end: Span


def timeline(plan: Plan, scenario: Scenario, durations: Durations) -> Timeline:
    """Return when the steps of `scenario` begin and end."""
    walk = _Walk(plan, durations)
    end = walk.in_order(scenario.steps, _steps_place(plan, scenario), scenario.id, Span())
    return Timeline(tuple(walk.reaches), end)


def own_term(step: Step, scenario_id: str, durations: Durations) -> Term | None:
    """Return the figure of the step or group itself; None when nothing is known."""
    measured = durations.get((scenario_id, step.id))
    if measured is not None:
        return Term(step.id, measured.median_s, Source.MEASURED, measured.count)
    if step.estimate_s is not None:
        return Term(step.id, step.estimate_s, Source.ESTIMATE)
    if step.timebox_s is not None:
        return Term(step.id, step.timebox_s, Source.TIMEBOX)
    return None


def together(group: Group, scenario_id: str, plan: Plan, durations: Durations) -> Span:
    """Return what the steps in a group take, whatever the group itself says."""
    walk = _Walk(plan, durations)
    return walk.inside(group, "", scenario_id, Span())


def _steps_place(plan: Plan, scenario: Scenario) -> str:
    return f"scenarios[{plan.scenarios.index(scenario)}].steps"


class _Walk:
    """Goes through a tree of steps and collects when each begins and ends."""

    def __init__(self, plan: Plan, durations: Durations) -> None:
        self._plan = plan
        self._durations = durations
        self.reaches: list[Reach] = []

    def in_order(self, steps: Sequence[Step], place: str, scenario_id: str, begin: Span) -> Span:
        """Return the end of steps that go one after the other from `begin`."""
        for n, step in enumerate(steps):
            begin = self._step(step, f"{place}[{n}]", scenario_id, begin)
        return begin

    def inside(self, step: Group | SubRunbook, place: str, scenario_id: str, begin: Span) -> Span:
        """Return the end of what is in a group or a sub-runbook that begins at `begin`."""
        if isinstance(step, SubRunbook):
            scenario = self._plan.scenario(step.scenario)
            assert scenario is not None, "a plan's references hold"
            return self.in_order(
                scenario.steps, _steps_place(self._plan, scenario), scenario.id, begin
            )
        if step.action == "sequence":
            return self.in_order(step.steps, f"{place}.steps", scenario_id, begin)
        ends = [
            self._step(inner, f"{place}.steps[{n}]", scenario_id, begin)
            for n, inner in enumerate(step.steps)
        ]
        unknown = dict.fromkeys(name for end in ends for name in end.unknown)
        return Span(max(ends, key=lambda end: end.seconds).terms, tuple(unknown))

    def _step(self, step: Step, place: str, scenario_id: str, begin: Span) -> Span:
        own = own_term(step, scenario_id, self._durations)
        n = len(self.reaches)
        if isinstance(step, Group | SubRunbook):
            inner = self.inside(step, place, scenario_id, begin)
            end = self._group_end(step, scenario_id, own, begin, inner)
            self.reaches[n:] = [_bounded(reach, begin, end) for reach in self.reaches[n:]]
        else:
            end = begin + (Span((), (step.id,)) if own is None else Span((own,)))
        self.reaches.insert(n, Reach(place, step, begin, end))
        return end

    def _group_end(
        self, step: Step, scenario_id: str, own: Term | None, begin: Span, inner: Span
    ) -> Span:
        if own is None:
            return inner
        floor_s, whole = self._measured(step, scenario_id)
        if own.source is not Source.MEASURED and whole:
            return inner
        if own.source is not Source.MEASURED and floor_s > own.seconds:
            own = Term(step.id, floor_s, Source.MEASURED, 1)
        added_s = inner.seconds - begin.seconds
        if inner.unknown == begin.unknown and round(added_s - own.seconds, 6) == 0:
            return inner  # The same sum, with more to be seen in it.
        return begin + Span((own,))

    def _measured(self, step: Step, scenario_id: str) -> tuple[float, bool]:
        """Return what of a step was measured, in seconds, and whether all of it was."""
        own = self._durations.get((scenario_id, step.id))
        if own is not None:
            return own.median_s, True
        if isinstance(step, SubRunbook):
            scenario = self._plan.scenario(step.scenario)
            assert scenario is not None, "a plan's references hold"
            parts = [self._measured(inner, scenario.id) for inner in scenario.steps]
        elif isinstance(step, Group):
            parts = [self._measured(inner, scenario_id) for inner in step.steps]
        else:
            return 0.0, False
        combine = max if step.action == "parallel" else sum
        return combine(seconds for seconds, _ in parts), all(whole for _, whole in parts)


def _bounded(reach: Reach, begin: Span, end: Span) -> Reach:
    """Return a step within its group: what is not known of it is known of the group."""
    known = reach.end.unknown == begin.unknown and reach.end.seconds <= end.seconds
    starts = reach.begin.unknown == begin.unknown and reach.begin.seconds <= end.seconds
    return Reach(
        reach.place,
        reach.step,
        reach.begin if starts else begin,
        reach.end if known else end,
    )
