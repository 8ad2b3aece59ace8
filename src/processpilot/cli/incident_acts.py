"""What people do to an incident from the command line; who did it is left in the journal."""

from __future__ import annotations

from typing import Annotated

import typer

from processpilot.agent.agent import CONTROLLER
from processpilot.cli.frame import (
    DEFAULT_PLAN,
    JsonOption,
    PlanOption,
    note,
    opened,
    out,
    person,
    print_json,
)
from processpilot.cli.run_acts import AsOption, ReasonOption
from processpilot.errors import LockedError, NotFoundError, UsageError
from processpilot.evidence.report import Report, build_report
from processpilot.evidence.versions import versions
from processpilot.incident import people, updates, vendor
from processpilot.incident.begin import find_scenario
from processpilot.incident.cadence import FINAL, FIRST, PROGRESS, DraftDue
from processpilot.incident.duty import Duty, DutyGround
from processpilot.incident.news import draft_by_hand
from processpilot.incident.record import Declaration, open_incidents, read_incident
from processpilot.incident.state import Incident
from processpilot.journal.lease import acquire_lease, holder
from processpilot.plan.alarm import Severity
from processpilot.plan.component import Priority
from processpilot.runbook.history import read_run
from processpilot.wiring.wired import Wired

DUTY = "duty"

IncidentArgument = Annotated[
    str | None, typer.Argument(help="An incident's id; otherwise the newest open one.")
]
IncidentOption = Annotated[
    str | None,
    typer.Option("--incident", help="An incident's id; otherwise the newest open one."),
]


def chosen_incident(wired: Wired, incident_id: str | None) -> str:
    """Return the incident named, or the newest open one; NotFoundError when there is none."""
    if incident_id is not None:
        return read_incident(wired.journal, incident_id).incident_id
    for incident in open_incidents(wired.journal):
        return incident.incident_id
    raise NotFoundError(
        "no incident is open", hint="Run `processpilot incident list` to see them all."
    )


def open_incident(
    title: Annotated[str, typer.Argument(help="What is wrong, in a few words.")],
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    by: AsOption = None,
    severity: Annotated[
        Severity | None, typer.Option("--severity", help="If unsure, the worse one.")
    ] = None,
    scenario: Annotated[
        str | None, typer.Option("--scenario", help="The agent answers with its run.")
    ] = None,
    reason: Annotated[
        list[str] | None, typer.Option("--reason", help="What was seen; may be repeated.")
    ] = None,
) -> None:
    """Open an incident: people are paged by the plan's escalation."""
    with opened(plan, as_json=as_json) as wired:
        found = None if scenario is None else find_scenario(wired.loaded.plan, scenario)
        chosen = severity or (Severity.SEV1 if found is None else found.severity)
        who = by or person()
        declaration = Declaration(
            wired.new_id(), scenario, title.strip(), reason or (), None, chosen, "a person", who
        )
        incident = people.open_by_hand(wired.journal, declaration)
        _done(wired, incident, f"opened by {who}", as_json=as_json)


def acknowledge(
    incident_id: IncidentArgument = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    by: AsOption = None,
) -> None:
    """Say that you look after it: no further level is woken."""
    with opened(plan, as_json=as_json) as wired:
        who = by or person()
        incident = people.acknowledge(wired.journal, chosen_incident(wired, incident_id), who)
        _done(wired, incident, f"acknowledged by {who}", as_json=as_json)


def assign(
    role: Annotated[str, typer.Argument(help="A role of the plan.")],
    to: Annotated[str, typer.Option("--to", help="Who has it from now on.")],
    incident_id: IncidentOption = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    by: AsOption = None,
) -> None:
    """Hand a role over to somebody for the rest of the incident."""
    with opened(plan, as_json=as_json) as wired:
        chosen = chosen_incident(wired, incident_id)
        team = wired.loaded.plan.team
        incident = people.assign(wired.journal, chosen, team, role, to, by=by or person())
        _done(wired, incident, f"{role} is {to} from now on", as_json=as_json)


def note_down(
    text: Annotated[str, typer.Argument(help="What was seen or decided.")],
    incident_id: IncidentOption = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    by: AsOption = None,
) -> None:
    """Add a line to the incident's log."""
    with opened(plan, as_json=as_json) as wired:
        chosen = chosen_incident(wired, incident_id)
        incident = people.note(wired.journal, chosen, text, by or person())
        _done(wired, incident, "noted", as_json=as_json)


def change_severity(
    severity: Annotated[Severity, typer.Argument(help="SEV-1 is worst.")],
    incident_id: IncidentOption = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    by: AsOption = None,
) -> None:
    """Say that it is worse, or less bad, than was thought."""
    with opened(plan, as_json=as_json) as wired:
        chosen = chosen_incident(wired, incident_id)
        incident = people.change_severity(wired.journal, chosen, severity, by or person())
        _done(wired, incident, f"{severity} from now on", as_json=as_json)


def mitigate(
    incident_id: IncidentArgument = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    by: AsOption = None,
    reason: ReasonOption = "",
) -> None:
    """Say that users are no longer affected, though it is not over."""
    with opened(plan, as_json=as_json) as wired:
        chosen = chosen_incident(wired, incident_id)
        incident = people.mitigate(wired.journal, chosen, by or person(), reason)
        _done(wired, incident, "mitigated", as_json=as_json)


