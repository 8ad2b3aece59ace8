"""The runner: what is written down when, with a real journal and steps that leave files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from file_steps import LEASE, RUN, FileStep, Noting, open_journal, request, steps, times
from plain_server import SettableClock

from processpilot.errors import (
    IntegrityError,
    LockedError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from processpilot.journal.journal import Journal
from processpilot.journal.lease import Lease, acquire_lease
from processpilot.runbook import people
from processpilot.runbook.action import CannotTell, StepFailedError
from processpilot.runbook.history import read_run, run_ids
from processpilot.runbook.people import Person
from processpilot.runbook.runner import Runner, Surroundings, begin_run
from processpilot.runbook.state import Kind, RunState, Verdict, stream_of
from processpilot.runbook.step import StepOutcome, StepSpec

PASSING = UnavailableError("no answer", transient=True, hint="Wait.")
BEGIN_TO_END = ["step-started", "step-finished", "step-started", "step-finished", "run-finished"]


@dataclass
class Bench:
    """A journal with a lease, one action for all steps, and a runner."""

    journal: Journal
    lease: Lease
    step: FileStep
    observer: Noting
    clock: SettableClock
    verdict: Verdict = Verdict.PASSED

    def begin(self, specs: list[StepSpec], run_id: str = RUN) -> None:
        begin_run(self.journal, request(specs, run_id))

    def advance(self, stopping: Callable[[], bool] = lambda: False) -> RunState:
        actions = dict.fromkeys("abcdefgh", self.step)
        around = Surroundings(actions, lambda _: self.verdict, self.clock, self.observer)
        return Runner(self.journal, around).advance(RUN, self.lease, stopping)

    def events(self) -> list[str]:
        """Return the kinds of event after the first."""
        return [event.kind for event in self.journal.read(stream_of(RUN), after=1)]

    @contextmanager
    def crash_at(self, name: str) -> Iterator[None]:
        """End what is done in the block at a point of the step, as if the process died there."""

        def point(here: str) -> None:
            if here == name:
                raise CrashError

        self.step.point = point
        with pytest.raises(CrashError):
            yield
        self.step.point = lambda here: None


class CrashError(BaseException):
    """Stands for the end of a process: nothing in the product catches it."""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Give a journal on a file, a lease of it and a runner."""
    with ExitStack() as stack:
        journal = stack.enter_context(open_journal(tmp_path))
        lease = stack.enter_context(acquire_lease(journal, LEASE, tmp_path))
        yield Bench(journal, lease, FileStep(tmp_path), Noting(), SettableClock())


def test_a_run_is_carried_out_and_written_down(bench: Bench, tmp_path: Path) -> None:
    """Each step is started before it is done, and the observer hears every event."""
    bench.begin(steps(2))
    state = bench.advance()
    assert state.verdict is Verdict.PASSED
    assert bench.events() == BEGIN_TO_END == bench.observer.kinds
    assert [times(tmp_path, "effects", step) for step in "ab"] == [1, 1]
    assert state.result_of("a") == {"done": True}
    assert read_run(bench.journal, RUN) == state


def test_a_step_is_written_down_before_it_starts(bench: Bench, tmp_path: Path) -> None:
    """Whoever finds an effect finds a started step in the journal."""
    bench.begin(steps(1))
    with bench.crash_at("before a"):
        bench.advance()
    assert bench.events() == ["step-started"]
    assert times(tmp_path, "effects", "a") == 0


@pytest.mark.parametrize("verdict", [Verdict.PASSED, Verdict.MISSED, Verdict.FAILED])
def test_the_verdict_of_settled_steps_is_the_conclusion_s(bench: Bench, verdict: Verdict) -> None:
    """Whether objectives were met is asked once, at the end."""
    bench.begin(steps(1))
    bench.verdict = verdict
    assert bench.advance().verdict is verdict
    assert bench.advance().verdict is verdict
    assert bench.events().count(Kind.RUN_FINISHED) == 1


def test_a_passing_failure_is_retried_after_growing_pauses(bench: Bench, tmp_path: Path) -> None:
    """One second, then two, then four, and never more than ten."""
    bench.begin(steps(1, retries=6))
    bench.step.failures = [PASSING] * 6
    state = bench.advance()
    assert (state.verdict, state.steps[0].attempt) == (Verdict.PASSED, 7)
    assert bench.clock.slept == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert times(tmp_path, "effects", "a") == 1


@pytest.mark.parametrize(
    ("failure", "code", "message"),
    [
        (RefusedError("not empty"), "refused", "not empty"),
        (IntegrityError("bad bytes"), "integrity", "bad bytes"),
        (UnavailableError("gone"), "unavailable", "gone"),
        (PermissionError(13, "Permission denied", "/x"), "unavailable", "/x: Permission denied"),
        (OSError(28, "No space left"), "unavailable", "the system: No space left"),
    ],
)
def test_a_lasting_failure_waits_for_people(
    bench: Bench, failure: Exception, code: str, message: str
) -> None:
    """It is written down with its code and words; retries do not apply, later steps do not run."""
    bench.begin(steps(2, retries=3))
    bench.step.failures = [failure]
    state = bench.advance()
    first, second = state.steps
    assert (first.outcome, second.outcome) == (StepOutcome.FAILED, StepOutcome.WAITING)
    assert first.error is not None
    assert (first.error.code, first.error.message, first.error.transient) == (code, message, False)
    assert bench.clock.slept == [] and state.verdict is None
    assert bench.events() == ["step-started", "step-finished"]


def test_a_failed_step_may_leave_a_result(bench: Bench) -> None:
    """What a failed examination found is kept, but is no result of a passed step."""
    bench.begin(steps(1))
    bench.step.failures = [StepFailedError("2 checks failed", result={"checks": [1, 2]})]
    state = bench.advance()
    assert state.steps[0].result == {"checks": [1, 2]}
    assert state.result_of("a") is None


