"""The arithmetic of forecasts: whose figure counts, what is added and what is not."""

from __future__ import annotations

from datetime import datetime, timedelta

from run_bench import step
from run_events import BEGIN, History, begun

from processpilot.runbook.forecast import Measured, due_concerns, forecast
from processpilot.runbook.state import Kind
from processpilot.runbook.step import MANUAL, GroupSpec, StepSpec


def run(*specs: StepSpec, **more: object) -> History:
    """Return a run of these steps that has just begun."""
    return History(specs, [begun(specs, **more)])  # type: ignore[arg-type]


def minutes(history: History, at: datetime, **measured: float) -> float:
    """Return in how many minutes from the run's begin it will end."""
    known = {name: Measured(value, value, 1) for name, value in measured.items()}
    return (forecast(history.state, at, known).end_at - BEGIN).total_seconds() / 60


def test_measured_counts_before_estimated_before_the_time_box() -> None:
    """One after the other they add up; of an unknown step nothing is counted but that it is."""
    history = run(
        step("a", estimate_s=60.0, timebox_s=600.0),
        step("b", "a", timebox_s=120.0),
        step("c", "b", estimate_s=180.0),
        step("d", "c"),
    )
    assert minutes(history, BEGIN) == 1 + 2 + 3
    assert minutes(history, BEGIN, a=300.0) == 5 + 2 + 3
    found = forecast(history.state, BEGIN, {"a": Measured(300.0, 400.0, 2)})
    assert (found.known, found.measured, found.unknown) == (3, 1, 1)
    assert found.end_at - BEGIN == timedelta(minutes=5 + 2 + 3)


def test_a_clock_that_was_set_back_makes_no_step_end_before_it_begins() -> None:
    """A figure below zero, from a run in which the time of day jumped, counts as nothing."""
    history = run(step("a", estimate_s=60.0), step("b", "a", estimate_s=60.0))
    assert minutes(history, BEGIN, a=-3600.0) == 1


def test_an_estimate_of_nothing_is_an_estimate() -> None:
    """Zero is not taken for unknown, and the time box does not stand in for it."""
    assert minutes(run(step("a", estimate_s=0.0, timebox_s=600.0)), BEGIN) == 0


def test_side_by_side_the_longest_counts() -> None:
    """And what comes after begins when the longest is done."""
    history = run(
        step("a", estimate_s=60.0),
        step("b", estimate_s=300.0),
        step("c", "a", "b", estimate_s=60.0),
    )
    assert minutes(history, BEGIN) == 6


def test_what_was_done_counts_as_it_was() -> None:
    """A step that was quicker than expected brings the end nearer."""
    history = run(step("a", estimate_s=600.0), step("b", "a", estimate_s=60.0))
    history.start("a").passed("a")
    assert minutes(history, BEGIN + timedelta(seconds=2)) == (2 + 60) / 60


def test_a_running_step_ends_when_it_is_expected_to_or_now() -> None:
    """One that overruns its time ends now at the earliest."""
    history = run(step("a", estimate_s=60.0), step("b", "a", estimate_s=60.0)).start("a")
    begun_at = BEGIN + timedelta(seconds=1)
    assert minutes(history, begun_at + timedelta(seconds=30)) == (1 + 120) / 60
    late = begun_at + timedelta(minutes=10)
    assert forecast(history.state, late, {}).end_at == late + timedelta(seconds=60)


def test_a_manual_step_that_people_were_asked_for_is_under_way() -> None:
    """The time they have had counts."""
    history = run(step("a", action=MANUAL, estimate_s=600.0)).asked("a")
    assert minutes(history, BEGIN + timedelta(minutes=5)) == (1 + 600) / 60


def test_a_component_is_up_when_the_last_step_that_brings_it_up_is_done() -> None:
    """Whatever order the steps stand in."""
    history = run(
        step("a", estimate_s=600.0, brings_up=("api",)),
        step("b", estimate_s=60.0, brings_up=("api", "web")),
        step("c", "a", "b", estimate_s=60.0),
    )
    up = forecast(history.state, BEGIN, {}).up_at
    assert {name: at - BEGIN for name, at in up.items()} == {
        "api": timedelta(minutes=10),
        "web": timedelta(minutes=1),
    }


def test_a_finished_run_ends_when_it_did() -> None:
    """Nothing is forecast any more."""
    history = run(step("a", estimate_s=600.0)).start("a").passed("a").finished("passed")
    assert minutes(history, BEGIN + timedelta(days=1)) == 3 / 60


def warnings(history: History, at: datetime) -> list[str]:
    """Return the names of what people should know at a moment."""
    return [concern.name for concern in due_concerns(history.state, at, {})]


def test_an_objective_is_a_concern_as_soon_as_the_forecast_crosses_it() -> None:
    """From the last probe that passed on, and no more once it was told."""
    details = {
        "last_passed_at": (BEGIN - timedelta(minutes=50)).isoformat(),
        "objectives": [
            {"component": "api", "title": "API", "rto_s": 3600.0},
            {"component": "web", "title": "Web", "rto_s": 7200.0},
        ],
    }
    history = run(step("a", estimate_s=660.0, brings_up=("api", "web")), details=details)
    assert warnings(history, BEGIN) == ["objective/api"]
    history.add(Kind.RUN_WARNED, warning="objective/api", text="late")
    assert warnings(history, BEGIN) == []


def test_a_time_box_is_a_concern_when_it_is_over() -> None:
    """For a step that has begun and is not settled, failed or not, and for its group."""
    history = run(
        step("a", timebox_s=60.0, groups=("g",)),
        step("b", "a", timebox_s=60.0, groups=("g",)),
        groups=[GroupSpec("g", "Both", timebox_s=120.0)],
    )
    assert warnings(history, BEGIN + timedelta(hours=1)) == []
    history.start("a").failed("a")
    assert warnings(history, BEGIN + timedelta(seconds=61)) == []
    assert warnings(history, BEGIN + timedelta(seconds=62)) == ["timebox/a"]
    assert warnings(history, BEGIN + timedelta(seconds=122)) == ["timebox/a", "timebox/g"]
    history.skipped("a").skipped("b")
    assert warnings(history, BEGIN + timedelta(days=1)) == []
