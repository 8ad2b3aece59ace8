"""Runner, people and other controllers at once: nothing is lost, doubled or left unreadable."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from file_steps import LEASE, RUN
from run_bench import LIMIT_S, Bench, CrashError, Doing, crash, run_bench, step

from processpilot.errors import IntegrityError, LockedError, RefusedError, UnavailableError
from processpilot.runbook import people
from processpilot.runbook.action import Happened, NotHappened, ProbeAnswer, StepContext
from processpilot.runbook.people import Person
from processpilot.runbook.state import Kind, Verdict, stream_of
from processpilot.runbook.step import MANUAL, OnFailure, StepOutcome, StepSpec

__all__ = ["run_bench"]

Act = Callable[[Person], object]
ACTS: dict[str, Act] = {
    "acknowledge": people.acknowledge,
    "pause": lambda who: people.pause(who, reason="a moment"),
    "abort": lambda who: people.abort(who, reason="enough"),
    "add": lambda who: people.add_step(who, StepSpec("x", "X", "act")),
}


def once(bench: Bench, name: str, act: Callable[[], object]) -> None:
    """Have something done when the runner has just written the first event of a kind."""
    left = [act]

    def point(here: str) -> None:
        if here == name and left:
            left.pop()()

    bench.observer.point = point


def told_to_give_up(context: StepContext) -> bool:
    """Wait until an action is told to stop waiting; False when nobody tells it."""
    for _ in range(int(LIMIT_S * 50)):
        if context.given_up():
            return True
        threading.Event().wait(0.01)
    return False


@pytest.mark.parametrize("act", ACTS)
def test_what_people_write_between_a_begin_and_its_thread_keeps_no_step_back(
    run_bench: Bench, act: str
) -> None:
    """What is written down as started is carried out, in the same process."""
    run_bench.begin(step("a"), step("b", "a"))
    once(run_bench, "wrote step-started", lambda: ACTS[act](run_bench.person()))
    state = run_bench.advance()
    assert run_bench.done[0] == "act a"
    assert state.steps[0].outcome is StepOutcome.PASSED
    assert not run_bench.events("run-resumed")


@pytest.mark.parametrize("answer", [Happened({}), NotHappened()], ids=["done", "not done"])
@pytest.mark.parametrize("act", ["skip", "retry"])
def test_who_decides_while_the_probe_looks_is_followed(
    run_bench: Bench, act: str, answer: ProbeAnswer
) -> None:
    """The probe's answer comes too late; the run goes on as the person said, and can be read."""

    def look(context: StepContext) -> ProbeAnswer:
        if act == "skip":
            people.skip(run_bench.person(), "a", reason="done by hand")
        else:
            people.retry(run_bench.person(), "a")
        return answer

    run_bench.actions = {"dies": Doing(crash, look)}
    run_bench.begin(step("a", action="dies"), step("b", "a"))
    with pytest.raises(CrashError):
        run_bench.advance()
    run_bench.actions = {"dies": Doing(run_bench.note, look)}
    state = run_bench.advance()
    wanted = StepOutcome.SKIPPED if act == "skip" else StepOutcome.PASSED
    assert [one.outcome for one in state.steps] == [wanted, StepOutcome.PASSED]
    assert state.verdict is (Verdict.MISSED if act == "skip" else Verdict.PASSED)


@pytest.mark.parametrize("act", ["skip", "retry"])
def test_a_step_that_is_being_undone_is_nobody_s_to_change(run_bench: Bench, act: str) -> None:
    """People are told to wait for the end of the undo."""
    refusals: list[str] = []

    def back(context: StepContext) -> None:
        with pytest.raises(RefusedError, match="step a of run r1 is being undone") as caught:
            if act == "skip":
                people.skip(run_bench.person(), "a", reason="x")
            else:
                people.retry(run_bench.person(), "a")
        refusals.append(caught.value.message)

    def broken(context: StepContext) -> None:
        raise RefusedError("no")

    run_bench.actions = {"broken": Doing(broken), "back": Doing(back)}
    run_bench.begin(step("a", action="broken", undo={"action": "back"}, on_failure=OnFailure.UNDO))
    state = run_bench.advance()
    assert len(refusals) == 1
    assert (state.steps[0].outcome, state.steps[0].undo) == (
        StepOutcome.FAILED,
        StepOutcome.PASSED,
    )


def test_people_who_add_a_step_while_a_manual_one_is_being_asked_are_followed(
    run_bench: Bench,
) -> None:
    """The new step comes first; people are asked once it is done."""

    def ask(question: object) -> str | None:
        if not run_bench.state.step("x"):
            people.add_step(run_bench.person(), StepSpec("x", "X", "act"))
        return None

    run_bench.ask = ask
    run_bench.begin(step("a", action=MANUAL, only_if={"kind": "probe"}))
    state = run_bench.advance()
    assert run_bench.done == ["act x"]
    assert state.steps[-1].spec.id == "a" and state.steps[-1].told


