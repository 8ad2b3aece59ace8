"""Rotations: at every moment exactly one person, in turn, and calendars say the same."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from processpilot.oncall.calendar import read_calendar
from processpilot.oncall.export import calendar_text
from processpilot.oncall.roster import Roster
from processpilot.oncall.weekly import weekly_shifts
from processpilot.plan.team import Role, Team, WeeklyRotation

_ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
_WEEK = timedelta(days=7)


@st.composite
def rotations(draw: st.DrawFn) -> WeeklyRotation:
    """Give a rotation of one to four people."""
    return WeeklyRotation(
        kind="weekly",
        id="days",
        people=tuple(f"person {n}" for n in range(draw(st.integers(1, 4)))),
        begin=draw(st.dates(date(2020, 1, 1), date(2030, 1, 1))),
        weekday=draw(st.integers(0, 6)),
        at=f"{draw(st.integers(0, 23)):02d}:{draw(st.integers(0, 59)):02d}",
        timezone=draw(st.sampled_from(_ZONES)),
    )


_after = st.timedeltas(timedelta(days=8), timedelta(days=3000))


@given(rotations(), _after)
def test_exactly_one_person_is_on_call(rotation: WeeklyRotation, after: timedelta) -> None:
    """One turn covers each moment, and the next begins where it ends."""
    at = datetime.combine(rotation.begin, time(), UTC) + after
    shifts = weekly_shifts(rotation)
    (now,) = [shift for shift in shifts(at, at + timedelta(seconds=1)) if shift.covers(at)]
    (following,) = shifts(now.end_at, now.end_at + timedelta(seconds=1))
    assert following.begin_at == now.end_at
    place = rotation.people.index(now.person)
    assert following.person == rotation.people[(place + 1) % len(rotation.people)]
    # No clock is changed by more than an hour in these zones.
    assert abs(now.end_at - now.begin_at - _WEEK) <= timedelta(hours=1)


@given(rotations(), _after)
def test_the_turn_changes_at_its_local_time(rotation: WeeklyRotation, after: timedelta) -> None:
    """Summer and winter; only a time that the clock change leaves out is shifted."""
    at = datetime.combine(rotation.begin, time(), UTC) + after
    zone = ZoneInfo(rotation.timezone)
    for shift in weekly_shifts(rotation)(at, at + 60 * _WEEK):
        local = shift.begin_at.astimezone(zone)
        wanted = datetime.combine(local.date(), time.fromisoformat(rotation.at), zone)
        exists = wanted.astimezone(UTC).astimezone(zone).time() == wanted.time()
        if exists:
            assert (local.weekday(), f"{local:%H:%M}") == (rotation.weekday, rotation.at)


@given(rotations())
def test_before_its_begin_nobody_is_on_call(rotation: WeeklyRotation) -> None:
    """The first turn is the one whose week `begin` lies in, and the first person's."""
    begin = datetime.combine(rotation.begin, time(), UTC)
    first, *_ = weekly_shifts(rotation)(begin - 10 * _WEEK, begin + 10 * _WEEK)
    assert first.person == rotation.people[0]
    local = first.begin_at.astimezone(ZoneInfo(rotation.timezone)).date()
    assert timedelta(0) <= rotation.begin - local < _WEEK


@given(rotations(), _after)
def test_what_is_exported_reads_back(rotation: WeeklyRotation, after: timedelta) -> None:
    """As a rotation by calendar, the export has the same turns."""
    begin = (datetime.combine(rotation.begin, time(), UTC) + after).replace(microsecond=0)
    end = begin + 6 * _WEEK
    shifts = weekly_shifts(rotation)
    role = Role(id="dba", title="DBA", rotation="days")
    roster = Roster(Team(roles=(role,), rotations=(rotation,)), {"days": shifts})
    text = calendar_text(roster, ["dba"], begin, end).decode()
    assert read_calendar(text, "UTC").shifts(begin, end) == shifts(begin, end)


@given(rotations(), _after)
def test_a_repeated_event_is_a_weekly_turn(rotation: WeeklyRotation, after: timedelta) -> None:
    """One event for each person, every so many weeks, in the zone's own time."""
    count = len(rotation.people)
    first = rotation.begin - timedelta(days=(rotation.begin.weekday() - rotation.weekday) % 7)
    at = time.fromisoformat(rotation.at)
    events = []
    for n, person in enumerate(rotation.people):
        local = datetime.combine(first + n * _WEEK, at)
        begin, end = f"{local:%Y%m%dT%H%M%S}", f"{local + _WEEK:%Y%m%dT%H%M%S}"
        zone = f";TZID={rotation.timezone}"
        events.append(
            f"BEGIN:VEVENT\r\nUID:{n}\r\nSUMMARY:{person}\r\nDTSTART{zone}:{begin}\r\n"
            f"DTEND{zone}:{end}\r\nRRULE:FREQ=WEEKLY;INTERVAL={count}\r\nEND:VEVENT\r\n"
        )
    text = f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{''.join(events)}END:VCALENDAR\r\n"
    moment = datetime.combine(rotation.begin, time(), UTC) + after
    found = read_calendar(text, "UTC").shifts(moment, moment + 5 * _WEEK)
    assert found == weekly_shifts(rotation)(moment, moment + 5 * _WEEK)
