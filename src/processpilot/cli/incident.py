"""`processpilot incident`: what there is to see of incidents. What people do is `incident_acts`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer

from processpilot.cli import incident_acts
from processpilot.cli.frame import (
    DEFAULT_PLAN,
    JsonOption,
    PlanOption,
    opened,
    out,
    print_json,
    table,
)
from processpilot.cli.incident_acts import IncidentArgument
from processpilot.cli.review import review
from processpilot.cli.waiting import answer_to
from processpilot.errors import NotFoundError
from processpilot.incident.cadence import is_late
from processpilot.incident.policy import policy_of, run_of
from processpilot.incident.record import newest_incidents, open_incidents, read_incident
from processpilot.incident.state import PREFIX, Incident
from processpilot.incident.timeline import event_words
from processpilot.incident.upcoming import Upcoming, upcoming
from processpilot.incident.update_text import spoken
from processpilot.oncall.feed import Feeds
from processpilot.oncall.roster import roster_of
from processpilot.runbook.decide import waits_of
from processpilot.runbook.words import event_json
from processpilot.wiring.wired import Wired

app = typer.Typer(help="Incidents: who knows, who is told, what is due.", no_args_is_help=True)
incident_acts.register(app)
app.command("review")(review)

LimitOption = Annotated[int, typer.Option("--limit", min=1, help="At most so many, newest first.")]
# What an incident keeps to recognise what comes in again; nobody reads it.
_INTERNAL = ("episodes", "groups", "topics")


@app.command("list")
def list_incidents(
    plan: PlanOption = DEFAULT_PLAN, as_json: JsonOption = False, limit: LimitOption = 50
) -> None:
    """List the incidents, the one with the newest event first."""
    with opened(plan, as_json=as_json) as wired:
        found = newest_incidents(wired.journal, limit + 1)
    if as_json:
        rows = [incident_json(one) for one in found[:limit]]
        print_json({"incidents": rows, "more": len(found) > limit})
        return
    rows_shown = [
        (
            one.incident_id,
            str(one.severity),
            f"{one.declared_at:%Y-%m-%d %H:%M:%S}",
            one.acknowledged_by or "nobody",
            one.resolution or "open",
            one.title,
        )
        for one in found[:limit]
    ]
    head = ("INCIDENT", "SEVERITY", "DECLARED (UTC)", "ACKNOWLEDGED BY", "STATE", "TITLE")
    table(rows_shown, head)
    if len(found) > limit:
        out(f"There are older ones: --limit {limit * 10}")


@app.command()
def show(
    incident_id: IncidentArgument = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
) -> None:
    """Show an incident: its log, who was paged and whether it arrived, and what is due next."""
    with opened(plan, as_json=as_json) as wired:
        incident = read_incident(wired.journal, incident_id or _newest(wired))
        events = wired.journal.read(f"{PREFIX}{incident.incident_id}")
        now = wired.clock.now()
        coming = _upcoming(wired, incident, now)
        run = run_of(wired.journal, incident)
    if as_json:
        shown = [event_json(event) for event in events]
        print_json({"incident": incident_json(incident), "upcoming": coming, "events": shown})
        return
    _print_head(incident)
    for event in events:
        out(f"  {event.at:%Y-%m-%d %H:%M:%S}  {event_words(event)}")
    _print_pages(incident)
    if run is not None:
        for wait in waits_of(run):
            out(f"the run waits: {wait.text}: {answer_to(run, wait)}")
    _print_drafts(incident, now)
    _print_coming(coming, now)
    if incident.is_open and not wired.loaded.plan.team.escalation:
        out("nobody is paged: the plan has no team.escalation")
    if incident.is_open and not wired.loaded.plan.updates.channels:
        out("stakeholders are told nothing: the plan has no updates.channels")


def incident_json(incident: Incident) -> dict[str, Any]:
    """Return an incident as `--json` shows it."""
    return {name: value for name, value in asdict(incident).items() if name not in _INTERNAL}


def _upcoming(wired: Wired, incident: Incident, now: datetime) -> tuple[Upcoming, ...]:
    document = wired.loaded.plan
    roster = roster_of(document.team, Feeds(wired.loaded, wired.clock).kept())
    policy = policy_of(document, roster, incident, run_of(wired.journal, incident))
    return upcoming(incident, policy, now)


def _print_head(incident: Incident) -> None:
    state = f"resolved: {incident.resolution}" if incident.resolution else "open"
    out(f"incident {incident.incident_id}: {incident.title}, {incident.severity}, {state}")
    by = incident.acknowledged_by
    out(f"  {'nobody has acknowledged' if by is None else f'acknowledged by {by}'}")
    for role, holder in incident.roles.items():
        out(f"  {role}: {holder}")
    if incident.run_id is not None:
        out(f"  run {incident.run_id}: processpilot run show {incident.run_id}")


def _print_pages(incident: Incident) -> None:
    """Say of everybody who was to be paged whether anything arrived."""
    arrived: dict[str, bool] = {}
    for page in incident.pages:
        arrived[page.who] = arrived.get(page.who, False) or page.delivered
    for who, reached in arrived.items():
        out(f"{who}: {'reached' if reached else 'NOT REACHED by any channel'}")


def _print_drafts(incident: Incident, now: datetime) -> None:
    for update in incident.updates:
        if update.is_pending:
            late = ", LATE" if is_late(update, now) else ""
            out(f"update {update.update_id} waits for approval{late}:")
            for line in update.text.splitlines():
                out(f"    {line}")
            out(f"  processpilot incident update --approve {update.update_id}")


def _print_coming(coming: tuple[Upcoming, ...], now: datetime) -> None:
    for one in coming:
        left_s = (one.at - now).total_seconds()
        when = f"in {spoken(left_s)}" if left_s >= 0 else f"{spoken(-left_s)} ago"
        out(f"{'OVERDUE' if one.overdue else 'next'}: {one.at:%H:%M:%S} UTC ({when}): {one.text}")


def _newest(wired: Wired) -> str:
    """Return the newest open incident, otherwise the newest of all."""
    for incident in (*open_incidents(wired.journal), *newest_incidents(wired.journal, 1)):
        return incident.incident_id
    raise NotFoundError(
        "there is no incident yet", hint="Open one with `processpilot incident open TITLE`."
    )
