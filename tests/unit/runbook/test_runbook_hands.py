"""What stands around a step's action: threads side by side, conditions, probes, and giving up."""

from __future__ import annotations

import threading

import pytest
from run_bench import LIMIT_S, Bench, CrashError, Doing, crash, run_bench, step

from processpilot.errors import RefusedError, UnavailableError
from processpilot.runbook import people
from processpilot.runbook.action import GivenUpError, Happened, ProbeAnswer, StepContext
from processpilot.runbook.state import Verdict
from processpilot.runbook.step import MANUAL, OnFailure, Settings, StepOutcome

__all__ = ["run_bench"]

QUESTION = {"kind": "probe", "probe": "database.connect"}


def answers(bench: Bench, *says: str | None) -> list[Settings]:
    """Have conditions answered one after the other, the last for ever; return what is asked."""
    asked: list[Settings] = []

    def ask(question: Settings) -> str | None:
        asked.append(question)
        return says[min(len(asked), len(says)) - 1]

    bench.ask = ask
    return asked


def wait_for(event: threading.Event) -> None:
    """Wait for what another thread does; a test must not hang."""
    assert event.wait(LIMIT_S), "nobody came"


def test_steps_side_by_side_overlap_and_the_next_waits_for_all(run_bench: Bench) -> None:
    """Two steps that wait for each other both pass; what comes after both sees both done."""
    one, two = threading.Event(), threading.Event()
    order: list[str] = []

    def first(context: StepContext) -> None:
        one.set()
        wait_for(two)
        order.append("a")

    def second(context: StepContext) -> None:
        two.set()
        wait_for(one)
        order.append("b")

    run_bench.actions = {
        "first": Doing(first),
        "second": Doing(second),
        "last": Doing(lambda context: order.append("c")),
    }
    run_bench.begin(
        step("a", action="first"), step("b", action="second"), step("c", "a", "b", action="last")
    )
    assert run_bench.advance().verdict is Verdict.PASSED
    assert sorted(order[:2]) == ["a", "b"] and order[2] == "c"


def test_a_failure_beside_a_running_step_is_written_down_at_once(run_bench: Bench) -> None:
    """People learn of it while the other one still runs, and may act on it."""
    failed = threading.Event()

    def long(context: StepContext) -> None:
        wait_for(failed)
        people.skip(run_bench.person(), "b", reason="not needed")

    def broken(context: StepContext) -> None:
        raise RefusedError("no")

    run_bench.observer.point = lambda name: failed.set() if name == "wrote step-finished" else None
    run_bench.actions = {"long": Doing(long), "broken": Doing(broken)}
    run_bench.begin(step("a", action="long"), step("b", action="broken"))
    assert run_bench.advance().verdict is Verdict.MISSED


def test_a_step_that_is_not_needed_is_left_out_and_the_run_may_pass(run_bench: Bench) -> None:
    """Its condition's answer is kept as the reason."""
    asked = answers(run_bench, "the database answers")
    run_bench.begin(step("a", only_if=QUESTION))
    state = run_bench.advance()
    assert (state.verdict, run_bench.done) == (Verdict.PASSED, [])
    assert state.steps[0].outcome is StepOutcome.NOT_NEEDED
    assert state.steps[0].result == {"why": "the database answers"}
    assert asked == [QUESTION]


def test_a_step_whose_precondition_does_not_hold_is_not_begun(run_bench: Bench) -> None:
    """It fails with the answer; once people mended it and retried, it is carried out."""
    answers(run_bench, "the disk is full", None)
    run_bench.begin(step("a", precondition=QUESTION))
    error = run_bench.advance().steps[0].error
    assert error is not None and run_bench.done == []
    assert (error.code, error.message) == ("precondition", "A must not begin: the disk is full")
    people.retry(run_bench.person(), None)
    assert run_bench.advance().verdict is Verdict.PASSED
    assert run_bench.done == ["act a"]


def test_only_if_is_asked_before_the_precondition(run_bench: Bench) -> None:
    """What need not happen cannot be kept from happening."""
    asked = answers(run_bench, "it is well")
    other = {"kind": "probe", "probe": "api.health"}
    run_bench.begin(step("a", only_if=QUESTION, precondition=other))
    assert run_bench.advance().verdict is Verdict.PASSED
    assert asked == [QUESTION]


