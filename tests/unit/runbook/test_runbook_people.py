"""What people may do to a run, and when they are told that it cannot be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from file_steps import RUN, open_journal, request, steps
from run_events import failure

from processpilot.errors import LockedError, NotFoundError, RefusedError, UsageError
from processpilot.journal.event import JsonValue
from processpilot.journal.journal import Journal
from processpilot.runbook import people
from processpilot.runbook.decide import Finish, Next, StartStep, decide
from processpilot.runbook.history import read_run
from processpilot.runbook.people import Person
from processpilot.runbook.runner import begin_run
from processpilot.runbook.state import Kind, RunState, Verdict, stream_of
from processpilot.runbook.step import StepOutcome


def someone(journal: Journal, run_id: str = RUN) -> Person:
    """Return somebody who acts on a run."""
    return Person(journal, run_id, "tester")


ACTS: dict[str, Callable[[Journal, str], object]] = {
    "approve": lambda journal, run: people.approve(someone(journal, run), None, "go"),
    "refuse": lambda journal, run: people.refuse(someone(journal, run), None, None),
    "retry": lambda journal, run: people.retry(someone(journal, run), None),
    "skip": lambda journal, run: people.skip(someone(journal, run), None, reason="not needed"),
    "abort": lambda journal, run: people.abort(someone(journal, run), reason="enough"),
}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Give a journal with a run of two steps that need an approval."""
    with open_journal(tmp_path) as opened:
        begin_run(opened, request(steps(2, approval="commander")))
        yield opened


def write(journal: Journal, kind: Kind, **data: JsonValue) -> RunState:
    """Write an event as a runner would; return the state after it."""
    journal.append(stream_of(RUN), kind, data)
    return read_run(journal, RUN)


def start(journal: Journal) -> RunState:
    """Have the first step started."""
    return write(journal, Kind.STEP_STARTED, step="a", attempt=1, pid=1)


def fail(journal: Journal) -> RunState:
    """Have the first step started and failed."""
    start(journal)
    error = failure(False)
    return write(journal, Kind.STEP_FINISHED, step="a", outcome="failed", error=error)


def test_approving_lets_the_waiting_step_start(journal: Journal) -> None:
    """The step is returned, and who agreed is kept with the comment."""
    step = people.approve(someone(journal), None, "go")
    assert step.spec.id == "a"
    state = read_run(journal, RUN)
    assert state.steps[0].approved_by == "tester"
    assert decide(state) == Next((StartStep("a", 1),))
    assert journal.read(stream_of(RUN))[-1].data == {
        "step": "a",
        "by": "tester",
        "role": "commander",
        "comment": "go",
    }


def test_refusing_holds_the_step_back_until_somebody_agrees(journal: Journal) -> None:
    """The last word counts."""
    people.refuse(someone(journal), None, "not yet")
    assert read_run(journal, RUN).steps[0].refused_by == "tester"
    people.approve(Person(journal, RUN, "other"), None, None)
    assert decide(read_run(journal, RUN)) == Next((StartStep("a", 1),))


def test_retrying_is_for_failed_and_unknown_steps(journal: Journal) -> None:
    """A waiting step needs no retry, and saying so changes nothing."""
    with pytest.raises(RefusedError, match="step a of run r1 is waiting, not failed"):
        people.retry(someone(journal), None)
    fail(journal)
    people.retry(someone(journal), None)
    assert read_run(journal, RUN).steps[0].outcome is StepOutcome.WAITING


def test_an_unknown_step_may_be_retried(journal: Journal) -> None:
    """Once the person has looked."""
    start(journal)
    write(journal, Kind.RUN_RESUMED, pid=2)
    people.retry(someone(journal), None)
    assert read_run(journal, RUN).steps[0].outcome is StepOutcome.WAITING


