"""What earlier runs tell: the runs there are, those that are open, and what their steps took."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping

from processpilot.errors import IntegrityError, NotFoundError
from processpilot.journal.journal import Journal
from processpilot.runbook.forecast import Durations, Measured
from processpilot.runbook.state import Kind, RunState, fold, stream_of
from processpilot.runbook.step import StepOutcome

PREFIX = "run/"
_LOOKED_AT = 200
_MEASURED_RUNS = 20


def read_run(journal: Journal, run_id: str) -> RunState:
    """Return a run's state; NotFoundError when there is no such run."""
    events = journal.read(stream_of(run_id))
    if not events:
        raise NotFoundError(
            f"there is no run {run_id}", hint="Run `processpilot run list` to see the runs."
        )
    return fold(events)


def run_ids(journal: Journal) -> tuple[str, ...]:
    """Return every run's id, the one with the newest event first."""
    return tuple(stream.removeprefix(PREFIX) for stream in journal.streams(PREFIX))


def open_runs(journal: Journal) -> tuple[str, ...]:
    """Return the ids of the runs that are not finished, the one with the newest event first."""
    streams = journal.open_streams(Kind.RUN_BEGUN, Kind.RUN_FINISHED)
    return tuple(stream.removeprefix(PREFIX) for stream in streams)


def newest_runs(journal: Journal, count: int) -> tuple[str, ...]:
    """Return the ids of at most `count` runs, the one with the newest event first."""
    streams = journal.newest_streams(PREFIX, count)
    return tuple(stream.removeprefix(PREFIX) for stream in streams)


def measured_by_scenario(journal: Journal) -> Mapping[tuple[str, str], Measured]:
    """Return what steps took in the newest runs of all scenarios, by scenario and step id."""
    taken: dict[tuple[str, str], list[float]] = defaultdict(list)
    for run_id in newest_runs(journal, _LOOKED_AT):
        try:
            run = read_run(journal, run_id)
        except IntegrityError:
            continue  # One run that cannot be read any more must not hide what the others took.
        for step in run.steps if run.is_finished else ():
            if step.outcome is StepOutcome.PASSED and step.duration_s is not None:
                taken[run.scenario, step.spec.id].append(step.duration_s)
    return {
        key: Measured(statistics.median(values), max(values), len(values))
        for key, values in taken.items()
    }


def measured_durations(journal: Journal, scenario: str) -> Durations:
    """Return what the steps of a scenario took in its last runs, by step id."""
    taken: dict[str, list[float]] = defaultdict(list)
    runs = 0
    for run_id in newest_runs(journal, _LOOKED_AT):
        try:
            run = read_run(journal, run_id)
        except IntegrityError:
            continue  # An old run that cannot be read any more must not keep a new one back.
        if run.scenario != scenario or not run.is_finished:
            continue
        runs += 1
        for step in run.steps:
            if step.outcome is StepOutcome.PASSED and step.duration_s is not None:
                taken[step.spec.id].append(step.duration_s)
        if runs == _MEASURED_RUNS:
            break
    return {
        step: Measured(statistics.median(values), max(values), len(values))
        for step, values in taken.items()
    }
