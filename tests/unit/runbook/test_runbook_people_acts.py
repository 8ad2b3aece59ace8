"""What people do besides: acknowledging, confirming, roles, new steps, and acting at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
from run_bench import LIMIT_S, Bench, Doing, run_bench, step

from processpilot.errors import LockedError, NotFoundError, RefusedError, UsageError
from processpilot.plan.team import Person as Named
from processpilot.plan.team import Role, Team
from processpilot.runbook import people
from processpilot.runbook.decide import Need, waits_of
from processpilot.runbook.people import Person
from processpilot.runbook.state import Verdict
from processpilot.runbook.step import MANUAL, OnFailure, StepOutcome, StepSpec

__all__ = ["run_bench"]

TEAM = Team(
    people=(Named(name="Ada", accounts=("ada",)), Named(name="Bo", accounts=("bo", "bo-admin"))),
    roles=(Role(id="commander", title="Commander", primary="Ada"), Role(id="dba", title="DBA")),
)


def on_team(bench: Bench, by: str) -> Person:
    """Return somebody who acts under the plan's team."""
    return replace(bench.person(by), team=TEAM)


def test_a_run_is_acknowledged_once(run_bench: Bench) -> None:
    """The first one looks after it; the second is told who does."""
    run_bench.begin(step("a"))
    people.acknowledge(run_bench.person("ada"))
    with pytest.raises(RefusedError, match="ada has acknowledged run r1"):
        people.acknowledge(run_bench.person("bo"))
    state = run_bench.state
    assert (state.acknowledged_by, state.acknowledged_at) == ("ada", run_bench.clock.at)
    assert run_bench.advance().verdict is Verdict.PASSED


def test_a_manual_step_is_asked_for_once_and_passes_when_confirmed(run_bench: Bench) -> None:
    """Who did it and what they said is its result; its time began when people were asked."""
    settings = {"action": MANUAL, "instruction": "Change the DNS"}
    run_bench.begin(step("a", action=MANUAL, settings=settings, role="dba"), step("b", "a"))
    run_bench.advance()
    state = run_bench.advance()
    assert len(run_bench.events("confirmation-requested")) == 1
    assert [(w.need, w.text) for w in waits_of(state)] == [
        (Need.CONFIRMATION, "dba: Change the DNS")
    ]
    run_bench.clock.go_on(minutes=5)
    people.confirm(run_bench.person("ada"), None, done=True, comment="at 12:00")
    state = run_bench.advance()
    assert state.verdict is Verdict.PASSED
    first = state.steps[0]
    assert (first.confirmed_by, first.duration_s) == ("ada", 300.0)
    assert first.result == {"confirmed_by": "ada", "note": "at 12:00"}


def test_a_manual_step_that_did_not_work_has_failed(run_bench: Bench) -> None:
    """It is not repeated by itself; retried, people are asked anew."""
    run_bench.begin(step("a", action=MANUAL, retries=3, on_failure=OnFailure.RETRY))
    run_bench.advance()
    people.confirm(run_bench.person(), "a", done=False, comment="no access")
    state = run_bench.advance()
    error = state.steps[0].error
    assert state.steps[0].outcome is StepOutcome.FAILED
    assert error is not None and error.message == "no access"
    people.retry(run_bench.person(), None)
    run_bench.advance()
    assert len(run_bench.events("confirmation-requested")) == 2
    people.confirm(run_bench.person(), "a", done=True, comment=None)
    assert run_bench.advance().verdict is Verdict.PASSED


def test_a_manual_step_waits_for_its_approval_first(run_bench: Bench) -> None:
    """Neither is it asked for nor can it be confirmed before."""
    run_bench.begin(step("a", action=MANUAL, approval="commander"))
    run_bench.advance()
    with pytest.raises(RefusedError, match="step a waits until commander agrees"):
        people.confirm(run_bench.person(), None, done=True, comment=None)
    assert not run_bench.events("confirmation-requested")
    people.approve(run_bench.person(), None, None)
    run_bench.advance()
    people.confirm(run_bench.person(), None, done=True, comment=None)
    assert run_bench.advance().verdict is Verdict.PASSED


def test_a_step_that_is_carried_out_is_not_confirmed_by_people(run_bench: Bench) -> None:
    """Nobody can say that it is done but itself."""
    run_bench.begin(step("a", approval="commander"))
    run_bench.advance()
    with pytest.raises(RefusedError, match="not done by people"):
        people.confirm(run_bench.person(), "a", done=True, comment=None)


