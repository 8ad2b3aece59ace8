"""A run keeps to the plan it began with, whatever is edited meanwhile."""

from __future__ import annotations

from dataclasses import replace

import pytest
from plan_text import PLAN, load, plan_with
from run_bench import Bench, run_bench

from processpilot.errors import RefusedError
from processpilot.incident.begin import request_run
from processpilot.runbook.history import read_run
from processpilot.runbook.runner import begin_run
from processpilot.runbook.state import RunState
from processpilot.wiring.running import carrying, pinned, team_of
from processpilot.wiring.wired import Wired

__all__ = ["run_bench"]

EDITED = plan_with("title: Check, action: validate", "title: Look, action: list-backups").replace(
    "title: Commander", "title: Commander, primary: Ada"
)


def wired(bench: Bench, text: str) -> Wired:
    """Return a plan's text, opened."""
    return Wired(load(text), bench.clock, bench.journal, lambda: 1)


def begun(bench: Bench) -> RunState:
    """Begin a run of the plan as it was."""
    loaded = load(PLAN)
    begin_run(bench.journal, request_run(loaded, loaded.plan.scenarios[0], "r7", "test", None))
    return read_run(bench.journal, "r7")


def test_a_run_has_the_steps_of_the_plan_it_began_with(run_bench: Bench) -> None:
    """They are in the journal; the file is not read again."""
    steps = begun(run_bench).steps
    assert [(step.spec.title, step.spec.action) for step in steps] == [
        ("Assess", "assess"),
        ("Check", "validate"),
    ]


def test_an_edited_plan_does_not_concern_a_run_that_has_begun(run_bench: Bench) -> None:
    """Team, probes and all are those of the text that the run pinned."""
    state = begun(run_bench)
    now = wired(run_bench, EDITED)
    assert now.loaded.plan.team.roles[0].primary == "Ada"
    kept = pinned(now, state)
    assert kept.loaded.hash == state.plan_hash != now.loaded.hash
    assert kept.loaded.plan == load(PLAN).plan
    assert (kept.journal, kept.clock) == (now.journal, now.clock)


def test_an_unedited_plan_is_used_as_it_is_open(run_bench: Bench) -> None:
    """Nothing is opened a second time."""
    same = wired(run_bench, PLAN)
    assert pinned(same, begun(run_bench)) is same


def test_a_plan_that_can_no_longer_be_read_keeps_nobody_from_ending_its_run(
    run_bench: Bench,
) -> None:
    """As after an upgrade: it is not carried on by another plan, but it can be given up."""
    state = begun(run_bench)
    old = replace(state, plan_hash="0" * 64, details={**state.details, "plan": "version: 0\n"})
    now = wired(run_bench, EDITED)
    for stuck in (old, replace(old, aborted_by="ada", undoing=True)):
        with pytest.raises(RefusedError, match="run r7 began with cannot be read") as caught:
            carrying(now, stuck)
        assert "processpilot run abort r7" in str(caught.value.hint)
    assert carrying(now, replace(old, aborted_by="ada")) is now
    assert team_of(now, old) == now.loaded.plan.team
    assert team_of(now, state) == load(PLAN).plan.team
