"""`processpilot page test`: the way a real page goes, tried while nothing is wrong."""

from __future__ import annotations

from typing import Annotated

import typer

from processpilot.cli.exits import NOT_WELL
from processpilot.cli.frame import (
    DEFAULT_PLAN,
    JsonOption,
    PlanOption,
    opened,
    out,
    person,
    print_json,
)
from processpilot.errors import NotFoundError, RefusedError, UsageError
from processpilot.incident.called import Moment, Reached, ordered_levels, people_of, reach
from processpilot.incident.paging import sender, test_pages, write_tested
from processpilot.oncall.feed import Feeds
from processpilot.oncall.roster import roster_of
from processpilot.wiring.wired import Wired

app = typer.Typer(help="Pages: the messages that wake people.", no_args_is_help=True)


@app.callback()
def _pages() -> None:
    pass


@app.command()
def test(
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    who: Annotated[str | None, typer.Option("--who", help="A person of the team.")] = None,
    role: Annotated[str | None, typer.Option("--role", help="Whoever is on call for it.")] = None,
    level: Annotated[
        int | None, typer.Option("--level", min=1, help="Whom this level wakes; otherwise level 1.")
    ] = None,
) -> None:
    """Send a page marked as a test over every channel of those meant; status 1 if one fails."""
    if sum(one is not None for one in (who, role, level)) > 1:
        raise typer.BadParameter("give one of --who, --role or --level")
    with opened(plan, as_json=as_json) as wired:
        meant = _meant(wired, who, role, level or 1)
        tested = test_pages(wired.loaded, meant, sender(wired.loaded, wired.clock), wired.clock)
        write_tested(wired.journal, tested, person())
    arrived = all(one.delivery.delivered for one in tested)
    if as_json:
        print_json({"all_delivered": arrived, "deliveries": tested})
    else:
        for one in tested:
            detail = f": {one.delivery.detail}" if one.delivery.detail else ""
            ending = "delivered" if one.delivery.delivered else f"NOT DELIVERED{detail}"
            over = f" over {one.delivery.channel}" if one.delivery.channel else ""
            out(f"{one.who}{over}: {ending}")
    if not arrived:
        raise typer.Exit(NOT_WELL)


def _meant(wired: Wired, who: str | None, role: str | None, number: int) -> tuple[Reached, ...]:
    document = wired.loaded.plan
    if who is not None:
        found = reach(document, who)
        if not found.channels and who not in {one.name for one in document.team.people}:
            known = ", ".join(one.name for one in document.team.people) or "nobody"
            raise NotFoundError(f'the team has no "{who}"; it has: {known}')
        return (found,)
    roster = roster_of(document.team, Feeds(wired.loaded, wired.clock).fetched())
    now = wired.clock.now()
    if role is not None:
        call = roster.on_call(role, now)
        name = call.primary or call.secondary
        if name is None:
            raise RefusedError(f"nobody fills the role {role}")
        return (reach(document, name),)
    levels = ordered_levels(document.team)
    if number > len(levels):
        raise UsageError(
            f"the plan has {len(levels)} escalation levels, and no level {number}",
            hint="Name a person with --who, or add levels to team.escalation.",
        )
    return people_of(levels[number - 1], document, roster, Moment(now, {}))
