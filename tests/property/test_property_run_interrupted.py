"""Runs whose controllers die between any two events: however often, the run ends the same.

Runner, people and steps are played by the test; state and decision are the product's. Whatever can
run side by side does, so that a crash leaves several steps of unknown end.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_events import History, end_step, plans
from run_play import write_task

from processpilot.runbook.decide import AwaitPeople, Need, StartStep, UndoStep, decide
from processpilot.runbook.state import Kind, RunState, Verdict
from processpilot.runbook.step import OnFailure, StepOutcome, StepSpec, StepState


class CrashError(Exception):
    """The process ended before it could write the next event."""


@dataclass
class World:
    """What steps meet outside: effects, failures that pass, and steps that always fail.

    `effects` are in the order in which they happened; what is undone is in `undone` likewise.
    """

    passing: dict[str, int]
    skipped: frozenset[str] = frozenset()
    aborting: frozenset[str] = frozenset()
    idle: frozenset[str] = frozenset()
    effects: list[str] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)

    def execute(self, step: str) -> str:
        """Carry a step out; return how it ended."""
        if step in self.idle:
            return "not-needed"
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
        if any(_under_way(step) for step in self.history.state.steps):
            self.pay().resumed()
        while not self.history.state.is_finished:
            found = decide(self.history.state)
            for task in found.tasks:
                answer = "done" if task.step_id in self.world.effects else "not"
                write_task(self.pay(), task, answer)
            for task in found.tasks:
                self._end(task.step_id, begun=isinstance(task, StartStep | UndoStep))
            if found.finish is not None:
                self.pay().finished(found.finish.verdict or "passed")
            elif not found.tasks:
                self._ask(found.waits[0])
        return self.history.state

    def pay(self) -> History:
        if self.budget == 0:
            raise CrashError
        self.budget -= 1
        return self.history

    def _end(self, step_id: str, *, begun: bool) -> None:
        """Do what was begun, and write down how it ended."""
        step = self.history.state.step(step_id)
        assert step is not None
        if not begun:
            return
        if step.is_being_undone:
            self.world.undone.append(step_id)
            self.pay().undone(step_id)
        else:
            how = self.world.execute(step_id)
            end_step(self.pay(), step_id, how)

    def _ask(self, wait: AwaitPeople) -> None:
        """People approve and do everything, and skip, abort or retry what failed."""
        step = self.history.state.step(wait.step_id or "")
        assert step is not None
        name = step.spec.id
        if step.undo is StepOutcome.UNKNOWN:
            again = name not in self.world.undone
            self.pay().person(Kind.RETRY_REQUESTED, name) if again else self.pay().skipped(name)
        elif wait.need is Need.APPROVAL:
            self.pay().person(Kind.APPROVAL_GIVEN, name)
        elif wait.need is Need.CONFIRMATION:
            self.pay().confirmed(name)
        elif name in self.world.aborting:
            self.pay().aborted(undo=True)
        elif name in self.world.skipped:
            self.pay().skipped(name)
        else:
            self.pay().person(Kind.RETRY_REQUESTED, name)


def _under_way(step: StepState) -> bool:
    return step.outcome is StepOutcome.RUNNING or step.is_being_undone


@st.composite
def worlds(draw: st.DrawFn, specs: list[StepSpec]) -> World:
    """Draw what the steps of a plan meet."""
    names = [spec.id for spec in specs]
    some = st.frozensets(st.sampled_from(names), max_size=1)
    counts = st.dictionaries(st.sampled_from(names), st.integers(0, 4))
    return World(draw(counts), draw(some), draw(some), draw(some))


@settings(deadline=None)
@given(st.data())
def test_interrupted_anywhere_and_continued_the_run_ends_the_same(data: st.DataObject) -> None:
    """Outcomes, results and verdict are those of a run nobody interrupted; effects are single.

    A step that the plan goes on without is left out: each crash uses up one of its attempts.
    """
    specs = [
        replace(spec, on_failure=OnFailure.STOP) if spec.on_failure is OnFailure.GO_ON else spec
        for spec in data.draw(plans())
    ]
    calm = data.draw(worlds(specs))
    rough = replace(calm, passing=dict(calm.passing), effects=[], undone=[])
    wanted = Controller(History(specs), calm, 10_000).carry_on()
    history = History(specs)
    for budget in [*data.draw(st.lists(st.integers(0, 8), max_size=8)), 10_000]:
        try:
            Controller(history, rough, budget).carry_on()
        except CrashError:
            assert not history.state.is_finished
    found = history.state
    assert ending(found) == ending(wanted)
    assert set(rough.effects) == set(calm.effects)
    assert len(set(rough.effects)) == len(rough.effects)
    if found.undoing:
        taken_back = {s.spec.id for s in found.steps if s.outcome is StepOutcome.PASSED and s.undo}
        assert taken_back <= set(rough.undone) & set(calm.undone)


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
