"""Rotations by calendar: iCal text (RFC 5545) to shifts.

Reads single and repeated events with their exceptions; what repeats more often than daily is
refused. Where events overlap, the one that began last counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

import icalendar
from dateutil.rrule import rrulestr  # type: ignore[import-untyped]

from processpilot.errors import UsageError
from processpilot.oncall.shift import Shift
from processpilot.oncall.weekly import zone_of

MOST_EVENTS = 5000
_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
# What parsing text that is no calendar, or a damaged one, may raise.
_DAMAGE = (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError)


@dataclass(frozen=True, slots=True)
class _Entry:
    """An event: its first beginning in local time, how long it lasts, and when it comes again.

    `skipped` are local beginnings that do not happen, or that another entry replaces.
    """

    person: str
    begin: datetime
    zone: tzinfo
    lasts: timedelta
    rule: str | None
    extra: tuple[datetime, ...]
    skipped: frozenset[datetime]

    def shifts(self, begin: datetime, end: datetime) -> Iterator[Shift]:
        for local in self._beginnings(begin - self.lasts, end):
            # Added in local time: a shift from 9 to 9 stays one where the clocks change.
            begin_at = local.replace(tzinfo=self.zone).astimezone(UTC)
            end_at = (local + self.lasts).replace(tzinfo=self.zone).astimezone(UTC)
            if local not in self.skipped and begin_at < end and end_at > begin:
                yield Shift(self.person, begin_at, end_at)

    def _beginnings(self, begin: datetime, end: datetime) -> Iterator[datetime]:
        yield from self.extra
        if self.rule is None:
            yield self.begin
            return
        # A day to spare, since local time is not UTC.
        day = timedelta(days=1)
        first, last = begin.replace(tzinfo=None) - day, end.replace(tzinfo=None) + day
        yield from rrulestr(self.rule, dtstart=self.begin).between(first, last, inc=True)


@dataclass(frozen=True, slots=True)
class Calendar:
    """A calendar that was read."""

    entries: tuple[_Entry, ...]

    def shifts(self, begin: datetime, end: datetime) -> tuple[Shift, ...]:
        """Return the shifts that touch the time between two moments, the earliest first."""
        found = {shift for entry in self.entries for shift in entry.shifts(begin, end)}
        return tuple(sorted(found, key=lambda s: (s.begin_at, s.end_at, s.person)))


def read_calendar(text: str, timezone: str) -> Calendar:
    """Return the calendar; times without a zone are of `timezone`. UsageError when it is none."""
    default = zone_of(timezone)
    try:
        events = icalendar.Calendar.from_ical(text).walk("VEVENT")
        if len(events) > MOST_EVENTS:
            raise ValueError(f"it has {len(events)} events, more than {MOST_EVENTS}")
        replaced = _replaced(events, default)
        entries = [_entry(event, default, replaced) for event in events if _counts(event)]
        for entry in entries:
            if entry.rule is not None:
                rrulestr(entry.rule, dtstart=entry.begin)
    except _DAMAGE as error:
        raise UsageError(f"this is no calendar that can be read: {error}") from error
    return Calendar(tuple(entries))


def _counts(event: Any) -> bool:
    return str(event.get("STATUS", "")).upper() != "CANCELLED"


def _replaced(events: list[Any], default: tzinfo) -> dict[str, frozenset[datetime]]:
    """Return, by event, the beginnings that an event of its own replaces."""
    found: dict[str, set[datetime]] = {}
    for event in events:
        if "RECURRENCE-ID" in event:
            moment = _local(event["RECURRENCE-ID"].dt, default)[0]
            found.setdefault(str(event.get("UID", "")), set()).add(moment)
    return {uid: frozenset(moments) for uid, moments in found.items()}


def _entry(event: Any, default: tzinfo, replaced: dict[str, frozenset[datetime]]) -> _Entry:
    person = " ".join(str(event.get("SUMMARY", "")).split())
    begin, zone = _local(event["DTSTART"].dt, default)
    skipped = frozenset(_in_zone(moment, zone, default) for moment in _dates(event, "EXDATE"))
    rule = event.get("RRULE")
    if isinstance(rule, list):
        raise ValueError(f'the event "{person}" repeats by several rules')
    if rule is not None:
        skipped |= replaced.get(str(event.get("UID", "")), frozenset())
    extra = tuple(_in_zone(moment, zone, default) for moment in _dates(event, "RDATE"))
    lasts = _lasts(event, begin, zone, default)
    return _Entry(person, begin, zone, lasts, _rule(rule, zone, person), extra, skipped)


def _lasts(event: Any, begin: datetime, zone: tzinfo, default: tzinfo) -> timedelta:
    """Return how long an event lasts in local time; one that says nothing lasts its whole day."""
    if "DTEND" in event:
        lasts = _in_zone(event["DTEND"].dt, zone, default) - begin
    elif "DURATION" in event:
        lasts = event["DURATION"].dt
    else:
        whole_day = not isinstance(event["DTSTART"].dt, datetime)
        lasts = timedelta(days=1) if whole_day else timedelta(0)
    return max(lasts, timedelta(0))


def _rule(rule: Any, zone: tzinfo, person: str) -> str | None:
    """Return the rule in local time: `UNTIL` is in UTC where the beginning has a zone."""
    if rule is None:
        return None
    frequency = str(rule["FREQ"][0]).upper()
    if frequency not in _FREQUENCIES:
        raise ValueError(f'the event "{person}" repeats {frequency.lower()}')
    rule = icalendar.vRecur(rule)
    if "UNTIL" in rule:
        rule["UNTIL"] = [_in_zone(moment, zone, zone) for moment in rule["UNTIL"]]
    text = rule.to_ical()
    return text.decode() if isinstance(text, bytes) else str(text)


def _dates(event: Any, name: str) -> Iterator[Any]:
    found = event.get(name, [])
    for item in found if isinstance(found, list) else [found]:
        for one in item.dts:
            yield one.dt[0] if isinstance(one.dt, tuple) else one.dt


def _local(moment: date, default: tzinfo) -> tuple[datetime, tzinfo]:
    """Return a moment's local time without its zone, and the zone."""
    if not isinstance(moment, datetime):
        return datetime.combine(moment, time()), default
    return moment.replace(tzinfo=None), moment.tzinfo or default


def _in_zone(moment: date, zone: tzinfo, default: tzinfo) -> datetime:
    """Return a moment as local time of `zone`, without it."""
    local, own = _local(moment, default)
    return local.replace(tzinfo=own).astimezone(zone).replace(tzinfo=None)
