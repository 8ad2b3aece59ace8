"""The post-incident document: what the journal knows, and room for what only people know. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from processpilot.dossier.finding import RunFinding, findings_of
from processpilot.dossier.timeline import Entry, timeline
from processpilot.evidence.page import format_duration
from processpilot.evidence.report import Report
from processpilot.incident.state import FollowUpAction, Incident
from processpilot.journal.event import Event
from processpilot.plan.alarm import Severity
from processpilot.runbook.state import Kind, RunState
from processpilot.runbook.step import StepOutcome

# The worst incidents are reviewed within three days, the others within five working days
# (PagerDuty's public incident guide, "Postmortem Process").
_WORST_DAYS = 3
_WORKING_DAYS = 5
_FRIDAY = 4
_LONG_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of the impact, with where it comes from."""

    name: str
    value: str
    source: str


@dataclass(frozen=True, slots=True)
class Review:
    """Everything the document says; people complete the rest."""

    incident: Incident
    due: date
    figures: tuple[Figure, ...]
    helped: tuple[str, ...]
    hurt: tuple[str, ...]
    entries: tuple[Entry, ...]
    findings: tuple[RunFinding, ...]
    actions: tuple[FollowUpAction, ...]


@dataclass(frozen=True, slots=True)
class Material:
    """What a review is written from; run and report are None where no run answered."""

    incident: Incident
    incident_events: Sequence[Event]
    run: RunState | None = None
    run_events: Sequence[Event] = ()
    report: Report | None = None


def write_review(material: Material) -> Review:
    """Return the document of an incident, open or not."""
    incident, run, report = material.incident, material.run, material.report
    last = incident.last_passed_at
    began = None if last is None else datetime.fromisoformat(last)
    found = [] if run is None or report is None else findings_of(run, report, incident)
    return Review(
        incident,
        due_date(incident),
        tuple(_figures(material, began)),
        tuple(_helped(material)),
        tuple(_hurt(material, found)),
        tuple(timeline(material.incident_events, material.run_events, began)),
        tuple(finding for finding in found if finding.code != "review-action"),
        incident.actions,
    )


def due_date(incident: Incident) -> date:
    """Return until when the review should be done."""
    day = (incident.resolved_at or incident.declared_at).date()
    if incident.severity is Severity.SEV1:
        return day + timedelta(days=_WORST_DAYS)
    left = _WORKING_DAYS
    while left:
        day += timedelta(days=1)
        left -= day.weekday() <= _FRIDAY
    return day


def _figures(material: Material, began: datetime | None) -> Iterator[Figure]:
    incident, report = material.incident, material.report
    stream = f"incident/{incident.incident_id}"
    for name, begin, end in (
        ("time until it was noticed", began, incident.declared_at),
        ("time until somebody acknowledged", incident.declared_at, incident.acknowledged_at),
        ("time until stakeholders heard", incident.declared_at, _first_update(incident)),
        ("time until it was mitigated", incident.declared_at, incident.mitigated_at),
        ("time until it was resolved", incident.declared_at, incident.resolved_at),
    ):
        if begin is not None and end is not None:
            yield Figure(name, format_duration((end - begin).total_seconds()), stream)
    if report is not None:
        yield from _of_report(report)
    delivered = sum(1 for page in incident.pages if page.delivered)
    if incident.pages:
        yield Figure("pages delivered", f"{delivered} of {len(incident.pages)}", stream)


def _first_update(incident: Incident) -> datetime | None:
    return min((u.sent_at for u in incident.updates if u.sent_at is not None), default=None)


def _of_report(report: Report) -> Iterator[Figure]:
    source = f"run/{report.run_id}"
    took, objective = format_duration(report.recovery_time_s), format_duration(report.rto_s)
    yield Figure("recovery time", f"{took}, objective {objective}", source)
    if report.data_loss_window_s is not None:
        lost = format_duration(report.data_loss_window_s)
        yield Figure("data lost", f"{lost}, objective {format_duration(report.rpo_s)}", source)
    elif report.data_loss_bound_s is not None:
        yield Figure("data lost", f"at most {format_duration(report.data_loss_bound_s)}", source)
    if report.lost_transactions is not None:
        count = f"{report.lost_transactions} of {report.acknowledged_transactions}"
        yield Figure("acknowledged writes lost", count, source)


def _helped(material: Material) -> Iterator[str]:
    run, report = material.run, material.report
    if material.incident.source == "probes":
        yield "the probes noticed it by themselves"
    if run is None or report is None:
        return
    boxed = [s for s in run.steps if s.spec.timebox_s is not None and s.duration_s is not None]
    kept = [s for s in boxed if (s.duration_s or 0.0) <= (s.spec.timebox_s or 0.0)]
    if boxed:
        yield f"{len(kept)} of {len(boxed)} steps kept their time boxes"
    for step in run.steps:
        if step.outcome is StepOutcome.PASSED and step.spec.brings_up:
            yield f"{step.spec.title} brought {', '.join(step.spec.brings_up)} back"
    if report.lost_transactions == 0:
        yield "no acknowledged write was lost"


def _hurt(material: Material, found: Sequence[RunFinding]) -> Iterator[str]:
    for finding in found:
        if finding.code != "review-action":
            yield finding.text
    yield from _waits(material.run_events)
    incident = material.incident
    if incident.acknowledged_at is None:
        yield "nobody acknowledged the incident"


def _waits(events: Sequence[Event]) -> Iterator[str]:
    """Yield how long the run waited for people, where that was long."""
    asked: dict[str, Event] = {}
    ends = (Kind.APPROVAL_GIVEN, Kind.APPROVAL_REFUSED, Kind.STEP_CONFIRMED)
    for event in events:
        step = str(event.data.get("step"))
        if event.kind in (Kind.APPROVAL_REQUESTED, Kind.CONFIRMATION_REQUESTED):
            asked[step] = event
        elif event.kind in ends and step in asked:
            waited_s = (event.at - asked.pop(step).at).total_seconds()
            if waited_s > _LONG_WAIT_S:
                yield f"step {step} waited {format_duration(waited_s)} for people"
