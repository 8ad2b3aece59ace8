"""Rotations by the week: the turn changes on one day at one time of one time zone.

Weeks are counted in local dates, so a week with a clock change is an hour longer or shorter, and
the turn still changes at the same time of day. A time that a clock change leaves out counts as if
the clock had not been changed; one that comes twice counts the first time.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from processpilot.errors import UsageError
from processpilot.oncall.shift import Shift, Shifts
from processpilot.plan.team import WeeklyRotation

_WEEK = timedelta(days=7)


def weekly_shifts(rotation: WeeklyRotation) -> Shifts:
    """Return the rotation's shifts; before the week of its `begin` there are none."""
    zone = zone_of(rotation.timezone)
    changes_at = time.fromisoformat(rotation.at)
    first = rotation.begin - timedelta(days=(rotation.begin.weekday() - rotation.weekday) % 7)

    def moment(day: date) -> datetime:
        return datetime.combine(day, changes_at, zone).astimezone(UTC)

    def turns(begin: datetime, end: datetime) -> Iterator[Shift]:
        # A day's difference more than enough: time zones are within a day of UTC.
        near = begin.astimezone(zone).date() - timedelta(days=1)
        number = max(0, (near - first).days // 7)
        while (begin_at := moment(first + number * _WEEK)) < end:
            end_at = moment(first + (number + 1) * _WEEK)
            if end_at > begin:
                yield Shift(rotation.people[number % len(rotation.people)], begin_at, end_at)
            number += 1

    return lambda begin, end: tuple(turns(begin, end))


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone by its name; UsageError when there is none of it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(
            f'"{name}" is no time zone that is known here',
            hint="Write it as in the time zone database, for example Europe/Berlin.",
        ) from error
