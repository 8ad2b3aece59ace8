"""A run's state from its events: what follows what, and that the impossible is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from run_events import BEGIN, PLAIN, RUN, History, begun, event

from processpilot.errors import IntegrityError
from processpilot.runbook.state import Kind, Verdict, fold
from processpilot.runbook.step import StepOutcome, StepSpec

W, R, P, F = (StepOutcome(name) for name in ("waiting", "running", "passed", "failed"))
S, U, N = (StepOutcome(name) for name in ("skipped", "unknown", "not-run"))


def outcomes(history: History) -> list[StepOutcome]:
    """Return the outcome of every step."""
    return [step.outcome for step in history.state.steps]


def test_a_run_begins_with_all_that_it_pins() -> None:
    """Steps, hash, trigger and details are those of the first event."""
    specs = (StepSpec("a", "A", "swap", 5.0, "commander", 2), StepSpec("b", "B", "fence"))
    state = History(specs).state
    assert (state.run_id, state.scenario, state.trigger) == (RUN, "failure", "test")
    assert (state.plan_hash, dict(state.details)) == ("0" * 64, {"why": "test"})
    assert tuple(step.spec for step in state.steps) == (specs[0], replace(specs[1], after=("a",)))
    assert (state.begun_at, state.sequence, state.is_finished) == (BEGIN, 1, False)
    assert state.current is state.steps[0]


def test_steps_are_settled_one_after_the_other() -> None:
    """The current step is the first that is not settled."""
    history = History()
    assert outcomes(history.start("one")) == [R, W]
    assert outcomes(history.passed("one", size=3)) == [P, W]
    assert history.state.current is not None and history.state.current.spec.id == "two"
    assert outcomes(history.skipped("two")) == [P, S]
    assert history.state.current is None
    assert history.state.steps[1].reason == "not needed"


def test_a_step_knows_its_times_over_all_attempts() -> None:
    """From the first attempt's begin to the last one's end; none while it runs."""
    history = History().start("one")
    assert history.state.steps[0].duration_s is None
    history.failed("one").start("one", 2)
    assert history.state.steps[0].duration_s is None
    step = history.passed("one").state.steps[0]
    assert step.begin_at == BEGIN + timedelta(seconds=1)
    assert (step.attempt, step.duration_s, step.error) == (2, 3.0, None)


def test_a_result_is_found_by_its_action_once_it_passed() -> None:
    """A failed step's result is not taken for one that counts."""
    history = History((StepSpec("one", "One", "assess"), StepSpec("two", "Two", "drain")))
    history.start("one").passed("one", size=3).start("two")
    history.add(Kind.STEP_FINISHED, step="two", outcome="failed", result={"size": 9})
    assert history.state.result_of("assess") == {"size": 3}
    assert history.state.result_of("drain") is None
    assert history.state.result_of("swap") is None
    assert history.state.step("nothing") is None


def test_a_failure_keeps_what_people_are_told() -> None:
    """Code, message and whether trying again may help."""
    error = History().start("one").failed("one", transient=True).state.steps[0].error
    assert error is not None
    assert (error.code, error.message, error.hint, error.transient) == (
        "unavailable",
        "no answer",
        None,
        True,
    )


def test_who_takes_over_knows_no_running_step() -> None:
    """What was running is unknown, everything else stays as it was."""
    assert outcomes(History().start("one").resumed()) == [U, W]
    assert outcomes(History().start("one").failed("one").resumed()) == [F, W]
    assert outcomes(History().start("one").passed("one").resumed()) == [P, W]
    assert outcomes(History().resumed().resumed()) == [W, W]


def test_an_unknown_step_may_turn_out_to_be_done_or_not() -> None:
    """Found done it has passed; not done it waits; what cannot be told stays unknown."""
    assert outcomes(History().start("one").resumed().passed("one")) == [P, W]
    assert outcomes(History().start("one").resumed().probed("one", False)) == [W, W]
    history = History().start("one").resumed().probed("one", None)
    assert outcomes(history) == [U, W]
    assert history.state.steps[0].probed
    assert (
        not history.add(Kind.RETRY_REQUESTED, step="one", by="x")
        .start("one", 2)
        .state.steps[0]
        .probed
    )


def test_an_approval_outlives_a_failure_and_a_refusal_ends_it() -> None:
    """Whoever agreed has agreed to the step; whoever refuses takes it back."""
    history = History().person(Kind.APPROVAL_REQUESTED, "one")
    assert history.state.steps[0].asked
    history.person(Kind.APPROVAL_GIVEN, "one").start("one").failed("one")
    assert history.state.steps[0].approved_by == "tester"
    step = history.person(Kind.APPROVAL_REFUSED, "one").state.steps[0]
    assert (step.approved_by, step.refused_by) == (None, "tester")
    step = history.person(Kind.APPROVAL_GIVEN, "one").state.steps[0]
    assert (step.approved_by, step.refused_by) == ("tester", None)


