"""A run keeps to the plan it began with, whatever is edited meanwhile."""

from __future__ import annotations

from plan_text import PLAN, load, plan_with
from run_bench import Bench, run_bench

from processpilot.incident.begin import request_run
from processpilot.runbook.history import read_run
from processpilot.runbook.runner import begin_run
from processpilot.runbook.state import RunState
from processpilot.wiring.running import pinned
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
