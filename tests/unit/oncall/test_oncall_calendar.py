"""Calendars as people's programs write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from processpilot.errors import UsageError
from processpilot.oncall.calendar import MOST_EVENTS, read_calendar
from processpilot.oncall.shift import Shift


def day(number: int, hour: int = 0, month: int = 11) -> datetime:
    """Return an hour of a day in UTC."""
    return datetime(2026, month, number, hour, tzinfo=UTC)


def event(*lines: str) -> str:
    """Return an event."""
    return "\r\n".join(("BEGIN:VEVENT", *lines, "END:VEVENT"))


def read(*events: str, timezone: str = "UTC") -> tuple[Shift, ...]:
    """Return the shifts of November 2026."""
    text = "\r\n".join(("BEGIN:VCALENDAR", "VERSION:2.0", *events, "END:VCALENDAR", ""))
    return read_calendar(text, timezone).shifts(day(1), day(30))


def test_an_event_is_a_shift() -> None:
    """With an end or a duration, in UTC or in a zone."""
    ended = event("SUMMARY:Ada", "DTSTART:20261102T090000Z", "DTEND:20261103T090000Z")
    lasting = event(
        "SUMMARY: Ben  B. ", "DTSTART;TZID=Europe/Berlin:20261103T100000", "DURATION:PT12H"
    )
    assert read(ended, lasting) == (
        Shift("Ada", day(2, 9), day(3, 9)),
        Shift("Ben B.", day(3, 9), day(3, 21)),
    )


def test_whole_days_and_times_without_zone_are_of_the_rotations_zone() -> None:
    """A day begins at midnight there."""
    whole = event("SUMMARY:Ada", "DTSTART;VALUE=DATE:20261102", "DTEND;VALUE=DATE:20261104")
    short = event("SUMMARY:Ben", "DTSTART;VALUE=DATE:20261104")
    floating = event("SUMMARY:Cleo", "DTSTART:20261110T090000", "DURATION:PT1H")
    assert read(whole, short, floating, timezone="Europe/Berlin") == (
        Shift("Ada", day(1, 23), day(3, 23)),
        Shift("Ben", day(3, 23), day(4, 23)),
        Shift("Cleo", day(10, 8), day(10, 9)),
    )


def test_what_repeats_has_exceptions() -> None:
    """A day left out, one moved by an event of its own, one more, and an end."""
    rule = event(
        "UID:1",
        "SUMMARY:Ada",
        "DTSTART:20261102T090000Z",
        "DURATION:PT2H",
        "RRULE:FREQ=WEEKLY;UNTIL=20261123T090000Z",
        "EXDATE:20261109T090000Z",
        "RDATE:20261127T090000Z",
    )
    moved = event(
        "UID:1",
        "SUMMARY:Ben",
        "RECURRENCE-ID:20261116T090000Z",
        "DTSTART:20261117T090000Z",
        "DURATION:PT2H",
    )
    found = [(shift.person, shift.begin_at) for shift in read(rule, moved)]
    assert found == [
        ("Ada", day(2, 9)),
        ("Ben", day(17, 9)),
        ("Ada", day(23, 9)),
        ("Ada", day(27, 9)),
    ]


def test_a_shift_over_the_change_of_clocks_keeps_its_local_times() -> None:
    """From 9 to 9 of the next day, it is an hour longer in autumn."""
    rule = event(
        "SUMMARY:Ada",
        "DTSTART;TZID=Europe/Berlin:20260101T090000",
        "DTEND;TZID=Europe/Berlin:20260102T090000",
        "RRULE:FREQ=DAILY",
    )
    text = f"BEGIN:VCALENDAR\r\n{rule}\r\nEND:VCALENDAR\r\n"
    calendar = read_calendar(text, "UTC")
    changed = [s for s in calendar.shifts(day(24, 12, 10), day(26, 6, 10)) if s.begin_at.day == 24]
    assert changed == [Shift("Ada", day(24, 7, 10), day(25, 8, 10))]


def test_what_was_cancelled_does_not_count() -> None:
    """As calendars mark it."""
    assert read(event("SUMMARY:Ada", "STATUS:CANCELLED", "DTSTART:20261102T090000Z")) == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>Please log in</html>",
        "BEGIN:VCALENDAR",
        f"BEGIN:VCALENDAR\r\n{event('SUMMARY:Ada')}\r\nEND:VCALENDAR",
        f"BEGIN:VCALENDAR\r\n{event('DTSTART:yesterday')}\r\nEND:VCALENDAR",
        "BEGIN:VCALENDAR\r\n"
        + event("DTSTART:20261102T090000Z", "RRULE:FREQ=SECONDLY")
        + "\r\nEND:VCALENDAR",
        "BEGIN:VCALENDAR\r\n"
        + "\r\n".join([event("DTSTART:20261102T090000Z")] * (MOST_EVENTS + 1))
        + "\r\nEND:VCALENDAR",
    ],
)
def test_what_is_no_calendar_is_refused(text: str) -> None:
    """A page to log in, a damaged file, one that would take for ever."""
    with pytest.raises(UsageError):
        read_calendar(text, "UTC")


def test_an_unknown_time_zone_is_told() -> None:
    """Before anybody is thought to be on call."""
    with pytest.raises(UsageError, match="is no time zone"):
        read_calendar("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", "Mars/Base")
