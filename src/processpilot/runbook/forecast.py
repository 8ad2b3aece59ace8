"""When a run will probably be done, and what has taken longer than it may. Pure.

What a step takes is known from earlier runs, else from the plan's estimate, else from its time box.
Waiting for people counts as nothing until it happens: a forecast is the best case.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from processpilot.runbook.state import RunState
from processpilot.runbook.step import StepOutcome, StepState


@dataclass(frozen=True, slots=True)
class Measured:
    """What earlier attempts of a step took, in seconds; `count` is how many were measured."""

    median_s: float
    worst_s: float
    count: int


Durations = Mapping[str, Measured]


@dataclass(frozen=True, slots=True)
class Forecast:
    """When the run ends and each component works again; `unknown` steps count as nothing.

    `measured` of `known` open steps were measured in earlier runs.
    """

    end_at: datetime
    up_at: Mapping[str, datetime]
    known: int
    measured: int
    unknown: int


@dataclass(frozen=True, slots=True)
class Concern:
    """Something people should know once; `name` is what keeps it from being said twice."""

    name: str
    text: str


def clock_begins_at(run: RunState) -> datetime:
    """Return the last moment a probe passed, or when the run began if nobody probed."""
    text = run.details.get("last_passed_at")
    return run.begun_at if text is None else datetime.fromisoformat(str(text))


def expected_s(step: StepState, durations: Durations) -> float | None:
    """Return how long a step probably takes; None when nothing is known."""
    measured = durations.get(step.spec.id)
    if measured is not None:
        return max(0.0, measured.median_s)  # The clock may have been set back meanwhile.
    return step.spec.timebox_s if step.spec.estimate_s is None else step.spec.estimate_s


def forecast(run: RunState, now: datetime, durations: Durations) -> Forecast:
    """Return when the run and its components will be done, as far as that is known now."""
    ends: dict[str, datetime] = {}
    known = measured = unknown = 0
    for step in run.steps:
        if step.is_settled:
            ends[step.spec.id] = step.end_at or now
            continue
        takes = expected_s(step, durations)
        known += takes is not None
        unknown += takes is None
        measured += step.spec.id in durations
        begins = max((ends.get(one, now) for one in step.spec.after), default=now)
        ends[step.spec.id] = _end(step, max(begins, now), takes or 0.0, now)
    end = max(ends.values(), default=now)
    up: dict[str, datetime] = {}
    for step in run.steps:
        for component in step.spec.brings_up:
            up[component] = max(ends[step.spec.id], up.get(component, ends[step.spec.id]))
    return Forecast(
        end if run.finished_at is None else run.finished_at, up, known, measured, unknown
    )


def _end(step: StepState, begins: datetime, takes_s: float, now: datetime) -> datetime:
    """Return when an open step ends; one that overruns ends now at the earliest."""
    under_way = step.outcome is StepOutcome.RUNNING
    under_way |= step.outcome is StepOutcome.WAITING and step.told
    if under_way and step.begin_at is not None:
        return max(now, step.begin_at + timedelta(seconds=takes_s))
    return begins + timedelta(seconds=takes_s)


def due_concerns(run: RunState, now: datetime, durations: Durations) -> Iterator[Concern]:
    """Yield what people should know and have not been told in this run."""
    for warning in (*_overruns(run, now), *_crossings(run, now, durations)):
        if warning.name not in run.warned:
            yield warning


def _overruns(run: RunState, now: datetime) -> Iterator[Concern]:
    for step in run.steps:
        box, begun = step.spec.timebox_s, step.begin_at
        if step.is_settled or box is None or begun is None:
            continue
        if (taken := (now - begun).total_seconds()) > box:
            text = f"{step.spec.title} has taken {_minutes(taken)}, its time box is {_minutes(box)}"
            yield Concern(f"timebox/{step.spec.id}", text)
    for group in run.groups:
        inside = [step for step in run.steps if group.id in step.spec.groups]
        begins = [step.begin_at for step in inside if step.begin_at is not None]
        if group.timebox_s is None or not begins or all(step.is_settled for step in inside):
            continue
        if (taken := (now - min(begins)).total_seconds()) > group.timebox_s:
            allowed = _minutes(group.timebox_s)
            text = f"{group.title} has taken {_minutes(taken)}, its time box is {allowed}"
            yield Concern(f"timebox/{group.id}", text)


def _crossings(run: RunState, now: datetime, durations: Durations) -> Iterator[Concern]:
    """Yield the objectives that will be missed by the forecast, or are missed already."""
    if run.is_finished:
        return
    found = forecast(run, now, durations)
    begun = clock_begins_at(run)
    objectives: Sequence[Mapping[str, Any]] = run.details.get("objectives", ())
    for objective in objectives:
        name, rto_s = str(objective["component"]), float(objective["rto_s"])
        up_at = found.up_at.get(name, found.end_at)
        late_s = (up_at - begun).total_seconds() - rto_s
        if late_s > 0 and up_at >= now:
            text = (
                f"by forecast {objective['title']} is up at {up_at:%H:%M} UTC, "
                f"{_minutes(late_s)} past its objective of {_minutes(rto_s)} "
                f"({found.measured} of {found.known} steps measured before, else by the plan)"
            )
            yield Concern(f"objective/{name}", text)


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
