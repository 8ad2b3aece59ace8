"""What a run needs next, state by state."""

from __future__ import annotations

from dataclasses import replace

import pytest
from run_events import History

from processpilot.runbook.decide import (
    Finish,
    Need,
    Next,
    ProbeStep,
    RequestApproval,
    StartStep,
    Task,
    decide,
    waits_of,
)
from processpilot.runbook.state import Kind, Verdict
from processpilot.runbook.step import OnFailure, StepSpec

RETRYING = (StepSpec("one", "One", "act", retries=2),)
GUARDED = (StepSpec("one", "Fence", "act", approval="commander"),)


def next_of(history: History) -> Task:
    """Return the only thing that can be done now."""
    found = decide(history.state)
    assert len(found.tasks) == 1 and not found.waits and found.finish is None
    return found.tasks[0]


def waits_for(history: History) -> tuple[Need, str]:
    """Return why people are awaited, and what they are told; nothing else goes on."""
    found = decide(history.state)
    assert len(found.waits) == 1 and not found.tasks and found.finish is None
    assert found.waits[0].step_id == "one"
    return found.waits[0].need, found.waits[0].text


def end_of(history: History) -> Finish | None:
    """Return how the run is to end; nothing else is to be done."""
    found = decide(history.state)
    assert not found.tasks and not found.waits
    return found.finish


def test_steps_are_started_in_order() -> None:
    """The first one, then the next once it is settled."""
    history = History()
    assert next_of(history) == StartStep("one", 1)
    history.start("one").passed("one")
    assert next_of(history) == StartStep("two", 1)
    assert next_of(History().skipped("one")) == StartStep("two", 1)


def test_a_running_step_is_not_touched() -> None:
    """Who only reads the journal cannot know whether it still runs."""
    assert decide(History().start("one").state) == Next()
    assert decide(History().start("one").aborted().state) == Next()


def test_an_unknown_step_is_probed_once_and_then_shown_to_people() -> None:
    """The step's own probe is asked first; what it cannot tell only a person finds out."""
    history = History().start("one").resumed()
    assert next_of(history) == ProbeStep("one")
    need, text = waits_for(history.probed("one", None))
    assert need is Need.DECISION and "retry or skip" in text


def test_a_second_crash_is_probed_again() -> None:
    """Each attempt nobody saw the end of has a probe of its own."""
    history = History().start("one").resumed().probed("one", False)
    assert next_of(history) == StartStep("one", 2)
    assert next_of(history.start("one", 2).resumed()) == ProbeStep("one")


def test_a_passing_failure_is_repeated_as_often_as_the_step_says() -> None:
    """Two retries make three attempts; then people are asked with the failure's words."""
    history = History(RETRYING)
    for attempt in (1, 2):
        history.start("one", attempt).failed("one", transient=True)
        assert next_of(history) == StartStep("one", attempt + 1)
    history.start("one", 3).failed("one", transient=True)
    assert waits_for(history) == (Need.DECISION, "One: no answer")


def test_a_lasting_failure_is_never_repeated_by_itself() -> None:
    """A refusal or damage does not go away by trying again."""
    assert waits_for(History(RETRYING).start("one").failed("one")) == (
        Need.DECISION,
        "One: no answer",
    )


def test_a_failure_is_not_repeated_unless_the_step_says_so() -> None:
    """Without retries even a passing failure waits for people."""
    assert waits_for(History().start("one").failed("one", transient=True))[0] is Need.DECISION


def test_a_retry_asked_for_starts_the_next_attempt() -> None:
    """After a failure and after an end nobody saw."""
    failed = History().start("one").failed("one").person(Kind.RETRY_REQUESTED, "one")
    assert next_of(failed) == StartStep("one", 2)
    unknown = History().start("one").resumed().probed("one", None)
    assert next_of(unknown.person(Kind.RETRY_REQUESTED, "one")) == StartStep("one", 2)


def test_a_step_that_needs_an_approval_waits_for_it() -> None:
    """The role is asked once; nothing starts before somebody agreed."""
    history = History(GUARDED)
    assert next_of(history) == RequestApproval("one", "commander")
    history.person(Kind.APPROVAL_REQUESTED, "one")
    assert waits_for(history) == (Need.APPROVAL, "Fence: commander must agree")
    history.person(Kind.APPROVAL_GIVEN, "one")
    assert next_of(history) == StartStep("one", 1)


def test_a_refused_step_does_not_start() -> None:
    """Until the same or another person agrees after all."""
    history = History(GUARDED).person(Kind.APPROVAL_REFUSED, "one")
    need, text = waits_for(history)
    assert need is Need.DECISION and text.startswith("tester refused")
    assert next_of(history.person(Kind.APPROVAL_GIVEN, "one")) == StartStep("one", 1)


@pytest.mark.parametrize(
    "history",
    [
        History().aborted(),
        History().start("one").failed("one", transient=True).aborted(),
        History().start("one").resumed().aborted(),
        History(GUARDED).aborted(),
        History().skipped("one").skipped("two").aborted(),
        History().start("one").passed("one").start("two").passed("two").aborted(),
    ],
    ids=["waiting", "failed", "unknown", "guarded", "skipped", "passed"],
)
def test_an_aborted_run_is_finished_as_aborted(history: History) -> None:
    """Wherever it stood, and even when every step had passed."""
    assert end_of(history) == Finish(Verdict.ABORTED)


def test_a_run_whose_steps_passed_is_left_to_its_objectives() -> None:
    """Deciding whether they were met is not this room's business."""
    history = History().start("one").passed("one").start("two").passed("two")
    assert end_of(history) == Finish(None)


def test_a_run_with_a_skipped_step_missed() -> None:
    """However well the others went."""
    history = History().start("one").passed("one").skipped("two")
    assert end_of(history) == Finish(Verdict.MISSED)


@pytest.mark.parametrize(
    "history",
    [
        History().finished("failed"),
        History().finished("not-run"),
        History().aborted().finished("aborted"),
        History().skipped("one").skipped("two").finished("missed"),
    ],
    ids=["failed", "not-run", "aborted", "missed"],
)
def test_a_finished_run_needs_nothing(history: History) -> None:
    """Whatever it came to."""
    assert decide(history.state) == Next()


def test_a_refusal_after_a_passing_failure_holds_the_step_back() -> None:
    """Who takes the approval back during the pause before a retry is heard."""
    history = History((StepSpec("one", "Fence", "act", approval="commander", retries=2),))
    history.person(Kind.APPROVAL_GIVEN, "one").start("one").failed("one", transient=True)
    history.person(Kind.APPROVAL_REFUSED, "one")
    assert waits_for(history) == (
        Need.DECISION,
        "tester refused: retry after all, skip or abort",
    )


def test_people_are_not_waited_for_while_something_is_under_way() -> None:
    """A step, or an undo, that runs beside may change what is asked of them."""
    beside = (
        StepSpec("one", "One", "act", approval="commander", groups=("g",)),
        StepSpec("two", "Two", "act", groups=("g",), undo={"action": "back"}),
    )
    history = History(beside).person(Kind.APPROVAL_REQUESTED, "one").start("two")
    assert decide(history.state).waits and waits_of(history.state) == ()
    history.passed("two").aborted(undo=True).undoing("two")
    assert waits_of(history.state) == ()
    failing = (beside[0], replace(beside[1], on_failure=OnFailure.UNDO))
    history = History(failing).person(Kind.APPROVAL_REQUESTED, "one").start("two").failed("two")
    assert waits_of(history.undoing("two").state) == ()
    assert len(waits_of(history.undone("two").state)) == 2