@pytest.mark.parametrize("before", [lambda journal: None, fail])
def test_skipping_goes_on_to_the_next_step(
    journal: Journal, before: Callable[[Journal], object]
) -> None:
    """From waiting and from failed; the reason is kept and the run cannot pass any more."""
    before(journal)
    people.skip(someone(journal), None, reason="not needed")
    state = read_run(journal, RUN)
    assert (state.steps[0].outcome, state.steps[0].reason) == (StepOutcome.SKIPPED, "not needed")
    people.skip(someone(journal), None, reason="neither")
    assert decide(read_run(journal, RUN)) == Next(finish=Finish(Verdict.MISSED))


@pytest.mark.parametrize("reason", ["", "  ", "\n"])
def test_a_skip_needs_a_reason(journal: Journal, reason: str) -> None:
    """Who reads the report must learn why a step is missing."""
    with pytest.raises(UsageError, match="for a reason"):
        people.skip(someone(journal), None, reason=reason)
    assert read_run(journal, RUN).sequence == 1


def test_aborting_ends_the_run_after_the_running_step(journal: Journal) -> None:
    """It may be asked for while a step runs; the state before is returned."""
    start(journal)
    before = people.abort(someone(journal), reason="enough")
    assert before.aborted_by is None
    assert read_run(journal, RUN).aborted_by == "tester"


@pytest.mark.parametrize("act", ["approve", "refuse", "retry", "skip"])
def test_a_running_step_is_nobody_s_to_change(journal: Journal, act: str) -> None:
    """People are told to wait, and what to do if its process died."""
    start(journal)
    with pytest.raises(RefusedError, match="step a of run r1 is running") as caught:
        ACTS[act](journal, RUN)
    assert "run resume" in str(caught.value.hint)
    assert read_run(journal, RUN).sequence == 2


@pytest.mark.parametrize("act", ACTS)
def test_a_finished_run_is_nobody_s_to_change(journal: Journal, act: str) -> None:
    """Its verdict stands."""
    write(journal, Kind.RUN_FINISHED, verdict="failed")
    with pytest.raises(RefusedError, match="run r1 is finished: failed"):
        ACTS[act](journal, RUN)
    assert read_run(journal, RUN).sequence == 2


@pytest.mark.parametrize("act", ["approve", "refuse", "retry", "skip"])
def test_after_the_last_step_nothing_is_left_to_decide(journal: Journal, act: str) -> None:
    """Until the verdict is written, only an abort would still count."""
    for _ in range(2):
        people.skip(someone(journal), None, reason="x")
    with pytest.raises(RefusedError, match="every step of run r1 is done"):
        ACTS[act](journal, RUN)


@pytest.mark.parametrize("act", ["approve", "refuse"])
def test_a_step_that_needs_no_approval_takes_none(journal: Journal, act: str) -> None:
    """Nobody is credited with a decision that was not theirs to make."""
    begin_run(journal, request(steps(1), "r2"))
    with pytest.raises(RefusedError, match="step a of run r2 needs no approval"):
        ACTS[act](journal, "r2")
    assert read_run(journal, "r2").sequence == 1


@pytest.mark.parametrize("act", ACTS)
def test_a_run_that_is_not_there_is_told(journal: Journal, act: str) -> None:
    """A mistyped id does not begin a run."""
    with pytest.raises(NotFoundError, match="there is no run r9"):
        ACTS[act](journal, "r9")
    assert journal.streams("run/") == ("run/r1",)


def test_of_two_who_skip_at_once_one_step_is_skipped_for_each_that_is_told_so(
    journal: Journal,
) -> None:
    """Whoever decided on a state that is gone is refused, and no step is skipped unseen."""
    barrier = Barrier(8)

    def skip(_: int) -> str | None:
        barrier.wait()
        try:
            return people.skip(someone(journal), None, reason="x").spec.id
        except (LockedError, RefusedError):
            return None

    with ThreadPoolExecutor(8) as pool:
        told = sorted(step for step in pool.map(skip, range(8)) if step is not None)
    skipped = [s.spec.id for s in read_run(journal, RUN).steps if s.outcome == "skipped"]
    assert told == skipped
    assert skipped