def test_a_bug_is_not_called_a_failed_step(bench: Bench) -> None:
    """What nobody expected ends the process and leaves the step running in the journal."""
    bench.begin(steps(1))
    bench.step.failures = [ZeroDivisionError()]
    with pytest.raises(ZeroDivisionError):
        bench.advance()
    assert bench.events() == ["step-started"]


def test_after_a_crash_before_the_effect_the_step_is_carried_out(
    bench: Bench, tmp_path: Path
) -> None:
    """The probe is asked, says no, and a second attempt begins without a pause."""
    bench.begin(steps(1))
    with bench.crash_at("before a"):
        bench.advance()
    state = bench.advance()
    assert (state.verdict, state.steps[0].attempt) == (Verdict.PASSED, 2)
    assert (times(tmp_path, "probed", "a"), times(tmp_path, "effects", "a")) == (1, 1)
    assert bench.events()[1:3] == ["run-resumed", "step-probed"]
    assert bench.clock.slept == []


def test_after_a_crash_behind_the_effect_the_step_is_not_repeated(
    bench: Bench, tmp_path: Path
) -> None:
    """The probe sees it done, which is written down as such."""
    bench.begin(steps(1))
    with bench.crash_at("after a"):
        bench.advance()
    state = bench.advance()
    assert (state.verdict, state.steps[0].attempt) == (Verdict.PASSED, 1)
    assert (times(tmp_path, "probed", "a"), times(tmp_path, "effects", "a")) == (1, 1)
    assert bench.journal.read(stream_of(RUN))[3].data["seen"] == "found done"


def test_what_the_probe_cannot_tell_waits_for_a_person(bench: Bench, tmp_path: Path) -> None:
    """It is asked once, nothing is done, and a person's retry carries the step out."""
    bench.begin(steps(1))
    with bench.crash_at("before a"):
        bench.advance()
    bench.step.answer = CannotTell()
    assert bench.advance().steps[0].outcome is StepOutcome.UNKNOWN
    assert bench.advance().steps[0].outcome is StepOutcome.UNKNOWN
    assert (times(tmp_path, "probed", "a"), times(tmp_path, "effects", "a")) == (1, 0)
    people.retry(Person(bench.journal, RUN, "tester"), None)
    assert bench.advance().verdict is Verdict.PASSED


def test_a_probe_that_fails_is_a_failed_step(bench: Bench) -> None:
    """Nothing is repeated on a guess."""
    bench.begin(steps(1))
    with bench.crash_at("before a"):
        bench.advance()
    bench.step.answer = RefusedError("cannot look")
    state = bench.advance()
    assert state.steps[0].outcome is StepOutcome.FAILED and state.verdict is None


def test_a_probe_that_the_system_refuses_is_a_failed_step(bench: Bench) -> None:
    """A folder that cannot be listed ends the step, not the controller, each time anew."""
    bench.begin(steps(1))
    with bench.crash_at("before a"):
        bench.advance()
    bench.step.answer = PermissionError(13, "Permission denied", "/x")
    assert bench.advance().steps[0].outcome is StepOutcome.FAILED


def test_stopping_lets_the_running_step_end(bench: Bench, tmp_path: Path) -> None:
    """No further one is begun, and the next call goes on from there."""
    bench.begin(steps(3))
    state = bench.advance(lambda: "step-finished" in bench.observer.kinds)
    assert [step.outcome for step in state.steps][:2] == [StepOutcome.PASSED, StepOutcome.WAITING]
    assert bench.advance().verdict is Verdict.PASSED
    assert [times(tmp_path, "effects", step) for step in "abc"] == [1, 1, 1]


def test_an_abort_during_a_step_keeps_its_end(bench: Bench, tmp_path: Path) -> None:
    """The step's result is still written, and nothing is begun after it."""
    bench.begin(steps(2))
    bench.step.point = lambda here: (
        people.abort(Person(bench.journal, RUN, "tester"), reason="enough") and None
        if here == "after a"
        else None
    )
    state = bench.advance()
    assert state.verdict is Verdict.ABORTED
    assert [s.outcome for s in state.steps] == [StepOutcome.PASSED, StepOutcome.NOT_RUN]
    assert times(tmp_path, "effects", "b") == 0


def test_who_lost_the_lease_writes_nothing_more(bench: Bench, tmp_path: Path) -> None:
    """A newer epoch ends the old controller at its next word, even at the end of a step."""
    bench.begin(steps(2))
    bench.step.point = lambda here: (
        bench.journal.begin_epoch(LEASE) and None if here == "before a" else None
    )
    with pytest.raises(LockedError, match="newest is 2"):
        bench.advance()
    assert bench.events() == ["step-started"]
    assert times(tmp_path, "effects", "b") == 0


def test_a_step_waits_for_its_approval(bench: Bench, tmp_path: Path) -> None:
    """The role is asked once, however often the run is looked at."""
    bench.begin(steps(1, approval="commander"))
    bench.advance()
    assert bench.advance().steps[0].asked
    assert bench.events() == ["approval-requested"]
    assert times(tmp_path, "effects", "a") == 0
    people.approve(Person(bench.journal, RUN, "tester"), None, None)
    assert bench.advance().verdict is Verdict.PASSED


def test_runs_are_found_newest_first_and_only_once(bench: Bench) -> None:
    """A run begins once; one that is not there is told."""
    bench.begin(steps(1), "r0")
    bench.begin(steps(1))
    assert run_ids(bench.journal) == (RUN, "r0")
    with pytest.raises(LockedError):
        bench.begin(steps(1))
    with pytest.raises(NotFoundError, match="there is no run r9"):
        read_run(bench.journal, "r9")