def test_only_who_fills_the_role_agrees_for_it(run_bench: Bench) -> None:
    """By account or by name; others are told who does, and how the role changes hands."""
    run_bench.begin(step("a", approval="commander"))
    run_bench.advance()
    with pytest.raises(RefusedError, match="bo does not fill the role commander") as caught:
        people.approve(on_team(run_bench, "bo"), None, None)
    assert "Ada" in caught.value.message and "hand-over commander" in str(caught.value.hint)
    with pytest.raises(RefusedError):
        people.refuse(on_team(run_bench, "bo"), None, None)
    people.approve(on_team(run_bench, "ada"), None, None)
    assert run_bench.advance().verdict is Verdict.PASSED


def test_an_approval_is_not_got_round_by_leaving_it_out(run_bench: Bench) -> None:
    """What comes after it would go on without the role's word; who fills the role may."""
    run_bench.actions["approval"] = Doing(lambda context: None)
    run_bench.begin(step("a", action="approval", approval="commander"), step("b", "a"))
    run_bench.advance()
    with pytest.raises(RefusedError, match="bo does not fill the role commander"):
        people.skip(on_team(run_bench, "bo"), None, reason="no time")
    people.refuse(on_team(run_bench, "ada"), None, None)
    with pytest.raises(RefusedError):
        people.skip(on_team(run_bench, "bo"), None, reason="no time")
    with pytest.raises(RefusedError):
        people.retry(on_team(run_bench, "bo"), None)
    assert not run_bench.advance().is_finished and run_bench.done == []
    people.skip(on_team(run_bench, "ada"), None, reason="agreed by telephone")
    assert run_bench.advance().verdict is Verdict.MISSED


def test_a_role_belongs_to_whom_it_was_handed_to(run_bench: Bench) -> None:
    """From then on the earlier holder is refused."""
    run_bench.begin(step("a", approval="commander"))
    run_bench.advance()
    people.hand_over(on_team(run_bench, "ada"), "commander", "Bo")
    with pytest.raises(RefusedError):
        people.approve(on_team(run_bench, "ada"), None, None)
    people.approve(on_team(run_bench, "bo-admin"), None, None)
    assert run_bench.advance().verdict is Verdict.PASSED


def test_a_role_handed_to_a_stranger_is_not_everybody_s(run_bench: Bench) -> None:
    """Somebody the plan does not list agrees under the name that was given, and nobody else."""
    run_bench.begin(step("a", approval="commander"))
    run_bench.advance()
    people.hand_over(on_team(run_bench, "ada"), "commander", "zoe")
    for other in ("ada", "bo", "tester"):
        with pytest.raises(RefusedError):
            people.approve(on_team(run_bench, other), None, None)
    people.approve(on_team(run_bench, "zoe"), None, None)


def test_a_role_without_accounts_is_anybody_s(run_bench: Bench) -> None:
    """The plan does not say who; the journal does."""
    run_bench.begin(step("a", approval="dba"))
    run_bench.advance()
    people.approve(on_team(run_bench, "tester"), None, None)
    assert run_bench.state.steps[0].approved_by == "tester"


def test_only_roles_of_the_plan_are_handed_over_and_to_somebody(run_bench: Bench) -> None:
    """A mistyped role would leave the real one where it was."""
    run_bench.begin(step("a"))
    with pytest.raises(NotFoundError, match='no role "comander"'):
        people.hand_over(on_team(run_bench, "ada"), "comander", "Bo")
    with pytest.raises(UsageError):
        people.hand_over(on_team(run_bench, "ada"), "commander", " ")


def test_a_step_added_without_a_place_is_next_of_all(run_bench: Bench) -> None:
    """What has not begun waits for it, in every branch."""
    run_bench.begin(step("a", action=MANUAL), step("b", "a"), step("c"), step("d", "c"))
    run_bench.advance()
    people.add_step(run_bench.person(), StepSpec("x", "X", "act"))
    run_bench.done.clear()
    people.confirm(run_bench.person(), "a", done=True, comment=None)
    assert run_bench.advance().verdict is Verdict.PASSED
    assert run_bench.done.index("act x") < run_bench.done.index("act b")


def test_a_step_added_behind_another_is_waited_for_by_what_comes_after(run_bench: Bench) -> None:
    """In one branch of a group, the other branch does not wait."""
    run_bench.begin(
        step("a", action=MANUAL), step("b", action=MANUAL), step("c", "b"), step("d", "a", "c")
    )
    run_bench.advance()
    people.add_step(run_bench.person("ada"), step("x", "a"))
    assert {s.spec.id: set(s.spec.after) for s in run_bench.state.steps} == {
        "a": set(),
        "x": {"a"},
        "b": set(),
        "c": {"b"},
        "d": {"a", "c", "x"},
    }
    assert run_bench.state.steps[1].added_by == "ada"


