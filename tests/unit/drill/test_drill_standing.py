"""How a drill stands: its last verdict, until age, plan, people or software make it lapse."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from drill_events import BEGIN, FACTS, drill, rehearsal
from plan_text import PLAN, load, plan_with

from processpilot.drill.facts import facts_of
from processpilot.drill.standing import StandingState, standing_of
from processpilot.runbook.state import Verdict

SOON = BEGIN + timedelta(days=1)


def test_never_run_is_never_green() -> None:
    """No rehearsal, an open one and an aborted one say the same: nothing."""
    open_one, ended = rehearsal(None), rehearsal(Verdict.ABORTED)
    for begun in ((), (open_one,), (ended, open_one)):
        assert standing_of(drill(), begun, FACTS, SOON).state is StandingState.NEVER


def test_the_newest_verdict_counts() -> None:
    """A failure after a pass is a failure."""
    later = rehearsal(Verdict.FAILED, at=BEGIN + timedelta(hours=1))
    found = standing_of(drill(), (later, rehearsal()), FACTS, SOON)
    assert (found.state, found.rehearsal_id) == (StandingState.FAILED, later.rehearsal_id)


def test_a_drill_that_was_ended_early_leaves_the_verdict_before_it() -> None:
    """It gave way to something and says nothing about recovery."""
    later = rehearsal(Verdict.ABORTED, at=BEGIN + timedelta(hours=1))
    found = standing_of(drill(), (later, rehearsal()), FACTS, SOON)
    assert found.state is StandingState.PASSED


def test_a_verdict_lapses_with_age() -> None:
    """To the second."""
    last = BEGIN + timedelta(seconds=10, days=30)
    assert standing_of(drill(), (rehearsal(),), FACTS, last).state is StandingState.PASSED
    later = standing_of(drill(), (rehearsal(),), FACTS, last + timedelta(seconds=1))
    assert later.state is StandingState.LAPSED
    assert later.why == "it is 30.0 days old, at most 30.0 days count"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"plan": "f" * 16}, "the plan changed"),
        ({"people": "f" * 16}, "the team changed"),
        ({"postgresql": "18.5"}, "PostgreSQL was 18.4, is 18.5"),
        ({"processpilot": "1.1"}, "ProcessPilot was 1.0, is 1.1"),
    ],
)
def test_a_verdict_lapses_with_every_change_it_depends_on(change: dict[str, str], why: str) -> None:
    """Plan, people, PostgreSQL and ProcessPilot; the standing says which."""
    found = standing_of(drill(), (rehearsal(),), replace(FACTS, **change), SOON)
    assert (found.state, found.why) == (StandingState.LAPSED, why)


def test_a_failure_does_not_lapse() -> None:
    """It stays a failure until a drill shows something else."""
    old = rehearsal(Verdict.FAILED)
    found = standing_of(drill(), (old,), FACTS, BEGIN + timedelta(days=400))
    assert found.state is StandingState.FAILED


def test_a_version_nobody_knows_now_makes_nothing_lapse() -> None:
    """The server may be down; that is no change."""
    found = standing_of(drill(), (rehearsal(),), replace(FACTS, postgresql=None), SOON)
    assert found.state is StandingState.PASSED


def test_facts_change_with_what_matters_and_with_nothing_else() -> None:
    """Objectives, steps and roles do; a comment does not, and neither does the plan's name."""
    before = facts_of(load(PLAN).plan, drill(), "18.4")
    commented = facts_of(load(PLAN + "# a comment\n").plan, drill(), "18.4")
    renamed = facts_of(load(plan_with("name: shop", "name: store")).plan, drill(), "18.4")
    assert before == commented == renamed
    faster = facts_of(load(plan_with("rto: 4h", "rto: 3h")).plan, drill(), "18.4")
    assert list(faster.changes_since(before)) == ["the plan changed"]
    role = plan_with("title: Commander}", "title: Commander, primary: Ann}")
    staffed = facts_of(load(role).plan, drill(), "18.4")
    assert list(staffed.changes_since(before)) == ["the team changed"]
    other = facts_of(load(PLAN).plan, drill(lifetime="1h"), "18.4")
    assert list(other.changes_since(before)) == ["the plan changed"]
