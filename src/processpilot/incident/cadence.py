"""When stakeholders hear something: the first word, further ones while it is open, the last. Pure.

The first is drafted with the declaration, the last with the resolution. In between the next word is
due `every` after the one before went out; where a role has to approve, it is drafted earlier, by
the time allowed for the first word or half of `every`, whichever is less. While a draft waits, no
other is made. Without channels nobody is told anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from processpilot.incident.state import Incident, Update
from processpilot.plan.alarm import Updates

FIRST = "first"
PROGRESS = "progress"
FINAL = "final"
RETRY_S = 60.0
RETRIES = 5


@dataclass(frozen=True, slots=True)
class DraftDue:
    """An update to be written: of which kind, from when on, and when people expect it."""

    kind: str
    begin_at: datetime
    due_at: datetime


@dataclass(frozen=True, slots=True)
class SendingDue:
    """An update that is to go out now, over the channels that have not taken it yet."""

    update: Update
    channels: tuple[str, ...]


def next_draft(incident: Incident, updates: Updates) -> DraftDue | None:
    """Return the next update to be written; None while one waits, or when none will be."""
    if not updates.channels:
        return None
    first_within = timedelta(seconds=updates.first_within_s)
    if incident.resolved_at is not None:
        # One who heard nothing of it needs no last word.
        is_told = any(one.kind == FINAL for one in incident.updates)
        if is_told or not incident.updates:
            return None
        return DraftDue(FINAL, incident.resolved_at, incident.resolved_at + first_within)
    if any(one.is_pending for one in incident.updates):
        return None
    return _next_word(incident, updates)


def _next_word(incident: Incident, updates: Updates) -> DraftDue:
    lead = timedelta(seconds=lead_s(updates))
    kept = [one for one in incident.updates if one.refused_by is None]
    refused = [one.refused_at for one in incident.updates if one.refused_at is not None]
    if kept:
        due_at = _out_at(kept[-1]) + timedelta(seconds=updates.every_s)
        begin_at = due_at - lead
    else:
        due_at = incident.declared_at + timedelta(seconds=updates.first_within_s)
        begin_at = incident.declared_at
    if refused and (not kept or refused[-1] > _out_at(kept[-1])):
        begin_at = max(begin_at, refused[-1] + lead)
    return DraftDue(PROGRESS if kept else FIRST, begin_at, max(due_at, begin_at))


def due_draft(incident: Incident, updates: Updates, now: datetime) -> DraftDue | None:
    """Return the update that is to be written now."""
    found = next_draft(incident, updates)
    return found if found is not None and found.begin_at <= now else None


def lead_s(updates: Updates) -> float:
    """Return how long before it is due an update is drafted, so that it can be approved."""
    return 0.0 if updates.approval is None else min(updates.first_within_s, updates.every_s / 2)


def due_sendings(incident: Incident, updates: Updates, now: datetime) -> tuple[SendingDue, ...]:
    """Return what is to go out now: what was approved, or needs no approval, and did not arrive.

    A channel that does not take it is tried again after a minute, five times at most.
    """
    return tuple(
        SendingDue(one, channels)
        for one in incident.updates
        if _may_go(one, updates) and _may_be_tried(one, now)
        if (channels := _untaken(one, updates))
    )


def is_late(update: Update, now: datetime) -> bool:
    """Whether a draft still waits though people expect it."""
    return update.is_pending and update.due_at is not None and update.due_at <= now


def _may_go(update: Update, updates: Updates) -> bool:
    if update.refused_by is not None:
        return False
    return update.approved_by is not None or updates.approval is None or update.tries > 0


def _may_be_tried(update: Update, now: datetime) -> bool:
    if update.tried_at is None:
        return True
    return update.tries <= RETRIES and now >= update.tried_at + timedelta(seconds=RETRY_S)


def _untaken(update: Update, updates: Updates) -> tuple[str, ...]:
    taken = {str(one["channel"]) for one in update.deliveries if one["delivered"]}
    return tuple(channel for channel in updates.channels if channel not in taken)


def _out_at(update: Update) -> datetime:
    return update.sent_at or update.tried_at or update.approved_at or update.drafted_at
