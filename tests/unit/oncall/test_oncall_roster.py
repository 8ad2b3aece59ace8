"""Who is on call: the plan, its rotations, and what was handed over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from incident_plans import BEGIN, staffed_text
from plan_text import PATH

from processpilot.errors import NotFoundError, UsageError
from processpilot.oncall.calendar import read_calendar
from processpilot.oncall.feed import KeptCalendar
from processpilot.oncall.roster import OnCall, Roster, roster_of
from processpilot.oncall.weekly import weekly_shifts
from processpilot.plan.load import parse_plan
from processpilot.plan.team import WeeklyRotation

TEAM = """\
team:
  people: [{name: Ada, accounts: [ada]}, {name: Ben}, {name: Cleo}]
  rotations:
    - {id: cal, kind: calendar, source: x.ics}
    - {id: days, kind: weekly, people: [Ada], begin: 2026-01-05}
  roles:
    - {id: dba, title: DBA, rotation: cal, primary: Cleo, secondary: Ada}
    - {id: commander, title: Commander, primary: Ben, secondary: Ada}
    - {id: press, title: Press, rotation: days}
"""


def calendar(*rows: tuple[str, int, int]) -> KeptCalendar:
    """Return a calendar: who, from which hour to which, from the beginning on."""
    events = "".join(
        f"BEGIN:VEVENT\r\nSUMMARY:{who}\r\nDTSTART:{BEGIN + timedelta(hours=a):%Y%m%dT%H%M%SZ}\r\n"
        f"DTEND:{BEGIN + timedelta(hours=b):%Y%m%dT%H%M%SZ}\r\nEND:VEVENT\r\n"
        for who, a, b in rows
    )
    text = f"BEGIN:VCALENDAR\r\n{events}END:VCALENDAR\r\n"
    return KeptCalendar(read_calendar(text, "UTC"), BEGIN, None)


def roster(kept: KeptCalendar) -> Roster:
    """Return the roster with that calendar."""
    return roster_of(parse_plan(staffed_text(team=TEAM), PATH).plan.team, {"cal": kept})


def test_whoever_the_calendar_names_is_primary_and_the_next_one_secondary() -> None:
    """By name however it is written, or by account; the same person again is not the next."""
    found = roster(calendar(("ada", 0, 5), ("ADA", 5, 6), ("Ben", 6, 9))).on_call("dba", BEGIN)
    assert found == OnCall("dba", "Ada", "Ben", "rotation cal", BEGIN + timedelta(hours=5))


def test_an_exception_lies_over_the_rule() -> None:
    """Where events overlap, the one that began last counts."""
    kept = calendar(("Ada", -48, 48), ("Ben", -1, 1))
    assert roster(kept).on_call("dba", BEGIN).primary == "Ben"
    assert roster(kept).on_call("dba", BEGIN + timedelta(hours=2)).primary == "Ada"


def test_where_the_rotation_has_nobody_the_role_itself_counts() -> None:
    """And that is said, also when there is no calendar at all."""
    found = roster(calendar(("Ada", 5, 6))).on_call("dba", BEGIN)
    assert (found.primary, found.secondary, found.source) == ("Cleo", "Ada", "plan")
    assert "rotation cal has nobody" in str(found.warning)
    found = roster(KeptCalendar(None, None, "there is no copy")).on_call("dba", BEGIN)
    assert found.primary == "Cleo" and "there is no copy" in str(found.warning)


def test_one_person_alone_has_nobody_after_them() -> None:
    """Their next turn is no secondary."""
    found = roster(calendar()).on_call("press", BEGIN)
    assert (found.primary, found.secondary) == ("Ada", None)


def test_what_was_handed_over_wins() -> None:
    """Whoever would be on call is then the secondary."""
    handed = {"commander": "ada", "dba": "Cleo"}
    found = roster(calendar(("Ben", -1, 1))).on_call("commander", BEGIN, handed)
    assert (found.primary, found.secondary, found.source) == ("Ada", "Ben", "handed over")
    found = roster(calendar(("Cleo", -1, 1), ("Ben", 1, 2))).on_call("dba", BEGIN, handed)
    assert (found.primary, found.secondary) == ("Cleo", "Ben")


def test_an_unknown_role_is_told_with_those_there_are() -> None:
    """As everywhere."""
    with pytest.raises(NotFoundError, match="it has: dba, commander, press"):
        roster(calendar()).on_call("nobody", BEGIN)


def test_a_turn_that_the_clocks_leave_out_or_double_is_one_turn() -> None:
    """Half past two in Berlin on both Sundays."""
    rotation = WeeklyRotation(
        kind="weekly",
        id="days",
        people=("Ada", "Ben"),
        begin=datetime(2026, 3, 1).date(),  # noqa: DTZ001
        weekday=6,
        at="02:30",
        timezone="Europe/Berlin",
    )
    shifts = weekly_shifts(rotation)
    begins = {s.begin_at for s in shifts(BEGIN - timedelta(days=300), BEGIN)}
    assert datetime(2026, 3, 29, 1, 30, tzinfo=UTC) in begins
    assert datetime(2026, 10, 25, 0, 30, tzinfo=UTC) in begins


def test_a_rotation_in_no_known_zone_is_refused() -> None:
    """With an example of how zones are written."""
    rotation = WeeklyRotation(kind="weekly", id="x", people=("Ada",), begin=BEGIN.date())
    rotation = rotation.model_copy(update={"timezone": "Berlin"})
    with pytest.raises(UsageError, match="Berlin"):
        weekly_shifts(rotation)


def test_a_rotation_that_cannot_be_used_leaves_the_roles_own_people() -> None:
    """Nobody stays asleep because this machine does not know a zone that another one knew."""
    team = parse_plan(staffed_text(team=TEAM), PATH).plan.team
    rotations = tuple(r.model_copy(update={"timezone": "Berlin"}) for r in team.rotations)
    team = team.model_copy(update={"rotations": rotations})
    found = roster_of(team, {}).on_call("press", BEGIN)
    assert found.primary is None and "is no time zone" in str(found.warning)
