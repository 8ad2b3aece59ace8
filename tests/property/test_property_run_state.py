"""Runs of any shape: every history folds, every state has an answer, no verdict is too good.

Runner, people and steps are played by the test; state and decision are the product's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hypothesis import given, settings
from hypothesis import strategies as st
from run_events import History, end_step, plans
from run_play import ask_person, write_task

from processpilot.errors import IntegrityError
from processpilot.journal.event import Event, JsonValue
from processpilot.runbook.decide import Need, decide
from processpilot.runbook.forecast import forecast
from processpilot.runbook.state import Kind, RunState, Verdict, apply, fold
from processpilot.runbook.step import MANUAL, StepOutcome, StepSpec

LONGEST = 60
Draw = Callable[[list[str]], str]
GREEN = {StepOutcome.PASSED, StepOutcome.NOT_NEEDED}


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Draw what runners, crashes and people may write, in an order in which they may."""
    history = History(draw(plans()))

    def choose(choices: list[str]) -> str:
        return draw(st.sampled_from(choices))

    while not history.state.is_finished and len(history.events) < LONGEST:
        match draw(st.integers(0, 39)):
            case 0:
                history.aborted(undo=draw(st.booleans()))
            case 1 | 2:
                history.resumed()
            case 3:
                history.add(Kind.RUN_PAUSED, by="tester", reason="a moment")
            case 4:
                history.added(_another(history.state, choose))
            case _:
                _write_next(history, choose)
    return history


def _another(state: RunState, draw: Draw) -> StepSpec:
    """Return a step that a person puts in: next of all, or behind another."""
    names = [step.spec.id for step in state.steps]
    after = tuple(sorted({draw(names) for _ in range(int(draw(["0", "1", "2"])))}))
    return StepSpec(f"s{len(names)}", "Added", draw(["act", MANUAL]), after=after)


def _write_next(history: History, draw: Draw) -> None:
    """Write an event that ends what is under way, follows a decision, or is a person's."""
    state = history.state
    found = decide(state)
    choices = [f"end {step.spec.id}" for step in state.running]
    choices += [
        f"undone {step.spec.id}" for step in state.steps if step.undo is StepOutcome.RUNNING
    ]
    choices += [f"task {n}" for n in range(len(found.tasks))]
    choices += [f"wait {n}" for n in range(len(found.waits))]
    if found.finish is not None:
        choices = ["finish"]
    what, _, which = draw(choices).partition(" ")
    match what:
        case "end":
            end_step(history, which, draw(["pass", "pass", "fail", "passing", "not-needed"]))
        case "undone":
            history.undone(which, failed=draw(["done", "failed"]) == "failed")
        case "task":
            write_task(history, found.tasks[int(which)], draw(["done", "not", "unclear"]))
        case "wait":
            ask_person(history, found.waits[int(which)], draw)
        case "finish":
            assert found.finish is not None
            verdicts = ["passed", "missed", "failed"]
            history.finished(found.finish.verdict or draw(verdicts))


def prefixes(events: list[Event]) -> Iterator[RunState]:
    """Yield the state after each event."""
    state = fold(events[:1])
    yield state
    for event in events[1:]:
        state = apply(state, event)
        yield state


@settings(deadline=None)
@given(histories())
def test_every_prefix_of_a_history_folds_and_keeps_the_order_of_steps(history: History) -> None:
    """What has begun has only settled steps before it, and no step waits for one behind it."""
    for state in prefixes(history.events):
        settled = {step.spec.id for step in state.steps if step.is_settled}
        seen: set[str] = set()
        for step in state.steps:
            if step.attempt > 0 or step.is_settled or step.begin_at is not None:
                assert settled >= set(step.spec.after)
            assert seen >= set(step.spec.after)
            seen.add(step.spec.id)


