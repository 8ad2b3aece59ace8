"""Runs of any shape: every history folds, every state has an answer, no verdict is too good.

Runner, people and steps are played by the test; state and decision are the product's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hypothesis import given, settings
from hypothesis import strategies as st
from run_events import History, end_step, plans

from processpilot.errors import IntegrityError
from processpilot.journal.event import Event
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
from processpilot.runbook.state import Kind, RunState, Verdict, fold
from processpilot.runbook.step import StepOutcome, StepState

LONGEST = 40
OPEN = (StepOutcome.RUNNING, StepOutcome.UNKNOWN)
Draw = Callable[[st.SearchStrategy[str]], str]


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Draw what runners, crashes and people may write, in an order in which they may."""
    history = History(draw(plans()))
    while not history.state.is_finished and len(history.events) < LONGEST:
        chance = draw(st.integers(0, 19))
        if chance == 0:
            history.aborted()
        elif chance == 1:
            history.resumed()
        else:
            _write_next(history, lambda choices: draw(choices))
    return history


def _write_next(history: History, draw: Draw) -> None:
    state = history.state
    current = state.current
    if current is not None and current.outcome is StepOutcome.RUNNING:
        end_step(history, current.spec.id, draw(st.sampled_from(["pass", "fail", "passing"])))
        return
    match decide(state):
        case StartStep(step_id=step, attempt=attempt):
            history.start(step, attempt)
        case ProbeStep(step_id=step):
            answer = draw(st.sampled_from(["done", "not", "unclear"]))
            if answer == "done":
                history.passed(step)
            else:
                history.probed(step, False if answer == "not" else None)
        case RequestApproval(step_id=step, role=role):
            history.add(Kind.APPROVAL_REQUESTED, step=step, role=role)
        case AwaitPeople():
            assert current is not None
            _decide_as_person(history, current, draw)
        case Finish(verdict=verdict):
            history.finished(verdict or draw(st.sampled_from(["passed", "missed", "failed"])))
        case Finished():
            raise AssertionError("a finished run is not asked")


def _decide_as_person(history: History, step: StepState, draw: Draw) -> None:
    acts = ["skip"]
    if step.outcome in (StepOutcome.FAILED, StepOutcome.UNKNOWN):
        acts.append("retry")
    if step.spec.approval is not None:
        acts += ["approve", "refuse"]
    match draw(st.sampled_from(acts)):
        case "skip":
            history.skipped(step.spec.id)
        case "retry":
            history.person(Kind.RETRY_REQUESTED, step.spec.id)
        case "approve":
            history.person(Kind.APPROVAL_GIVEN, step.spec.id)
        case "refuse":
            history.person(Kind.APPROVAL_REFUSED, step.spec.id)


def prefixes(events: list[Event]) -> Iterator[RunState]:
    """Yield the state after each event."""
    for end in range(1, len(events) + 1):
        yield fold(events[:end])


@settings(deadline=None)
@given(histories())
def test_every_prefix_of_a_history_folds_and_keeps_the_order_of_steps(history: History) -> None:
    """At most one step is open, all before it are settled, all after it have not begun."""
    for state in prefixes(history.events):
        ranks = [step.is_settled for step in state.steps]
        assert ranks == sorted(ranks, reverse=True)
        opened = [step for step in state.steps if step.outcome in OPEN]
        assert len(opened) <= 1
        if state.current is not None:
            after = state.steps[state.steps.index(state.current) + 1 :]
            assert all(step.attempt == 0 for step in after)


@settings(deadline=None)
@given(histories())
def test_every_state_has_an_answer_that_may_be_followed(history: History) -> None:
    """Deciding is total, and what it says can be written down next."""
    for end, state in enumerate(prefixes(history.events), 1):
        found = decide(state)
        copy = History(history.steps, list(history.events[:end]))
        match found:
            case StartStep(step_id=step, attempt=attempt):
                assert copy.start(step, attempt).state.steps
            case ProbeStep(step_id=step):
                assert copy.probed(step, None).state.steps
            case RequestApproval(step_id=step, role=role):
                assert copy.add(Kind.APPROVAL_REQUESTED, step=step, role=role).state.steps
            case Finish(verdict=verdict):
                assert copy.finished(verdict or "passed").state.is_finished
            case AwaitPeople(need=need, text=text):
                assert text and need in Need
            case Finished():
                assert state.is_finished


@settings(deadline=None)
@given(histories())
def test_aborted_and_skipped_are_never_passed(history: History) -> None:
    """A run that passed was not given up, and every one of its steps passed."""
    for state in prefixes(history.events):
        if state.aborted_by is not None:
            assert state.verdict in (None, Verdict.ABORTED)
        if any(step.outcome is StepOutcome.SKIPPED for step in state.steps):
            assert state.verdict is not Verdict.PASSED
        if state.verdict is Verdict.PASSED:
            assert {step.outcome for step in state.steps} == {StepOutcome.PASSED}
        if state.is_finished:
            assert StepOutcome.WAITING not in {s.outcome for s in state.steps if s.attempt == 0}


@settings(deadline=None)
@given(histories())
def test_no_guarded_step_starts_unapproved(history: History) -> None:
    """Whatever was refused, retried or resumed: only an approval that stands starts it."""
    for state, event in zip(prefixes(history.events), history.events[1:], strict=False):
        if event.kind == Kind.STEP_STARTED:
            step = state.current
            assert step is not None
            assert step.spec.approval is None or step.approved_by


@settings(deadline=None)
@given(histories(), st.data())
def test_a_history_with_an_event_missing_is_mostly_refused_and_never_crashes(
    history: History, data: st.DataObject
) -> None:
    """Leaving an event out gives a run that folds, or IntegrityError; nothing else."""
    gone = data.draw(st.integers(0, len(history.events) - 1))
    events = history.events[:gone] + history.events[gone + 1 :]
    try:
        assert fold(events).steps
    except IntegrityError as error:
        assert error.code == "integrity"
