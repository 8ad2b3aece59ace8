"""What follows failures, pauses and aborts, and how long a run waits for people."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from run_bench import LIMIT_S, Bench, CrashError, Doing, crash, run_bench, step
from run_events import History

from processpilot.errors import RefusedError, UnavailableError
from processpilot.runbook import people
from processpilot.runbook.action import CannotTell, Happened, StepContext
from processpilot.runbook.decide import Need, UndoStep, decide, waits_of
from processpilot.runbook.forecast import Measured
from processpilot.runbook.state import Verdict
from processpilot.runbook.step import MANUAL, GroupSpec, OnFailure, StepOutcome, StepSpec

__all__ = ["run_bench"]

BACK = {"action": "back"}
OBJECTIVE = {"component": "api", "title": "API", "rto_s": 3600.0}


def fails(times: int, bench: Bench) -> Doing:
    """Return an action that is refused so many times, and then is carried out."""
    left = [RefusedError("no")] * times

    def do(context: StepContext) -> None:
        if left:
            raise left.pop()
        bench.note(context)

    return Doing(do)


def test_retry_repeats_any_failure_as_often_as_the_step_says(run_bench: Bench) -> None:
    """Also one that the outside world is not to blame for; then people are asked."""
    run_bench.actions = {"shaky": fails(2, run_bench)}
    run_bench.begin(step("a", action="shaky", retries=2, on_failure=OnFailure.RETRY))
    state = run_bench.advance()
    assert (state.verdict, state.steps[0].attempt) == (Verdict.PASSED, 3)
    assert run_bench.clock.slept == [1.0, 2.0]


def test_go_on_leaves_a_failed_step_behind_with_the_plan_s_reason(run_bench: Bench) -> None:
    """The plan foresaw it, so the verdict is left to the objectives; the reason is kept."""
    run_bench.actions = {"shaky": fails(9, run_bench)}
    run_bench.begin(
        step("a", action="shaky", on_failure=OnFailure.GO_ON, reason="reports can wait"),
        step("b", "a"),
    )
    state = run_bench.advance()
    assert (state.verdict, run_bench.done) == (Verdict.PASSED, ["act b"])
    assert (state.steps[0].outcome, state.steps[0].reason) == ("skipped", "reports can wait")
    assert run_bench.events("step-skipped")[0]["by"] == "the plan"


def test_undo_takes_a_failed_step_back_and_then_asks_people(run_bench: Bench) -> None:
    """Retried, it is carried out anew; what comes after has waited."""
    run_bench.actions = {"shaky": fails(1, run_bench)}
    run_bench.begin(step("a", action="shaky", undo=BACK, on_failure=OnFailure.UNDO), step("b", "a"))
    state = run_bench.advance()
    assert (state.steps[0].outcome, state.steps[0].undo) == ("failed", "passed")
    assert run_bench.done == ["back a"]
    people.retry(run_bench.person(), None)
    assert run_bench.advance().verdict is Verdict.PASSED
    assert run_bench.done == ["back a", "shaky a", "act b"]


def test_an_undo_that_fails_is_people_s_to_retry_or_skip(run_bench: Bench) -> None:
    """Skipping it leaves the step failed, even one that cannot be left out."""
    run_bench.actions = {"shaky": fails(9, run_bench), "back": fails(2, run_bench)}
    run_bench.begin(
        step("a", action="shaky", undo=BACK, on_failure=OnFailure.UNDO, skippable=False)
    )
    run_bench.advance()
    people.retry(run_bench.person(), None)
    state = run_bench.advance()
    assert state.steps[0].undo is StepOutcome.FAILED
    people.skip(run_bench.person(), None, reason="taken back by hand")
    state = run_bench.advance()
    assert (state.steps[0].outcome, state.steps[0].undo) == ("failed", "skipped")
    with pytest.raises(RefusedError, match="cannot be left out"):
        people.skip(run_bench.person(), None, reason="x")


def test_a_pause_lets_what_runs_end_and_holds_the_rest_back(run_bench: Bench) -> None:
    """Continued, the run goes on from there."""
    running, paused = threading.Event(), threading.Event()

    def pauses(context: StepContext) -> None:
        assert running.wait(LIMIT_S)
        people.pause(run_bench.person(), reason="a moment")
        paused.set()

    def long(context: StepContext) -> None:
        running.set()
        assert paused.wait(LIMIT_S)

    run_bench.actions = {"pauses": Doing(pauses), "long": Doing(long)}
    run_bench.begin(
        step("a", action="pauses"), step("b", action="long"), step("c", "a"), step("d", "b")
    )
    state = run_bench.advance()
    assert run_bench.outcomes() == {"a": "passed", "b": "passed", "c": "waiting", "d": "waiting"}
    assert [wait.need for wait in waits_of(state)] == [Need.CONTINUATION]
    people.go_on(run_bench.person())
    assert run_bench.advance().verdict is Verdict.PASSED


def test_an_abort_undoes_what_passed_the_last_begun_first(run_bench: Bench) -> None:
    """What failed, or never began, has nothing to undo; the clock, which stands still here, does
    not matter."""
    run_bench.actions = {"shaky": fails(9, run_bench)}
    run_bench.begin(
        step("c", undo=BACK),
        step("a", "c", undo=BACK),
        step("x", "a"),
        step("b", "x", undo=BACK),
        step("y", "b", undo=BACK, action="shaky"),
        step("z", "y", undo=BACK),
    )
    run_bench.advance()
    run_bench.done.clear()
    people.abort(run_bench.person(), reason="enough", undo=True)
    state = run_bench.advance()
    assert state.verdict is Verdict.ABORTED
    assert run_bench.done == ["back b", "back a", "back c"]
    assert [one.undo for one in state.steps] == ["passed", "passed", None, "passed", None, None]


def test_an_abort_undoes_nothing_unless_it_is_asked_to(run_bench: Bench) -> None:
    """What was done stays."""
    run_bench.begin(step("a", undo=BACK), step("b", "a", action=MANUAL))
    run_bench.advance()
    people.abort(run_bench.person(), reason="enough")
    assert run_bench.advance().verdict is Verdict.ABORTED
    assert run_bench.done == ["act a"]


def test_a_failed_undo_holds_the_earlier_ones_back_until_people_decided(run_bench: Bench) -> None:
    """Whoever undoes in reverse order does not jump over one."""
    run_bench.actions = {"stuck": fails(1, run_bench)}
    run_bench.begin(
        step("a", undo=BACK),
        step("b", "a", undo={"action": "stuck"}),
        step("c", "b", action=MANUAL),
    )
    run_bench.advance()
    people.abort(run_bench.person(), reason="enough", undo=True)
    state = run_bench.advance()
    assert not state.is_finished and "back a" not in run_bench.done
    assert [(w.step_id, w.need) for w in waits_of(state)] == [("b", Need.DECISION)]
    people.retry(run_bench.person(), None)
    assert run_bench.advance().verdict is Verdict.ABORTED
    assert run_bench.done == ["act a", "act b", "stuck b", "back a"]


def test_an_undo_nobody_saw_the_end_of_is_people_s(run_bench: Bench) -> None:
    """After a crash inside an undo it is neither repeated nor believed."""
    run_bench.actions = {"back": Doing(crash)}
    run_bench.begin(step("a", undo=BACK), step("b", "a", action=MANUAL))
    run_bench.advance()
    people.abort(run_bench.person(), reason="enough", undo=True)
    with pytest.raises(CrashError):
        run_bench.advance()
    state = run_bench.advance()
    assert state.steps[0].undo is StepOutcome.UNKNOWN and not state.is_finished
    people.skip(run_bench.person(), None, reason="looked: it is undone")
    assert run_bench.advance().verdict is Verdict.ABORTED


@pytest.mark.parametrize("happened", [True, False, None], ids=["done", "not done", "unclear"])
def test_an_abort_that_undoes_finds_out_about_steps_of_unknown_end(
    run_bench: Bench, happened: bool | None
) -> None:
    """What turns out done is undone; what cannot be told is people's, and never left unsaid."""
    answer = CannotTell() if happened is None else Happened({})

    def look(context: StepContext) -> object:
        return answer

    run_bench.actions = {"dies": Doing(crash)}
    run_bench.begin(step("a", action="dies", undo=BACK))
    with pytest.raises(CrashError):
        run_bench.advance()
    if happened is not False:
        run_bench.actions = {"dies": Doing(crash, look)}  # type: ignore[arg-type]
    people.abort(run_bench.person(), reason="enough", undo=True)
    state = run_bench.advance()
    assert run_bench.done == (["back a"] if happened else [])
    if happened is None:
        assert [w.step_id for w in waits_of(state)] == ["a"]
        people.skip(run_bench.person(), "a", reason="looked: nothing happened")
        state = run_bench.advance()
    assert state.verdict is Verdict.ABORTED