def test_steps_that_never_began_are_not_run_when_the_run_ends() -> None:
    """Neither waiting for ever nor green; what was tried keeps what it came to."""
    assert outcomes(History().aborted().finished("aborted")) == [N, N]
    history = History().start("one").failed("one").aborted().finished("aborted")
    assert outcomes(history) == [F, N]
    assert (history.state.verdict, history.state.aborted_by) == (Verdict.ABORTED, "tester")
    assert history.state.finished_at == BEGIN + timedelta(seconds=4)


IMPOSSIBLE = {
    "a second step before the first is settled": lambda h: h.start("two"),
    "a step that is not there": lambda h: h.start("three"),
    "an end without a begin": lambda h: h.passed("one"),
    "a second start of a running step": lambda h: h.start("one").start("one", 2),
    "an attempt left out": lambda h: h.start("one", 2),
    "an attempt counted twice": lambda h: h.start("one").failed("one").start("one", 1),
    "a second end": lambda h: h.start("one").passed("one").passed("one"),
    "an end after a failure": lambda h: h.start("one").failed("one").passed("one"),
    "a start after the pass": lambda h: h.start("one").passed("one").start("one", 2),
    "a probe of a waiting step": lambda h: h.probed("one", False),
    "a probe of a running step": lambda h: h.start("one").probed("one", False),
    "a skip of a running step": lambda h: h.start("one").skipped("one"),
    "a skip of a passed step": lambda h: h.start("one").passed("one").skipped("one"),
    "a retry of a waiting step": lambda h: h.person(Kind.RETRY_REQUESTED, "one"),
    "a retry of a running step": lambda h: h.start("one").person(Kind.RETRY_REQUESTED, "one"),
    "an approval of a running step": lambda h: h.start("one").person(Kind.APPROVAL_GIVEN, "one"),
    "a refusal of a running step": lambda h: h.start("one").person(Kind.APPROVAL_REFUSED, "one"),
    "a request about a running step": lambda h: h.start("one").person(
        Kind.APPROVAL_REQUESTED, "one"
    ),
    "an approval of a later step": lambda h: h.person(Kind.APPROVAL_GIVEN, "two"),
    "a step after the last": lambda h: h.skipped("one").skipped("two").start("two"),
    "an unknown kind": lambda h: h.add("step-celebrated", step="one"),
    "an event without a step": lambda h: h.add(Kind.STEP_SKIPPED, reason="x"),
    "a second begin": lambda h: h.add(Kind.RUN_BEGUN),
    "an end that is neither passed nor failed": lambda h: h.start("one").add(
        Kind.STEP_FINISHED, step="one", outcome="skipped"
    ),
    "an abort of a finished run": lambda h: h.finished("failed").aborted(),
    "a start in a finished run": lambda h: h.finished("failed").start("one"),
    "a second verdict": lambda h: h.finished("failed").finished("passed"),
    "a resumption of a finished run": lambda h: h.finished("failed").resumed(),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_cannot_follow_is_refused(name: str) -> None:
    """Folding stops at the event that no runner wrote, and names it."""
    history = IMPOSSIBLE[name](History())
    assert fold(history.events[:-1])
    with pytest.raises(IntegrityError, match=f"event {len(history.events)} .* cannot follow"):
        fold(history.events)


@pytest.mark.parametrize(
    "history",
    [
        History().finished("passed"),
        History().start("one").finished("passed"),
        History().skipped("one").skipped("two").finished("passed"),
        History().start("one").passed("one").aborted().finished("passed"),
    ],
    ids=["waiting", "running", "skipped", "aborted"],
)
def test_a_verdict_that_the_steps_contradict_is_refused(history: History) -> None:
    """No run is called passed whose steps wait, run or were skipped, or that was given up."""
    with pytest.raises(IntegrityError):
        fold(history.events)


@pytest.mark.parametrize(
    "history",
    [
        History().add(Kind.STEP_STARTED, step="one"),
        History().add(Kind.STEP_STARTED, step="one", attempt="x"),
        History().start("one").add(Kind.STEP_FINISHED, step="one", outcome="great"),
        History().finished("great"),
    ],
    ids=["no attempt", "no number", "no outcome", "no verdict"],
)
def test_an_event_without_what_its_kind_needs_is_refused(history: History) -> None:
    """A damaged event is wrong history, told as such."""
    with pytest.raises(IntegrityError):
        fold(history.events)


def test_a_run_needs_a_beginning() -> None:
    """No events, or others first, are no run."""
    with pytest.raises(IntegrityError, match="without events"):
        fold([])
    with pytest.raises(IntegrityError, match='begins with "run-resumed"'):
        fold([event(1, Kind.RUN_RESUMED, pid=1)])


def test_folding_changes_nothing_it_was_given() -> None:
    """The same events give the same state as often as they are folded."""
    events = [begun(PLAIN)]
    assert fold(events) == fold(events)
    assert len(events) == 1
