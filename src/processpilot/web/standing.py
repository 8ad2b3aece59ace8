"""Where everything stands, read for the pages: the same objects that the command line shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from processpilot.errors import IntegrityError
from processpilot.evidence.report import Objective, Report, build_report
from processpilot.incident.record import newest_incidents, open_incidents, read_incident
from processpilot.incident.state import PREFIX, Incident
from processpilot.incident.timeline import event_words
from processpilot.journal.event import Event
from processpilot.journal.journal import Journal
from processpilot.plan.component import Component
from processpilot.runbook.decide import AwaitPeople, waits_of
from processpilot.runbook.forecast import Durations, Forecast, clock_begins_at, forecast
from processpilot.runbook.history import measured_durations, newest_runs, open_runs, read_run
from processpilot.runbook.state import RunState, stream_of
from processpilot.runbook.step import StepState
from processpilot.runbook.words import event_line
from processpilot.wiring.wired import Wired

MOST_LINES = 200
_PAST_RUNS = 8
_PAST_INCIDENTS = 5


@dataclass(frozen=True, slots=True)
class Line:
    """A moment of a log, in words."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """A step as a page lists it; `headings` are the groups that begin with it, with their depth."""

    step: StepState
    headings: tuple[tuple[int, str], ...]
    depth: int
    took_s: float | None


@dataclass(frozen=True, slots=True)
class RunView:
    """A run: its report, its steps, whom it waits for, and its forecast while it is open."""

    run: RunState
    report: Report
    rows: tuple[Row, ...]
    waits: tuple[AwaitPeople, ...]
    forecast: Forecast | None
    elapsed_s: float
    at: datetime


@dataclass(frozen=True, slots=True)
class IncidentView:
    """An incident with its log, the newest entry first; `left_out` older ones are not shown."""

    incident: Incident
    lines: tuple[Line, ...]
    left_out: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Measured:
    """A component's objectives beside what the newest finished run measured, None if none did."""

    component: Component
    report: Report | None
    objective: Objective | None


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything the first page shows."""

    name: str
    at: datetime
    problems: tuple[str, ...]
    incidents: tuple[Incident, ...]
    runs: tuple[RunView, ...]
    measured: tuple[Measured, ...]
    past_runs: tuple[Report, ...]
    past_incidents: tuple[Incident, ...]


def read_standing(wired: Wired, problems: Sequence[str]) -> Standing:
    """Return where everything stands now, from the journal alone."""
    journal = wired.journal
    damage: list[str] = []
    past = tuple(_past_reports(journal))
    newest = past[0] if past else None
    incidents: tuple[Incident, ...] = ()
    ended: tuple[Incident, ...] = ()
    with _told(damage):
        incidents, ended = open_incidents(journal), newest_incidents(journal, 2 * _PAST_INCIDENTS)
    runs: list[RunView] = []
    for run_id in open_runs(journal):
        with _told(damage):
            runs.append(read_run_view(wired, run_id))
    return Standing(
        name=wired.loaded.plan.name,
        at=wired.clock.now(),
        problems=(*problems, *damage),
        incidents=incidents,
        runs=tuple(runs),
        measured=tuple(_measured(c, newest) for c in wired.loaded.plan.components),
        past_runs=past,
        past_incidents=tuple(one for one in ended if not one.is_open)[:_PAST_INCIDENTS],
    )


@contextmanager
def _told(damage: list[str]) -> Iterator[None]:
    """Tell what cannot be read among the problems: the rest of the page is needed all the more."""
    try:
        yield
    except IntegrityError as error:
        damage.append(error.message)


def read_run_view(wired: Wired, run_id: str) -> RunView:
    """Return a run as it is now; NotFoundError when there is none of that id."""
    state = read_run(wired.journal, run_id)
    now = wired.clock.now()
    expected = None
    if not state.is_finished:
        durations = _durations(wired.journal, state.scenario, run_id)
        expected = forecast(state, now, durations)
    end = state.finished_at or now
    return RunView(
        run=state,
        report=build_report(state, {}),
        rows=tuple(_rows(state, now)),
        waits=waits_of(state),
        forecast=expected,
        elapsed_s=max(0.0, (end - clock_begins_at(state)).total_seconds()),
        at=now,
    )


def read_incident_view(wired: Wired, incident_id: str) -> IncidentView:
    """Return an incident with the newest of its log and its run's, the newest entry first."""
    incident = read_incident(wired.journal, incident_id)
    events: list[tuple[Event, str]] = [
        (event, event_words(event)) for event in wired.journal.read(f"{PREFIX}{incident_id}")
    ]
    if incident.run_id is not None:
        events += [
            (event, event_line(event)) for event in wired.journal.read(stream_of(incident.run_id))
        ]
    events.sort(key=lambda one: one[0].position, reverse=True)
    lines = tuple(Line(event.at, text) for event, text in events[:MOST_LINES])
    return IncidentView(incident, lines, max(0, len(events) - MOST_LINES), wired.clock.now())


@lru_cache(maxsize=16)
def _durations(journal: Journal, scenario: str, run_id: str) -> Durations:
    """Return what earlier runs took; they do not change while a run is open."""
    return measured_durations(journal, scenario)


def _past_reports(journal: Journal) -> Iterator[Report]:
    for run_id in newest_runs(journal, _PAST_RUNS):
        try:
            state = read_run(journal, run_id)
        except IntegrityError:
            continue  # One old run that cannot be read must not take the page away.
        if state.is_finished:
            yield build_report(state, {})


def _measured(component: Component, report: Report | None) -> Measured:
    objectives = () if report is None else report.objectives
    found = next((one for one in objectives if one.component == component.id), None)
    return Measured(component, report if found is not None else None, found)


def _rows(state: RunState, now: datetime) -> Iterator[Row]:
    titles: Mapping[str, str] = {group.id: group.title for group in state.groups}
    told: set[str] = set()
    for step in state.steps:
        new = [(n, one) for n, one in enumerate(step.spec.groups) if one not in told]
        told.update(one for _, one in new)
        headings = tuple((depth, titles.get(one, one)) for depth, one in new)
        yield Row(step, headings, len(step.spec.groups), _took_s(step, now))


def _took_s(step: StepState, now: datetime) -> float | None:
    if step.begin_at is None:
        return None
    end = step.end_at if step.is_settled and step.end_at is not None else now
    return max(0.0, (end - step.begin_at).total_seconds())