def test_undoing_that_does_not_get_on_is_ended_by_a_second_abort(run_bench: Bench) -> None:
    """One word, not one for every step; whoever wants to undo once more is told who ended it."""
    run_bench.actions = {"back": fails(9, run_bench)}
    run_bench.begin(step("a", undo=BACK), step("b", "a", undo=BACK), step("c", "b", action=MANUAL))
    run_bench.advance()
    people.abort(run_bench.person("ada"), reason="enough", undo=True)
    assert [w.need for w in waits_of(run_bench.advance())] == [Need.DECISION]
    with pytest.raises(RefusedError, match="ada has ended run r1"):
        people.abort(run_bench.person("bo"), reason="again", undo=True)
    people.abort(run_bench.person("bo"), reason="by hand, later")
    assert run_bench.advance().verdict is Verdict.ABORTED
    assert run_bench.done == ["act a", "act b"]


def test_the_order_of_undoing_is_that_of_the_log_and_not_of_the_clock() -> None:
    """A clock that was set back does not turn the order around."""
    specs = (
        StepSpec("one", "One", "act", undo=BACK),
        StepSpec("two", "Two", "act", undo=BACK, after=("one",)),
    )
    history = (
        History(specs).start("one").passed("one").start("two").passed("two").aborted(undo=True)
    )
    for n, event in enumerate(history.events):
        history.events[n] = type(event)(
            event.position,
            event.stream,
            event.sequence,
            event.at - timedelta(minutes=2 * n),
            event.kind,
            event.data,
            1,
            "",
            "",
        )
    history = History(specs, history.events)
    assert decide(history.state).tasks == (UndoStep("two"),)