def test_a_step_added_behind_two_that_follow_each_other_does_not_wait_for_itself(
    run_bench: Bench,
) -> None:
    """Naming a step and a later one is naming the later one."""
    run_bench.begin(step("a", action=MANUAL), step("b", "a"), step("c", "b"), step("d", "c"))
    people.add_step(run_bench.person(), step("x", "a", "c"))
    run_bench.advance()
    people.confirm(run_bench.person(), "a", done=True, comment=None)
    assert run_bench.advance().verdict is Verdict.PASSED
    assert run_bench.done == ["act b", "act c", "act x", "act d"]


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        (StepSpec("a", "A", "act"), RefusedError),
        (StepSpec("x", "X", "act", after=("gone",)), NotFoundError),
    ],
    ids=["an id twice", "after what is not there"],
)
def test_a_step_that_does_not_fit_in_is_refused(
    run_bench: Bench, spec: StepSpec, error: type[Exception]
) -> None:
    """The run stays as it was."""
    run_bench.begin(step("a", action=MANUAL))
    with pytest.raises(error):
        people.add_step(run_bench.person(), spec)
    assert run_bench.state.sequence == 1


def test_nothing_is_added_to_a_run_that_ends(run_bench: Bench) -> None:
    """Whoever adds a step learns that it would never be carried out."""
    run_bench.begin(step("a", action=MANUAL))
    people.abort(run_bench.person("ada"), reason="enough")
    with pytest.raises(RefusedError, match="ada has ended run r1"):
        people.add_step(run_bench.person(), StepSpec("x", "X", "act"))


def test_pausing_twice_and_going_on_twice_is_told(run_bench: Bench) -> None:
    """By name, so that two people do not undo each other's doing unseen."""
    run_bench.begin(step("a", action=MANUAL))
    with pytest.raises(RefusedError, match="not paused"):
        people.go_on(run_bench.person())
    people.pause(run_bench.person("ada"), reason="x")
    with pytest.raises(RefusedError, match="ada has paused"):
        people.pause(run_bench.person("bo"), reason="x")
    people.go_on(run_bench.person("bo"))
    assert run_bench.state.paused_by is None


def test_where_several_steps_wait_the_one_that_fits_or_the_one_named_is_meant(
    run_bench: Bench,
) -> None:
    """Nothing is guessed when two fit."""
    run_bench.begin(step("a", action=MANUAL), step("b", approval="dba"), step("c", approval="dba"))
    run_bench.advance()
    assert people.confirm(run_bench.person(), None, done=True, comment=None).spec.id == "a"
    with pytest.raises(UsageError, match="several steps of run r1 wait: b, c"):
        people.approve(run_bench.person(), None, None)
    assert people.approve(run_bench.person(), "c", None).spec.id == "c"
    assert people.approve(run_bench.person(), None, None).spec.id == "b"


def at_once(acts: list[Callable[[], object]]) -> list[bool]:
    """Do all at once; return which were followed."""
    barrier = Barrier(len(acts), timeout=LIMIT_S)

    def one(act: Callable[[], object]) -> bool:
        barrier.wait()
        try:
            act()
        except (RefusedError, LockedError):
            return False
        return True

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(one, acts))


def test_two_who_act_at_once_on_different_steps_are_both_followed(run_bench: Bench) -> None:
    """Neither has to try again because of the other."""
    run_bench.begin(*(step(name, approval="dba") for name in "abcd"))
    run_bench.advance()
    acts = [lambda n=n: people.approve(run_bench.person(), n, None) for n in "abcd"]
    assert at_once([*acts]) == [True] * 4
    assert run_bench.advance().verdict is Verdict.PASSED


def test_of_those_who_act_at_once_on_one_step_exactly_one_is_followed(run_bench: Bench) -> None:
    """The others are told that it is decided."""
    run_bench.begin(step("a", approval="dba"), step("b", "a", action=MANUAL))
    run_bench.advance()
    who = run_bench.person
    approvals = [lambda n=n: people.approve(who(str(n)), "a", None) for n in range(4)]
    assert sum(at_once([*approvals])) == 1
    assert len(run_bench.events("approval-given")) == 1
    run_bench.advance()
    words = [
        lambda n=n: people.confirm(who(str(n)), "b", done=True, comment=None) for n in range(4)
    ]
    assert sum(at_once([*words])) == 1