@pytest.mark.parametrize("kept", ["only_if", "precondition"])
def test_people_are_not_asked_for_what_is_not_needed_or_must_not_begin(
    run_bench: Bench, kept: str
) -> None:
    """The conditions of a manual step are asked before people are."""
    answers(run_bench, "it is well", None)
    run_bench.begin(step("a", action=MANUAL, **{kept: QUESTION}))
    state = run_bench.advance()
    assert not run_bench.events("confirmation-requested")
    if kept == "only_if":
        assert state.verdict is Verdict.PASSED
        return
    assert state.steps[0].outcome is StepOutcome.FAILED
    people.retry(run_bench.person(), None)
    run_bench.advance()
    assert len(run_bench.events("confirmation-requested")) == 1


def test_a_step_s_own_probe_says_after_a_crash_that_it_is_done(run_bench: Bench) -> None:
    """The condition is asked instead of the action, and the step is not repeated."""
    run_bench.actions = {"dies": Doing(crash)}
    run_bench.begin(step("a", action="dies", probe=QUESTION))
    with pytest.raises(CrashError):
        run_bench.advance()
    answers(run_bench, None)
    state = run_bench.advance()
    assert (state.verdict, state.steps[0].attempt) == (Verdict.PASSED, 1)


def test_a_step_whose_own_probe_finds_nothing_is_carried_out_again(run_bench: Bench) -> None:
    """What did not happen may begin anew."""
    run_bench.actions = {"dies": Doing(crash)}
    run_bench.begin(step("a", action="dies", probe=QUESTION))
    with pytest.raises(CrashError):
        run_bench.advance()
    answers(run_bench, "not there")
    run_bench.actions = {"dies": Doing(run_bench.note)}
    state = run_bench.advance()
    assert (state.verdict, state.steps[0].attempt) == (Verdict.PASSED, 2)


def test_a_probe_that_cannot_be_asked_leaves_it_to_people(run_bench: Bench) -> None:
    """No answer is neither yes nor no."""
    run_bench.actions = {"dies": Doing(crash)}
    run_bench.begin(step("a", action="dies", probe=QUESTION))
    with pytest.raises(CrashError):
        run_bench.advance()

    def ask(question: Settings) -> str | None:
        raise UnavailableError("no answer")

    run_bench.ask = ask
    assert run_bench.advance().steps[0].outcome is StepOutcome.UNKNOWN
    assert run_bench.done == []


def test_an_action_nobody_knows_is_a_failed_step(run_bench: Bench) -> None:
    """A run begun by a newer program waits for people; it does not end this one."""
    run_bench.begin(step("a", action="levitate"))
    error = run_bench.advance().steps[0].error
    assert error is not None and "levitate" in error.message


def test_what_waits_is_told_when_people_end_the_run(run_bench: Bench) -> None:
    """It stops waiting, which is written down, and the run ends."""

    def waits(context: StepContext) -> None:
        people.abort(run_bench.person(), reason="enough")
        for _ in range(int(LIMIT_S * 100)):
            if context.given_up():
                raise GivenUpError("told to stop")
            threading.Event().wait(0.01)

    run_bench.actions = {"waits": Doing(waits)}
    run_bench.begin(step("a", action="waits"))
    state = run_bench.advance()
    assert state.verdict is Verdict.ABORTED
    assert state.steps[0].error is not None and state.steps[0].error.code == "given-up"


def test_undoing_is_not_told_to_give_up_because_the_run_was(run_bench: Bench) -> None:
    """The abort that asks for an undo must not stop it."""
    told: list[bool] = []
    run_bench.actions = {
        "back": Doing(lambda context: told.append(context.given_up())),
        "broken": Doing(crash),
    }
    run_bench.begin(step("a", undo={"action": "back"}), step("b", "a", action=MANUAL))
    run_bench.advance()
    people.abort(run_bench.person(), reason="enough", undo=True)
    assert run_bench.advance().verdict is Verdict.ABORTED
    assert told == [False]


