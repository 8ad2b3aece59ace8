"""Escalation: which pages are due now. Pure; exact to the second whoever asks, and after restarts.

An incident has waves of pages. Each level of the policy is a wave that begins `after` the
declaration, unless somebody acknowledged before. A vendor who answers late begins the next level
whatever was acknowledged; a draft of an update that waits wakes the role that approves it; and a
vendor is asked in a wave of their own. Of each wave everybody is paged once: their channels are
tried in order until one takes it, and again after a minute, five times at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from processpilot.incident.called import Moment, Reached, ordered_levels, people_of, reach
from processpilot.incident.state import ESCALATION, Incident, Page
from processpilot.oncall.roster import Roster
from processpilot.plan.model import Plan

RETRY_S = 60.0
RETRIES = 5


@dataclass(frozen=True, slots=True)
class PageDue:
    """An attempt that is to be made: `channel` is empty where the person has none.

    `cause` is "escalation", or "vendor CALL", "vendor-late CALL", "update ID", "update-late ID".
    """

    level: int
    who: str
    channel: str
    attempt: int
    cause: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Wave:
    """People who are paged for one reason from one moment on."""

    cause: str
    level: int
    begin_at: datetime
    people: tuple[Reached, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """What escalation goes by: the plan, who is on call, and which roles open steps need.

    `handed` are roles that were handed over in the incident's run.
    """

    plan: Plan
    roster: Roster
    needed: frozenset[str] = frozenset()
    handed: Mapping[str, str] | None = None


def due_pages(incident: Incident, policy: Policy, now: datetime) -> tuple[PageDue, ...]:
    """Return what is to be sent now, at most one attempt for each person of each wave."""
    known: dict[tuple[str, int, str], list[Page]] = {}
    for page in incident.pages:
        known.setdefault((page.cause, page.level, page.who), []).append(page)
    return tuple(
        due
        for wave in live_waves(incident, policy)
        for person in wave.people
        if (due := _next(wave, person, known.get((wave.cause, wave.level, person.who), [])))
        is not None
        and due.due_at <= now
    )


def live_waves(incident: Incident, policy: Policy) -> tuple[Wave, ...]:
    """Return every wave that goes on or will begin if nothing changes, the earliest first."""
    waves = [*_vendors(incident, policy), *_updates(incident, policy)]
    if incident.is_open:
        waves += [*_levels(incident, policy), *_late_vendors(incident, policy)]
    return tuple(sorted(waves, key=lambda wave: wave.begin_at))


def _levels(incident: Incident, policy: Policy) -> Iterator[Wave]:
    if incident.acknowledged_at is not None:
        return
    for number in range(1, len(policy.plan.team.escalation) + 1):
        begin_at = level_begins(incident, policy.plan, number)
        yield Wave(ESCALATION, number, begin_at, level_people(incident, policy, number, begin_at))


def level_begins(incident: Incident, plan: Plan, number: int) -> datetime:
    """Return when a level, counted from 1, begins unless somebody acknowledges before."""
    after_s = ordered_levels(plan.team)[number - 1].after_s
    return incident.declared_at + timedelta(seconds=after_s)


def level_people(
    incident: Incident, policy: Policy, number: int, at: datetime
) -> tuple[Reached, ...]:
    """Return whom a level wakes when it begins at that moment."""
    level = ordered_levels(policy.plan.team)[number - 1]
    moment = Moment(at, _handed(incident, policy), policy.needed)
    return people_of(level, policy.plan, policy.roster, moment)


def _late_vendors(incident: Incident, policy: Policy) -> Iterator[Wave]:
    """Yield for each vendor who is late the next level, the last one once all have begun."""
    count = len(policy.plan.team.escalation)
    begun = 0
    late = [call for call in incident.vendors if call.late_at is not None]
    for call in sorted(late, key=lambda call: (call.late_at, call.call_id)):
        assert call.late_at is not None
        until = min(call.late_at, incident.acknowledged_at or call.late_at)
        regular = [
            n for n in range(1, count + 1) if level_begins(incident, policy.plan, n) <= until
        ]
        begun = min(max([begun, *regular]) + 1, count)
        if begun and call.answered_at is None:
            people = level_people(incident, policy, begun, call.late_at)
            yield Wave(f"vendor-late {call.call_id}", begun, call.late_at, people)


def _vendors(incident: Incident, policy: Policy) -> Iterator[Wave]:
    """Yield the asking of each vendor who has a channel and has not answered."""
    vendors = {vendor.id: vendor for vendor in policy.plan.vendors}
    for call in incident.vendors:
        vendor = vendors.get(call.vendor)
        if incident.is_open and vendor is not None and vendor.channels and not call.answered_at:
            people = (Reached(vendor.title, vendor.channels),)
            yield Wave(f"vendor {call.call_id}", 0, call.asked_at, people)


def _updates(incident: Incident, policy: Policy) -> Iterator[Wave]:
    """Yield for each draft that waits: whoever approves, and once it is late both of them."""
    role = policy.plan.updates.approval
    if role is None:
        return
    for update in incident.updates:
        if not update.is_pending:
            continue
        on_call = policy.roster.on_call(role, update.drafted_at, _handed(incident, policy))
        names = [name for name in (on_call.primary, on_call.secondary) if name is not None]
        people = tuple(reach(policy.plan, name) for name in names or [role])
        yield Wave(f"update {update.update_id}", 0, update.drafted_at, people[:1])
        if update.due_at is not None and update.due_at > update.drafted_at:
            yield Wave(f"update-late {update.update_id}", 0, update.due_at, people)


def _handed(incident: Incident, policy: Policy) -> Mapping[str, str]:
    return {**(policy.handed or {}), **incident.roles}


def _next(wave: Wave, person: Reached, tried: list[Page]) -> PageDue | None:
    """Return the next attempt for one person, None when one arrived or all were in vain."""

    def due(channel: str, attempt: int, at: datetime) -> PageDue:
        return PageDue(wave.level, person.who, channel, attempt, wave.cause, at)

    if any(page.delivered for page in tried):
        return None
    if not tried:
        return due(person.channels[0] if person.channels else "", 1, wave.begin_at)
    last = tried[-1]
    if not person.channels:
        return None
    place = person.channels.index(last.channel) if last.channel in person.channels else -1
    if 0 <= place < len(person.channels) - 1:
        return due(person.channels[place + 1], last.attempt, last.at)
    if last.attempt > RETRIES:
        return None
    return due(person.channels[0], last.attempt + 1, last.at + timedelta(seconds=RETRY_S))