@settings(deadline=None)
@given(histories())
def test_every_state_has_an_answer_that_may_be_followed(history: History) -> None:
    """Deciding is total, what it says can be written down next, and no run stands still unasked."""
    for end, state in enumerate(prefixes(history.events), 1):
        found = decide(state)
        for task in found.tasks:
            for answer in ("done", "not", "unclear"):
                copy = History(history.steps, list(history.events[:end]), state)
                write_task(copy, task, answer)
                assert copy.state.sequence == end + 1
        for wait in found.waits:
            assert wait.text and wait.need in Need
        if found.finish is not None:
            copy = History(history.steps, list(history.events[:end]), state)
            assert copy.finished(found.finish.verdict or "passed").state.is_finished
        under_way = state.running or any(s.undo is StepOutcome.RUNNING for s in state.steps)
        assert state.is_finished or under_way or found.tasks or found.waits or found.finish


@settings(deadline=None)
@given(histories())
def test_aborted_and_skipped_are_never_passed(history: History) -> None:
    """A run that passed was not given up, and each of its steps passed or was not needed."""
    for state in prefixes(history.events):
        outcomes = {step.outcome for step in state.steps}
        if state.aborted_by is not None:
            assert state.verdict in (None, Verdict.ABORTED)
        if any(step.is_left_out for step in state.steps):
            assert state.verdict is not Verdict.PASSED
        if state.verdict is Verdict.PASSED:
            assert all(s.outcome in GREEN or s.foreseen for s in state.steps)
        if state.is_finished:
            assert StepOutcome.WAITING not in outcomes


@settings(deadline=None)
@given(histories())
def test_no_guarded_step_starts_unapproved(history: History) -> None:
    """Whatever was refused, retried or resumed: only an approval that stands starts it."""
    for state, event in zip(prefixes(history.events), history.events[1:], strict=False):
        if event.kind == Kind.STEP_STARTED:
            step = state.step(str(event.data["step"]))
            assert step is not None
            assert step.spec.approval is None or step.approved_by


@settings(deadline=None)
@given(histories())
def test_nothing_is_undone_unless_it_failed_or_the_run_is_given_up(history: History) -> None:
    """An undo begins where the plan or a person wants it, and the last step first."""
    for state, event in zip(prefixes(history.events), history.events[1:], strict=False):
        if event.kind != Kind.UNDO_STARTED:
            continue
        step = state.step(str(event.data["step"]))
        assert step is not None and step.spec.undo is not None
        if step.outcome is StepOutcome.PASSED:
            assert state.undoing and not state.running
            for other in state.steps:
                if step.spec.id in other.spec.after and other.spec.undo is not None:
                    assert other.outcome is not StepOutcome.PASSED or other.undo is not None
        else:
            assert step.outcome is StepOutcome.FAILED


VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=3,
)


@settings(deadline=None)
@given(histories(), st.data())
def test_a_damaged_history_is_read_or_refused_and_never_crashes(
    history: History, data: st.DataObject
) -> None:
    """With an event lost, doubled, moved or bent, reading a run gives it or IntegrityError."""
    events = _damaged(list(history.events), data)
    try:
        state = fold(events)
    except IntegrityError as error:
        assert error.code == "integrity"
        return
    decide(state)
    forecast(state, state.begun_at, {})


def _damaged(events: list[Event], data: st.DataObject) -> list[Event]:
    place = data.draw(st.integers(0, len(events) - 1))
    match data.draw(st.sampled_from(["lost", "doubled", "moved", "bent", "bent", "bent"])):
        case "lost":
            del events[place]
        case "doubled":
            events.insert(place, events[place])
        case "moved":
            events.insert(data.draw(st.integers(0, len(events) - 1)), events.pop(place))
        case _:
            bent = data.draw(_bent(events[place].data))
            event = events[place]
            events[place] = Event(
                event.position, event.stream, event.sequence, event.at, event.kind, bent, 1, "", ""
            )
    return events


@st.composite
def _bent(draw: st.DrawFn, data: JsonValue) -> JsonValue:
    """Draw data with one value, at any depth, lost or replaced."""
    if not isinstance(data, dict | list) or not data:
        return draw(VALUES)
    keys = sorted(data) if isinstance(data, dict) else list(range(len(data)))
    key = draw(st.sampled_from(keys))
    copy = dict(data) if isinstance(data, dict) else list(data)
    match draw(st.sampled_from(["lost", "replaced", "within", "within"])):
        case "lost":
            del copy[key]
        case "replaced":
            copy[key] = draw(VALUES)
        case _:
            inner = draw(_bent(copy[key]))
            copy[key] = inner
    return copy
