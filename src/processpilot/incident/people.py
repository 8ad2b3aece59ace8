"""What people do to an incident, from any process.

Each act is judged against the incident as it is and written at exactly that place in its stream, so
that two people at once cannot both be followed. What concerns the incident's open run too is
written there as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

from processpilot.errors import LockedError, NotFoundError, RefusedError, UsageError
from processpilot.incident.record import Declaration, declare, read_incident, write
from processpilot.incident.state import Incident, Kind
from processpilot.journal.event import JsonValue
from processpilot.journal.journal import Journal
from processpilot.plan.alarm import Severity
from processpilot.plan.team import Team
from processpilot.runbook import people as run_people
from processpilot.runbook.history import read_run
from processpilot.runbook.people import Person

_TRIES = 8
Entry = tuple[Kind, Mapping[str, JsonValue]]


def open_by_hand(journal: Journal, declaration: Declaration) -> Incident:
    """Declare an incident because a person says so."""
    if not declaration.title.strip():
        raise UsageError("an incident needs a title", hint="Say in a few words what is wrong.")
    return declare(journal, declaration)


def acknowledge(journal: Journal, incident_id: str, by: str, how: str = "command") -> Incident:
    """Write down that somebody looks after it: no further level is woken.

    `how` is command, link, reply or run. The incident's open run is acknowledged, too.
    """

    def entry(incident: Incident) -> Entry:
        _must_be_open(incident)
        if incident.acknowledged_by is not None:
            raise RefusedError(
                f"{incident.acknowledged_by} has acknowledged incident {incident_id}",
                hint=f"Run `processpilot incident show {incident_id}` to see where it stands.",
            )
        return Kind.ACKNOWLEDGED, {"by": by, "how": how}

    incident = decided(journal, incident_id, entry)
    acknowledge_run(journal, incident)
    return incident


def acknowledge_run(journal: Journal, incident: Incident) -> None:
    """Have an acknowledged incident's run acknowledged; one that is, or is over, stays as it is."""
    if incident.run_id is not None and incident.acknowledged_by is not None:
        person = Person(journal, incident.run_id, incident.acknowledged_by)
        with suppress(RefusedError, NotFoundError):
            run_people.acknowledge(person)


def assign(
    journal: Journal, incident_id: str, team: Team, role: str, to: str, *, by: str
) -> Incident:
    """Hand a role over for the rest of the incident, and of its open run."""
    if role not in {one.id for one in team.roles}:
        known = ", ".join(one.id for one in team.roles) or "none"
        raise NotFoundError(f'the plan has no role "{role}"; it has: {known}')
    if not to.strip():
        raise UsageError("a role is handed over to somebody", hint="Name them with --to NAME.")

    def entry(incident: Incident) -> Entry:
        _must_be_open(incident)
        return Kind.ASSIGNED, {"role": role, "to": to, "by": by}

    incident = decided(journal, incident_id, entry)
    if incident.run_id is not None:
        with suppress(RefusedError, NotFoundError):
            run_people.hand_over(Person(journal, incident.run_id, by, team), role, to)
    return incident


def note(journal: Journal, incident_id: str, text: str, by: str) -> Incident:
    """Add words to the log; also after the end."""
    if not text.strip():
        raise UsageError("a note without words")
    return decided(journal, incident_id, lambda _: (Kind.NOTED, {"by": by, "text": text.strip()}))


def change_severity(journal: Journal, incident_id: str, severity: Severity, by: str) -> Incident:
    """Say that it is worse, or less bad, than was thought."""

    def entry(incident: Incident) -> Entry:
        _must_be_open(incident)
        if incident.severity is severity:
            raise RefusedError(f"incident {incident_id} is {severity} already")
        data = {"severity": str(severity), "was": str(incident.severity), "by": by}
        return Kind.SEVERITY_CHANGED, data

    return decided(journal, incident_id, entry)


def mitigate(journal: Journal, incident_id: str, by: str, reason: str) -> Incident:
    """Say that users are no longer affected, though it is not over."""

    def entry(incident: Incident) -> Entry:
        _must_be_open(incident)
        if incident.mitigated_at is not None:
            raise RefusedError(
                f"incident {incident_id} was mitigated at {incident.mitigated_at:%H:%M:%S} UTC"
            )
        return Kind.MITIGATED, {"by": by, "reason": reason}

    return decided(journal, incident_id, entry)


def resolve_by_hand(journal: Journal, incident_id: str, by: str, reason: str) -> Incident:
    """End an incident; one whose run is open ends with its run."""
    if not reason.strip():
        raise UsageError("an incident is resolved for a reason", hint="Give it with --reason TEXT.")

    def entry(incident: Incident) -> Entry:
        _must_be_open(incident)
        if incident.run_id is not None and not read_run(journal, incident.run_id).is_finished:
            raise RefusedError(
                f"run {incident.run_id} answers incident {incident_id} and is not finished",
                hint=f"Finish it, or end it with `processpilot run abort {incident.run_id}`.",
            )
        if incident.run_id is None and incident.scenario is not None:
            # The component's probes may still fail: none begins anew before it was well in between.
            return Kind.RESOLVED, {"resolution": reason.strip(), "by": by, "stopped_by": by}
        return Kind.RESOLVED, {"resolution": reason.strip(), "by": by, "stopped_by": None}

    return decided(journal, incident_id, entry)


def decided(journal: Journal, incident_id: str, entry: Callable[[Incident], Entry]) -> Incident:
    """Write what `entry` makes of the incident; where somebody wrote first, it is judged anew."""
    for left in reversed(range(_TRIES)):
        incident = read_incident(journal, incident_id)
        kind, data = entry(incident)
        try:
            return write(journal, incident, kind, data)
        except LockedError:
            if left == 0:
                raise
    raise AssertionError("unreachable")


def _must_be_open(incident: Incident) -> None:
    if not incident.is_open:
        raise RefusedError(
            f"incident {incident.incident_id} is resolved: {incident.resolution}",
            hint="Run `processpilot incident list` to see which are open.",
        )
