"""What comes next in an incident if nobody does anything: pages, updates, promises. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from processpilot.incident.cadence import is_late, next_draft
from processpilot.incident.escalation import Policy, live_waves
from processpilot.incident.state import ESCALATION, Incident
from processpilot.incident.vendor import find_vendor


@dataclass(frozen=True, slots=True)
class Upcoming:
    """Something that will happen at a moment, or is overdue since."""

    at: datetime
    text: str
    overdue: bool = False


def upcoming(incident: Incident, policy: Policy, now: datetime) -> tuple[Upcoming, ...]:
    """Return what comes, the next first."""
    found = [*_pages(incident, policy, now), *_words(incident, policy, now)]
    found += _vendors(incident, policy)
    return tuple(sorted(found, key=lambda one: one.at))


def _pages(incident: Incident, policy: Policy, now: datetime) -> Iterator[Upcoming]:
    for wave in live_waves(incident, policy):
        if wave.cause == ESCALATION and wave.begin_at > now:
            names = ", ".join(person.who for person in wave.people)
            yield Upcoming(wave.begin_at, f"level {wave.level} wakes {names}")


def _words(incident: Incident, policy: Policy, now: datetime) -> Iterator[Upcoming]:
    role = policy.plan.updates.approval
    for update in incident.updates:
        if update.is_pending and update.due_at is not None and role is not None:
            late = is_late(update, now)
            text = f"update {update.update_id} {'was' if late else 'is'} due and waits for {role}"
            yield Upcoming(update.due_at, text, late)
    draft = next_draft(incident, policy.plan.updates)
    if draft is not None:
        yield Upcoming(draft.due_at, f"the {draft.kind} update to stakeholders is due")


def _vendors(incident: Incident, policy: Policy) -> Iterator[Upcoming]:
    for call in incident.vendors:
        if call.answered_at is None and call.due_at is not None and incident.is_open:
            vendor = find_vendor(policy.plan, call.vendor)
            late = call.late_at is not None
            told = "has not answered in time" if late else "has promised to answer by then"
            yield Upcoming(call.due_at, f"{vendor.title} {told}", late)
