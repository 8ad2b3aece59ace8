"""Runs whose controllers die between any two events: however often, the run ends the same.

Runner, people and steps are played by the test; state and decision are the product's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_events import History, end_step, plans

from processpilot.runbook.decide import (
    AwaitPeople,
    Finish,
    Finished,
    Need,
    ProbeStep,
    RequestApproval,
    StartStep,
    decide,
)
from processpilot.runbook.state import Kind, RunState, Verdict
from processpilot.runbook.step import StepOutcome, StepSpec


class CrashError(Exception):
    """The process ended before it could write the next event."""


@dataclass
class World:
    """What steps meet outside: effects, failures that pass, and steps that always fail."""

    passing: dict[str, int]
    skipped: frozenset[str] = frozenset()
    aborting: frozenset[str] = frozenset()
    effects: list[str] = field(default_factory=list)

    def execute(self, step: str) -> str:
        """Carry a step out; return how it ended."""
        if step in self.skipped | self.aborting:
            return "fail"
        if self.passing.get(step, 0) > 0:
            self.passing[step] -= 1
            return "passing"
        self.effects.append(step)
        return "pass"


@dataclass
class Controller:
    """A runner that may write `budget` events before its process ends."""

    history: History
    world: World
    budget: int

    def carry_on(self) -> RunState:
        """Take over, and act until the run is finished or the process ends."""
        if any(step.outcome is StepOutcome.RUNNING for step in self.history.state.steps):
            self.pay().resumed()
        while True:
            match decide(self.history.state):
                case StartStep(step_id=step, attempt=attempt):
                    self.pay().start(step, attempt)
                    how = self.world.execute(step)
                    end_step(self.pay(), step, how)
                case ProbeStep(step_id=step):
                    if step in self.world.effects:
                        self.pay().passed(step, size=1)
                    else:
                        self.pay().probed(step, False)
                case RequestApproval(step_id=step, role=role):
                    self.pay().add(Kind.APPROVAL_REQUESTED, step=step, role=role)
                case AwaitPeople(step_id=step, need=need):
                    self._ask(step, need)
                case Finish(verdict=verdict):
                    self.pay().finished(verdict or "passed")
                case Finished():
                    return self.history.state

    def pay(self) -> History:
        if self.budget == 0:
            raise CrashError
        self.budget -= 1
        return self.history

    def _ask(self, step: str, need: Need) -> None:
        """People approve everything, and skip, abort or retry what failed."""
        if need is Need.APPROVAL:
            self.pay().person(Kind.APPROVAL_GIVEN, step)
        elif step in self.world.aborting:
            self.pay().aborted()
        elif step in self.world.skipped:
            self.pay().skipped(step)
        else:
            self.pay().person(Kind.RETRY_REQUESTED, step)


@st.composite
def worlds(draw: st.DrawFn, specs: list[StepSpec]) -> World:
    """Draw what the steps of a plan meet."""
    names = [spec.id for spec in specs]
    some = st.frozensets(st.sampled_from(names), max_size=1)
    counts = st.dictionaries(st.sampled_from(names), st.integers(0, 4))
    return World(draw(counts), draw(some), draw(some))


@settings(deadline=None)
@given(st.data())
def test_interrupted_anywhere_and_continued_the_run_ends_the_same(data: st.DataObject) -> None:
    """Outcomes, results and verdict are those of a run nobody interrupted; effects are single."""
    specs = data.draw(plans())
    calm = data.draw(worlds(specs))
    rough = World(dict(calm.passing), calm.skipped, calm.aborting)
    wanted = Controller(History(specs), calm, 10_000).carry_on()
    history = History(specs)
    for budget in [*data.draw(st.lists(st.integers(0, 6), max_size=8)), 10_000]:
        try:
            Controller(history, rough, budget).carry_on()
        except CrashError:
            assert not history.state.is_finished
    found = history.state
    assert ending(found) == ending(wanted)
    assert rough.effects == calm.effects
    assert len(set(rough.effects)) == len(rough.effects)


def ending(state: RunState) -> object:
    """Return what a run came to, without attempts and times."""
    return state.verdict, [(step.outcome, step.result) for step in state.steps]


def test_the_played_runs_reach_every_verdict_they_can() -> None:
    """The test's own world passes, misses and aborts, so that the comparison says something."""
    specs = [StepSpec("s0", "Step", "act", None, "commander", 1), StepSpec("s1", "Step", "act")]
    for world, verdict in (
        (World({"s0": 3}), Verdict.PASSED),
        (World({}, skipped=frozenset({"s1"})), Verdict.MISSED),
        (World({}, aborting=frozenset({"s1"})), Verdict.ABORTED),
    ):
        assert Controller(History(specs), world, 10_000).carry_on().verdict is verdict
    with pytest.raises(CrashError):
        Controller(History(specs), World({}), 1).carry_on()
