"""Incidents in the journal: declared, answered by a run, resolved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from processpilot.journal.journal import Journal

_PREFIX = "incident/"
_DECLARED = "incident-declared"
_ANSWERED = "incident-answered"
_RESOLVED = "incident-resolved"


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident as its events tell it."""

    incident_id: str
    scenario: str
    title: str
    reasons: tuple[str, ...]
    declared_at: datetime
    last_passed_at: str | None
    run_id: str | None
    resolution: str | None
    stopped_by: str | None
    resolved_at: datetime | None

    @property
    def is_open(self) -> bool:
        """Whether nobody has resolved it yet."""
        return self.resolution is None


@dataclass(frozen=True, slots=True)
class Declaration:
    """What is known when an incident is declared."""

    incident_id: str
    scenario: str
    title: str
    reasons: Sequence[str]
    last_passed_at: datetime | None


def declare(journal: Journal, declaration: Declaration) -> Incident:
    """Write down a new incident."""
    last = declaration.last_passed_at
    journal.append(
        f"{_PREFIX}{declaration.incident_id}",
        _DECLARED,
        {
            "scenario": declaration.scenario,
            "title": declaration.title,
            "reasons": list(declaration.reasons),
            "last_passed_at": None if last is None else last.isoformat(),
        },
        expected_sequence=1,
    )
    return read_incident(journal, declaration.incident_id)


def answer(journal: Journal, incident: Incident, run_id: str) -> None:
    """Write down which run answers an incident."""
    journal.append(f"{_PREFIX}{incident.incident_id}", _ANSWERED, {"run_id": run_id})


def resolve(
    journal: Journal, incident: Incident, resolution: str, *, stopped_by: str | None = None
) -> None:
    """Write down how an incident ended: the run's verdict, or why no run was needed.

    `stopped_by` names the person who ended the run before it was done.
    """
    journal.append(
        f"{_PREFIX}{incident.incident_id}",
        _RESOLVED,
        {"resolution": resolution, "stopped_by": stopped_by},
    )


def read_incident(journal: Journal, incident_id: str) -> Incident:
    """Return an incident's state."""
    events = journal.read(f"{_PREFIX}{incident_id}")
    first = events[0].data
    reasons = first["reasons"]
    assert isinstance(reasons, list)
    answered = [str(event.data["run_id"]) for event in events if event.kind == _ANSWERED]
    resolved = next((event for event in reversed(events) if event.kind == _RESOLVED), None)
    stopped_by = None if resolved is None else resolved.data.get("stopped_by")
    last = first["last_passed_at"]
    return Incident(
        incident_id,
        str(first["scenario"]),
        str(first["title"]),
        tuple(str(reason) for reason in reasons),
        events[0].at,
        None if last is None else str(last),
        answered[-1] if answered else None,
        None if resolved is None else str(resolved.data["resolution"]),
        None if stopped_by is None else str(stopped_by),
        None if resolved is None else resolved.at,
    )


def open_incident(journal: Journal) -> Incident | None:
    """Return the newest incident that is not resolved, or None."""
    for stream in journal.streams(_PREFIX):
        incident = read_incident(journal, stream.removeprefix(_PREFIX))
        if incident.is_open:
            return incident
    return None


def held_back(journal: Journal, scenario: str, last_passed_at: datetime | None) -> Incident | None:
    """Return the incident that a person stopped and that still holds its scenario back.

    Whoever aborts a recovery works by hand; none begins by itself until the component was well
    again in between.
    """
    for stream in journal.streams(_PREFIX):
        incident = read_incident(journal, stream.removeprefix(_PREFIX))
        if incident.scenario != scenario:
            continue
        if incident.stopped_by is None or incident.resolved_at is None:
            return None
        was_well = last_passed_at is not None and last_passed_at > incident.resolved_at
        return None if was_well else incident
    return None
