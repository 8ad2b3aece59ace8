"""Incidents in the journal: declared, answered by a run, resolved, found again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from processpilot.errors import NotFoundError
from processpilot.incident.state import PREFIX, Incident, Kind, fold
from processpilot.journal.event import JsonValue
from processpilot.journal.journal import Journal
from processpilot.plan.alarm import Severity

# Whether a scenario is held back is decided by the newest incidents only.
_LOOKED_AT = 50


@dataclass(frozen=True, slots=True)
class Declaration:
    """What is known when an incident is declared; `scenario` None: no run answers it by itself.

    `by` names the person, where it was one.
    """

    incident_id: str
    scenario: str | None
    title: str
    reasons: Sequence[str]
    last_passed_at: datetime | None
    severity: Severity = Severity.SEV1
    source: str = "probes"
    by: str | None = None


def declare(journal: Journal, declaration: Declaration) -> Incident:
    """Write down a new incident."""
    last = declaration.last_passed_at
    journal.append(
        f"{PREFIX}{declaration.incident_id}",
        Kind.DECLARED,
        {
            "scenario": declaration.scenario,
            "title": declaration.title,
            "severity": str(declaration.severity),
            "source": declaration.source,
            "by": declaration.by,
            "reasons": list(declaration.reasons),
            "last_passed_at": None if last is None else last.isoformat(),
        },
        expected_sequence=1,
    )
    return read_incident(journal, declaration.incident_id)


def write(
    journal: Journal,
    incident: Incident,
    kind: Kind,
    data: Mapping[str, JsonValue],
    *,
    exact: bool = True,
) -> Incident:
    """Append one event and return the state after it.

    LockedError when somebody else wrote since `incident` was read, unless it need not be `exact`.
    """
    expected = incident.sequence + 1 if exact else None
    journal.append(f"{PREFIX}{incident.incident_id}", kind, data, expected_sequence=expected)
    return read_incident(journal, incident.incident_id)


def answer(journal: Journal, incident: Incident, run_id: str) -> None:
    """Write down which run answers an incident."""
    write(journal, incident, Kind.ANSWERED, {"run_id": run_id}, exact=False)


def resolve(
    journal: Journal, incident: Incident, resolution: str, *, stopped_by: str | None = None
) -> None:
    """Write down how an incident ended: the run's verdict, or why no run was needed.

    `stopped_by` names the person who ended the run before it was done.
    """
    data: dict[str, JsonValue] = {"resolution": resolution, "stopped_by": stopped_by}
    write(journal, incident, Kind.RESOLVED, data, exact=False)


def read_incident(journal: Journal, incident_id: str) -> Incident:
    """Return an incident's state; NotFoundError when there is none of that id."""
    events = journal.read(f"{PREFIX}{incident_id}")
    if not events:
        raise NotFoundError(
            f"there is no incident {incident_id}",
            hint="Run `processpilot incident list` to see them.",
        )
    return fold(incident_id, events)


def open_incidents(journal: Journal) -> tuple[Incident, ...]:
    """Return the incidents that are not resolved, the one with the newest event first."""
    streams = journal.open_streams(Kind.DECLARED, Kind.RESOLVED)
    return tuple(read_incident(journal, stream.removeprefix(PREFIX)) for stream in streams)


def open_incident(journal: Journal) -> Incident | None:
    """Return the newest open incident that a scenario answers, or None."""
    found = (one for one in open_incidents(journal) if one.scenario is not None)
    return next(found, None)


def newest_incidents(journal: Journal, count: int) -> tuple[Incident, ...]:
    """Return at most `count` incidents, the one with the newest event first."""
    streams = journal.newest_streams(PREFIX, count)
    return tuple(read_incident(journal, stream.removeprefix(PREFIX)) for stream in streams)


def held_back(journal: Journal, scenario: str, last_passed_at: datetime | None) -> Incident | None:
    """Return the incident that a person stopped and that still holds its scenario back.

    Whoever aborts a recovery works by hand; none begins by itself until the component was well
    again in between.
    """
    for incident in newest_incidents(journal, _LOOKED_AT):
        if incident.scenario != scenario:
            continue
        if incident.stopped_by is None or incident.resolved_at is None:
            return None
        was_well = last_passed_at is not None and last_passed_at > incident.resolved_at
        return None if was_well else incident
    return None