def test_an_abort_lets_an_undo_that_is_under_way_come_to_its_end(run_bench: Bench) -> None:
    """Half undone would be neither the one thing nor the other."""
    told: list[bool] = []

    def back(context: StepContext) -> None:
        people.abort(run_bench.person(), reason="enough")
        threading.Event().wait(0.5)
        told.append(context.given_up())

    def broken(context: StepContext) -> None:
        raise RefusedError("no")

    run_bench.actions = {"back": Doing(back), "broken": Doing(broken)}
    run_bench.begin(step("a", action="broken", undo={"action": "back"}, on_failure=OnFailure.UNDO))
    state = run_bench.advance()
    assert told == [False]
    assert (state.verdict, state.steps[0].undo) == (Verdict.ABORTED, StepOutcome.PASSED)


def test_a_step_told_to_stop_by_the_end_of_the_process_is_looked_at_by_the_next(
    run_bench: Bench,
) -> None:
    """Nothing is written down about it; whoever resumes asks its probe first."""
    stop = threading.Event()

    def waits(context: StepContext) -> None:
        stop.set()
        for _ in range(int(LIMIT_S * 100)):
            if context.given_up():
                raise GivenUpError("told to stop")
            threading.Event().wait(0.01)

    run_bench.actions = {"waits": Doing(waits)}
    run_bench.begin(step("a", action="waits"))
    assert run_bench.advance(stop.is_set).steps[0].outcome is StepOutcome.RUNNING
    run_bench.actions = {"waits": Doing(run_bench.note, lambda context: Happened({}))}
    assert run_bench.advance().verdict is Verdict.PASSED
    assert run_bench.done == []


def test_an_abort_that_undoes_does_not_keep_a_probe_from_finding_out(run_bench: Bench) -> None:
    """A probe that waits when the run is given up looks again, and what it finds done is undone."""
    answers_given: list[str] = []

    def look(context: StepContext) -> ProbeAnswer:
        if not answers_given:
            people.abort(run_bench.person(), reason="enough", undo=True)
            for _ in range(int(LIMIT_S * 100)):
                if context.given_up():
                    answers_given.append("given up")
                    raise GivenUpError("told to stop")
                threading.Event().wait(0.01)
        assert not context.given_up()
        return Happened({})

    run_bench.actions = {"dies": Doing(crash, look)}
    run_bench.begin(step("a", action="dies", undo={"action": "back"}))
    with pytest.raises(CrashError):
        run_bench.advance()
    state = run_bench.advance()
    assert (state.verdict, answers_given) == (Verdict.ABORTED, ["given up"])
    assert (state.steps[0].outcome, run_bench.done) == (StepOutcome.PASSED, ["back a"])


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (PermissionError(13, "Permission denied", "/x\udcff"), "/x\\udcff: Permission denied"),
        (RefusedError("bad name \ud800"), "bad name \\ud800"),
    ],
    ids=["system", "refused"],
)
def test_words_that_cannot_be_written_down_are_written_as_they_can(
    run_bench: Bench, failure: Exception, message: str
) -> None:
    """A file name that is no text fails its step; it does not end the controller."""

    def broken(context: StepContext) -> None:
        raise failure

    run_bench.actions = {"broken": Doing(broken)}
    run_bench.begin(step("a", action="broken"))
    error = run_bench.advance().steps[0].error
    assert error is not None and error.message == message


def test_a_result_that_cannot_be_written_down_fails_its_step(run_bench: Bench) -> None:
    """Once, in words for people: the controller neither dies of it nor repeats the step."""
    run_bench.actions = {"odd": Doing(lambda context: {"share": float("nan")})}
    run_bench.begin(step("a", action="odd"))
    error = run_bench.advance().steps[0].error
    assert error is not None and "share" in error.message


def test_a_terminal_that_is_gone_fails_no_step_and_stops_no_run(run_bench: Bench) -> None:
    """Neither progress nor events that cannot be shown are the recovery's business."""

    class Gone:
        def on_event(self, event: object) -> None:
            raise BrokenPipeError(32, "Broken pipe")

        def on_progress(self, phase: str, done: int, total: int | None) -> None:
            raise BrokenPipeError(32, "Broken pipe")

    run_bench.observer = Gone()  # type: ignore[assignment]
    run_bench.actions = {"copies": Doing(lambda context: context.progress("copy", 1, 2))}
    run_bench.begin(step("a", action="copies"), step("b", "a"))
    assert run_bench.advance().verdict is Verdict.PASSED
