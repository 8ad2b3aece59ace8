"""What earlier runs tell about how long steps take."""

from __future__ import annotations

from dataclasses import replace

from file_steps import request
from run_bench import Bench, run_bench

from processpilot.runbook.forecast import Measured
from processpilot.runbook.history import (
    measured_by_scenario,
    measured_durations,
    newest_runs,
    open_runs,
)
from processpilot.runbook.runner import begin_run
from processpilot.runbook.state import Kind, stream_of
from processpilot.runbook.step import StepSpec

__all__ = ["run_bench"]

SPECS = [StepSpec("a", "A", "act"), StepSpec("b", "B", "act")]


def a_run(bench: Bench, run_id: str, seconds: float, *, finish: bool, scenario: str = "x") -> None:
    """Write down a run whose first step took so long and passed, and whose second failed."""
    journal, stream = bench.journal, stream_of(run_id)
    begin_run(journal, replace(request(SPECS, run_id), scenario=scenario))
    journal.append(stream, Kind.STEP_STARTED, {"step": "a", "attempt": 1})
    bench.clock.go_on(seconds=seconds)
    journal.append(stream, Kind.STEP_FINISHED, {"step": "a", "outcome": "passed"})
    journal.append(stream, Kind.STEP_STARTED, {"step": "b", "attempt": 1})
    journal.append(stream, Kind.STEP_FINISHED, {"step": "b", "outcome": "failed"})
    if finish:
        journal.append(stream, Kind.RUN_FINISHED, {"verdict": "failed"})


def test_what_passed_steps_took_in_finished_runs_of_a_scenario_is_measured(
    run_bench: Bench,
) -> None:
    """The median and the worst; failed steps, open runs and other scenarios say nothing."""
    for number, seconds in enumerate((60.0, 10.0, 20.0)):
        a_run(run_bench, f"r{number}", seconds, finish=True)
    a_run(run_bench, "open", 500.0, finish=False)
    a_run(run_bench, "other", 900.0, finish=True, scenario="y")
    found = measured_durations(run_bench.journal, "x")
    assert found == {"a": Measured(20.0, 60.0, 3)}


def test_only_the_last_twenty_runs_of_a_scenario_count(run_bench: Bench) -> None:
    """What was slow long ago is forgotten."""
    a_run(run_bench, "old", 5000.0, finish=True)
    for number in range(20):
        a_run(run_bench, f"r{number}", 10.0, finish=True)
    assert measured_durations(run_bench.journal, "x")["a"] == Measured(10.0, 10.0, 20)


def test_an_old_run_that_cannot_be_read_keeps_no_new_one_back(run_bench: Bench) -> None:
    """It measures nothing, and that is all."""
    a_run(run_bench, "r1", 10.0, finish=True)
    run_bench.journal.append(stream_of("bad"), Kind.RUN_BEGUN, {"steps": "none"})
    assert measured_durations(run_bench.journal, "x")["a"].count == 1


def test_open_runs_and_the_newest_are_found(run_bench: Bench) -> None:
    """The one with the newest event first."""
    a_run(run_bench, "r1", 1.0, finish=True)
    a_run(run_bench, "r2", 1.0, finish=False)
    a_run(run_bench, "r3", 1.0, finish=False)
    assert open_runs(run_bench.journal) == ("r3", "r2")
    assert newest_runs(run_bench.journal, 2) == ("r3", "r2")


def test_a_run_that_cannot_be_read_hides_no_other(run_bench: Bench) -> None:
    """A damaged or foreign history is passed over wherever durations are asked for."""
    a_run(run_bench, "good", 10.0, finish=True)
    run_bench.journal.append(stream_of("bad"), Kind.RUN_BEGUN, {"run_id": "bad"})
    measured = Measured(10.0, 10.0, 1)
    assert measured_durations(run_bench.journal, "x") == {"a": measured}
    assert measured_by_scenario(run_bench.journal) == {("x", "a"): measured}