def test_a_bug_beside_a_running_step_is_raised_and_leaves_no_thread(run_bench: Bench) -> None:
    """The other step is waited for, and whoever comes next asks what became of both."""

    def long(context: StepContext) -> None:
        assert told_to_give_up(context)
        threading.Event().wait(0.3)

    def bug(context: StepContext) -> None:
        raise ZeroDivisionError

    before = threading.active_count()
    run_bench.actions = {"long": Doing(long), "bug": Doing(bug)}
    run_bench.begin(step("a", action="long"), step("b", action="bug"))
    with pytest.raises(ZeroDivisionError):
        run_bench.advance()
    assert threading.active_count() == before
    run_bench.actions = {"long": Doing(run_bench.note), "bug": Doing(run_bench.note)}
    assert run_bench.advance().verdict is Verdict.PASSED


def test_a_lost_lease_ends_the_controller_and_its_threads(run_bench: Bench) -> None:
    """With two steps under way, nothing more is written or begun, and both threads are gone."""
    both = threading.Barrier(2, timeout=LIMIT_S)

    def work(context: StepContext) -> None:
        if both.wait() == 0:
            run_bench.journal.begin_epoch(LEASE)
        both.wait()

    before = threading.active_count()
    run_bench.actions = {"work": Doing(work)}
    run_bench.begin(step("a", action="work"), step("b", action="work"), step("c", "a", "b"))
    with pytest.raises(LockedError, match="newest is 2"):
        run_bench.advance()
    assert threading.active_count() == before
    assert run_bench.outcomes() == {"a": "running", "b": "running", "c": "waiting"}


def test_a_controller_that_was_replaced_stops_even_when_the_new_one_has_written(
    run_bench: Bench,
) -> None:
    """What it waits for is told to stop, and steps of unknown end are the new one's to look at."""
    told: list[bool] = []

    def work(context: StepContext) -> None:
        lease = run_bench.journal.begin_epoch(LEASE)
        run_bench.journal.append(stream_of(RUN), Kind.RUN_RESUMED, {"pid": 2}, lease=lease)
        told.append(told_to_give_up(context))

    def look(context: StepContext) -> ProbeAnswer:
        raise AssertionError("not its business any more")

    run_bench.actions = {"work": Doing(work, look)}
    run_bench.begin(step("a", action="work"))
    with pytest.raises(LockedError):
        run_bench.advance()
    assert run_bench.outcomes() == {"a": "unknown"} and told == [True]


def test_an_abort_while_a_probe_looks_waits_for_its_answer(run_bench: Bench) -> None:
    """The run does not end over it, and what turned out to be done is written down."""

    def look(context: StepContext) -> ProbeAnswer:
        people.abort(run_bench.person(), reason="enough")
        threading.Event().wait(0.5)
        return Happened({})

    run_bench.actions = {"dies": Doing(crash, look)}
    run_bench.begin(step("a", action="dies"))
    with pytest.raises(CrashError):
        run_bench.advance()
    assert run_bench.advance().verdict is Verdict.ABORTED
    assert run_bench.outcomes() == {"a": "passed"}


@pytest.mark.parametrize(
    "specs",
    [
        (),
        (step("a"), step("a")),
        (step("a", "b"), step("b")),
        (step("a", "a"),),
        (step("a", "gone"),),
    ],
    ids=["none", "twice", "out of order", "after itself", "after what is not there"],
)
def test_a_run_that_could_not_come_to_its_end_is_not_begun(
    run_bench: Bench, specs: tuple[StepSpec, ...]
) -> None:
    """It would wait for ever; nothing is written."""
    with pytest.raises(IntegrityError):
        run_bench.begin(*specs)
    assert not run_bench.journal.read(stream_of(RUN))


def test_people_write_nothing_that_the_run_could_not_be_read_with(run_bench: Bench) -> None:
    """Every act is tried on the run first; one that does not fit is refused."""
    run_bench.begin(step("a", action="act", approval="commander"), step("b", "a"))
    with pytest.raises(RefusedError):
        people.add_step(run_bench.person(), StepSpec("x", "X", "act", retries="many"))  # type: ignore[arg-type]
    assert run_bench.state.sequence == 1


@contextmanager
def no_file_grows() -> Iterator[None]:
    """Have the system take no byte more into any file of this process, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_journal_that_takes_nothing_for_a_while_ends_nothing_that_is_under_way(
    run_bench: Bench,
) -> None:
    """A warning that cannot be written must not kill a restore; what ended meanwhile is kept."""
    given_up: list[bool] = []

    def works(context: StepContext) -> None:
        with no_file_grows():
            run_bench.clock.go_on(hours=1)
            with pytest.raises(UnavailableError):
                run_bench.journal.append("test", "refused", {})
            time.sleep(0.5)
            given_up.append(context.given_up())

    def ends_meanwhile(context: StepContext) -> None:
        time.sleep(0.1)

    run_bench.actions = {"works": Doing(works), "ends": Doing(ends_meanwhile)}
    run_bench.begin(
        step("a", action="works", timebox_s=60.0), step("b", action="ends"), step("c", "a", "b")
    )
    state = run_bench.advance()
    assert (given_up, state.verdict) == ([False], Verdict.PASSED)
    assert [step.attempt for step in state.steps] == [1, 1, 1]
    assert len(run_bench.events("run-warned")) == 1
