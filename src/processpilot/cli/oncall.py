"""`processpilot oncall`: who is on call now, who is next, and the same for calendars."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from processpilot.cli.frame import (
    DEFAULT_PLAN,
    JsonOption,
    PlanOption,
    note,
    opened,
    out,
    print_json,
    table,
)
from processpilot.errors import UsageError
from processpilot.incident.record import open_incidents
from processpilot.oncall.export import calendar_text
from processpilot.oncall.feed import Feeds
from processpilot.oncall.roster import OnCall, Roster, roster_of
from processpilot.wiring.wired import Wired

app = typer.Typer(help="Who is on call.", no_args_is_help=True)

_AHEAD = timedelta(days=60)


@app.command()
def show(
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    at: Annotated[
        str | None, typer.Option("--at", help="A moment, as 2026-11-26T03:00; UTC without a zone.")
    ] = None,
) -> None:
    """Show who is on call for each role, now or at another moment."""
    with opened(plan, as_json=as_json) as wired:
        moment = wired.clock.now() if at is None else _moment(at)
        roster = _roster(wired)
        # What was handed over counts for the incident that is open now, not for other times.
        handed = next((one.roles for one in open_incidents(wired.journal)), {}) if not at else {}
        found = [roster.on_call(role.id, moment, handed) for role in roster.team.roles]
    if as_json:
        print_json({"at": moment, "on_call": found})
        return
    out(f"at {moment:%Y-%m-%d %H:%M} UTC")
    head = ("ROLE", "PRIMARY", "SECONDARY", "BY", "UNTIL (UTC)")
    table([_row(one) for one in found], head)
    for one in found:
        if one.warning is not None:
            note(f"{one.role}: {one.warning}")


@app.command("next")
def show_next(plan: PlanOption = DEFAULT_PLAN, as_json: JsonOption = False) -> None:
    """Show the next turn of each role that has a rotation."""
    with opened(plan, as_json=as_json) as wired:
        roster, now = _roster(wired), wired.clock.now()
        rows = []
        for role in roster.team.roles:
            turns = () if role.rotation is None else roster.turns(role.id, now, now + _AHEAD)
            following = next((turn for turn in turns if turn.begin_at > now), None)
            if role.rotation is not None:
                rows.append((role.id, following))
    if as_json:
        print_json({"next": [{"role": role, "turn": turn} for role, turn in rows]})
        return
    for role_id, turn in rows:
        if turn is None:
            out(f"{role_id}: nobody within {_AHEAD.days} days")
        else:
            begin, end = f"{turn.begin_at:%Y-%m-%d %H:%M}", f"{turn.end_at:%Y-%m-%d %H:%M}"
            out(f"{role_id}: {turn.person} from {begin} to {end} UTC")
    if not rows:
        out("no role has a rotation")


@app.command()
def export(
    plan: PlanOption = DEFAULT_PLAN,
    role: Annotated[str | None, typer.Option("--role", help="Only this role.")] = None,
    weeks: Annotated[int, typer.Option("--weeks", min=1, max=520, help="How far ahead.")] = 12,
) -> None:
    """Print the turns as an iCal file."""
    with opened(plan, as_json=False) as wired:
        roster, now = _roster(wired), wired.clock.now().replace(microsecond=0)
        roles = [role] if role is not None else [one.id for one in roster.team.roles]
        text = calendar_text(roster, roles, now, now + timedelta(weeks=weeks))
    typer.echo(text.decode(), nl=False)


def _roster(wired: Wired) -> Roster:
    return roster_of(wired.loaded.plan.team, Feeds(wired.loaded, wired.clock).fetched())


def _row(one: OnCall) -> tuple[str, ...]:
    until = "" if one.until is None else f"{one.until:%Y-%m-%d %H:%M}"
    return one.role, one.primary or "nobody", one.secondary or "nobody", one.source, until


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f'"{text}" is no moment', hint="Write it as 2026-11-26T03:00 or 2026-11-26T03:00+01:00."
        ) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