@pytest.mark.parametrize(
    "spec",
    [step("a", approval="commander"), step("a", action=MANUAL), step("a", action="shaky")],
    ids=["approval", "confirmation", "decision"],
)
def test_waiting_for_a_person_never_fails_a_run(run_bench: Bench, spec: StepSpec) -> None:
    """A year later it still waits, and is then carried out."""
    run_bench.actions = {"shaky": fails(1, run_bench)}
    run_bench.begin(spec)
    run_bench.advance()
    run_bench.clock.go_on(days=365)
    state = run_bench.advance()
    assert state.verdict is None and waits_of(state)
    who = run_bench.person()
    if spec.approval is not None:
        people.approve(who, None, None)
    elif spec.action == MANUAL:
        people.confirm(who, None, done=True, comment=None)
    else:
        people.retry(who, None)
    assert run_bench.advance().verdict is Verdict.PASSED


def test_each_warning_is_written_once_and_survives_a_restart(run_bench: Bench) -> None:
    """A step's time box, its group's, and an objective that the forecast crosses."""
    run_bench.begin(
        step("a", action=MANUAL, timebox_s=60.0, groups=("g",), brings_up=("api",)),
        step("b", "a", groups=("g",), timebox_s=60.0),
        groups=[GroupSpec("g", "Both", timebox_s=600.0)],
        details={"objectives": [OBJECTIVE]},
    )
    run_bench.advance()
    assert run_bench.events("run-warned") == []
    names: list[list[object]] = []
    for minutes in (2, 20, 60, 0):
        run_bench.clock.go_on(minutes=minutes)
        run_bench.advance()
        run_bench.advance()
        names.append([data["warning"] for data in run_bench.events("run-warned")])
    assert names[0] == ["timebox/a"]
    assert names[1] == ["timebox/a", "timebox/g"]
    assert names[2] == names[3] == ["timebox/a", "timebox/g", "objective/api"]
    assert run_bench.events("run-warned")[0]["text"] == "A has taken 2 min, its time box is 60 s"


def test_a_forecast_warns_before_the_objective_is_missed(run_bench: Bench) -> None:
    """What the step took in earlier runs counts more than what the plan hoped for."""
    run_bench.durations = {"b": Measured(7200.0, 7200.0, 3)}
    run_bench.begin(
        step("a", action=MANUAL),
        step("b", "a", estimate_s=60.0, brings_up=("api",)),
        details={"objectives": [OBJECTIVE]},
    )
    run_bench.advance()
    warning = run_bench.events("run-warned")[0]
    assert warning["warning"] == "objective/api"
    assert "60 min past its objective of 60 min" in str(warning["text"])


def test_a_passing_failure_rests_while_the_other_branch_goes_on(run_bench: Bench) -> None:
    """A pause before a retry holds nothing else back, and ends."""
    left = [UnavailableError("no answer", transient=True)]

    def shaky(context: StepContext) -> None:
        if left:
            raise left.pop()
        run_bench.note(context)

    run_bench.actions = {"shaky": Doing(shaky)}
    run_bench.begin(step("a", action="shaky", retries=1), step("b"), step("c", "b"))
    assert run_bench.advance().verdict is Verdict.PASSED
    assert run_bench.done == ["act b", "act c", "shaky a"]


def test_nobody_is_asked_to_agree_to_what_is_not_needed(run_bench: Bench) -> None:
    """Whether a step is needed is found out before its role is asked."""
    run_bench.ask = lambda question: "it is well"
    run_bench.begin(step("a", approval="commander", only_if={"kind": "file", "path": "x"}))
    state = run_bench.advance()
    assert (state.verdict, state.steps[0].outcome) == (Verdict.PASSED, StepOutcome.NOT_NEEDED)
    assert run_bench.events("approval-requested") == [] and run_bench.done == []


def test_a_needed_step_still_waits_for_its_role(run_bench: Bench) -> None:
    """That it is needed is no leave to begin."""
    run_bench.ask = lambda question: None
    run_bench.begin(step("a", approval="commander", only_if={"kind": "file", "path": "x"}))
    state = run_bench.advance()
    assert state.steps[0].asked and run_bench.done == []