def resolve(
    incident_id: IncidentArgument = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    by: AsOption = None,
    reason: ReasonOption = "",
) -> None:
    """End an incident, for a reason; stakeholders get the last update."""
    with opened(plan, as_json=as_json) as wired:
        chosen = chosen_incident(wired, incident_id)
        incident = people.resolve_by_hand(wired.journal, chosen, by or person(), reason)
        _done(wired, incident, f"resolved: {reason}", as_json=as_json)


def update(
    incident_id: IncidentOption = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    by: AsOption = None,
    text: Annotated[
        str | None, typer.Option("--text", help="Your own words, new or in place of a draft's.")
    ] = None,
    approve: Annotated[
        str | None, typer.Option("--approve", help="Have this draft sent, as u1.")
    ] = None,
    refuse: Annotated[
        str | None, typer.Option("--refuse", help="Keep this draft from being sent.")
    ] = None,
    reason: ReasonOption = "",
) -> None:
    """Tell stakeholders something, or decide on a draft that waits."""
    if (approve is not None) + (refuse is not None) > 1 or (refuse is not None and text):
        raise typer.BadParameter("give one of --approve, --refuse or --text")
    with opened(plan, as_json=as_json) as wired:
        chosen, who = chosen_incident(wired, incident_id), by or person()
        journal, document = wired.journal, wired.loaded.plan
        if approve is not None:
            found = updates.approve(journal, document, chosen, approve, by=who, text=text)
            done = f"update {approve} approved"
        elif refuse is not None:
            found = updates.refuse(journal, document, chosen, refuse, by=who, reason=reason)
            done = f"update {refuse} refused"
        else:
            found = _own_words(wired, read_incident(journal, chosen), text, who)
            done = f"update {found.updates[-1].update_id} drafted"
        _done(wired, found, done, as_json=as_json)


def call_vendor(
    vendor_id: Annotated[str, typer.Argument(help="A vendor of the plan.")],
    incident_id: IncidentOption = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    by: AsOption = None,
    ask: Annotated[str | None, typer.Option("--ask", help="What to ask of them.")] = None,
    severity: Annotated[
        Priority, typer.Option("--severity", help="Which promise of theirs counts.")
    ] = Priority.HIGH,
    answered: Annotated[str | None, typer.Option("--answered", help="What they said.")] = None,
) -> None:
    """Ask a vendor for help, or write down that they answered."""
    if (ask is None) == (answered is None):
        raise typer.BadParameter("give one of --ask TEXT or --answered TEXT")
    with opened(plan, as_json=as_json) as wired:
        chosen, who = chosen_incident(wired, incident_id), by or person()
        if answered is not None:
            found = vendor.answered(wired.journal, chosen, vendor_id, who, answered)
            _done(wired, found, f"{vendor_id} has answered", as_json=as_json)
            return
        number = len(read_incident(wired.journal, chosen).vendors) + 1
        request = vendor.VendorRequest(f"c{number}", vendor_id, severity, str(ask), who)
        found = vendor.ask(wired.journal, chosen, wired.loaded.plan, request)
        _done(wired, found, f"{vendor_id} is asked", as_json=as_json)


def do_what_is_due(wired: Wired) -> bool:
    """Send what is due from here when no agent does; return whether this process did."""
    if holder(CONTROLLER, wired.locks) is not None:
        return False
    try:
        with acquire_lease(wired.journal, DUTY, wired.locks):
            duty = Duty(duty_ground(wired))
            try:
                duty.fetch_calendars()
                duty.settle()
            finally:
                duty.close()
    except LockedError:
        return False  # Another command is at it.
    return True


def duty_ground(wired: Wired) -> DutyGround:
    """Return what the duty works with; without a server of the agent there are no links."""

    def report_of(run_id: str) -> Report:
        return build_report(read_run(wired.journal, run_id), versions(None))

    return DutyGround(wired.journal, wired.loaded, wired.clock, wired.new_id, report_of=report_of)


def _own_words(wired: Wired, incident: Incident, text: str | None, who: str) -> Incident:
    if text is None:
        waiting = [one.update_id for one in incident.updates if one.is_pending]
        named = f"--approve {waiting[0]} or --refuse {waiting[0]}" if waiting else "--text TEXT"
        raise UsageError("nothing is said about which update", hint=f"Give {named}.")
    now = wired.clock.now()
    kind = PROGRESS if incident.updates else FIRST
    due = DraftDue(kind if incident.is_open else FINAL, now, now)
    return draft_by_hand(wired.journal, wired.loaded.plan, incident, due, text, who)


def _done(wired: Wired, incident: Incident, done: str, *, as_json: bool) -> None:
    """Say what was done; what follows from it at once is sent by the agent, or from here."""
    from_here = do_what_is_due(wired)
    if as_json:
        print_json({"incident": incident.incident_id, "done": done})
        return
    out(f"incident {incident.incident_id}: {done}")
    if from_here and incident.is_open:
        note("No agent runs: what is due now was sent, later levels sleep until `processpilot up`.")


_NAMES = {
    "open_incident": "open",
    "note_down": "note",
    "change_severity": "severity",
    "call_vendor": "vendor",
}
_ACTS = (
    open_incident,
    acknowledge,
    assign,
    note_down,
    change_severity,
    update,
    call_vendor,
    mitigate,
    resolve,
)


def register(app: typer.Typer) -> None:
    """Add every act to the commands of `incident`."""
    for act in _ACTS:
        app.command(_NAMES.get(act.__name__, act.__name__))(act)
