"""What people were told and asked in an incident: pages, updates, vendors; folded. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from processpilot.incident.kind import Kind
from processpilot.journal.event import Event

ESCALATION = "escalation"


@dataclass(frozen=True, slots=True)
class Page:
    """One attempt to wake somebody; `level` counts from 1, `detail` is the channel's own word.

    `cause` is "escalation", or what else people are told about; that has level 0 where it is no
    matter of levels. `channel` is empty where the plan names none. Attempts count from 1.
    """

    at: datetime
    level: int
    who: str
    channel: str
    delivered: bool
    detail: str
    attempt: int = 1
    cause: str = ESCALATION


@dataclass(frozen=True, slots=True)
class Update:
    """A word to stakeholders: drafted, approved where the plan asks for it, sent.

    `due_at` is when they expect it. It counts as sent once one channel took it; `tries` is how
    often it was attempted, `deliveries` what became of it on each channel each time.
    """

    update_id: str
    kind: str
    text: str
    drafted_at: datetime
    subject: str = ""
    due_at: datetime | None = None
    approved_by: str | None = None
    approved_at: datetime | None = None
    refused_by: str | None = None
    refused_at: datetime | None = None
    sent_at: datetime | None = None
    tries: int = 0
    tried_at: datetime | None = None
    deliveries: tuple[Mapping[str, Any], ...] = ()

    @property
    def is_pending(self) -> bool:
        """Whether nobody has agreed to it or refused it yet."""
        return self.approved_by is None and self.refused_by is None and self.tries == 0


@dataclass(frozen=True, slots=True)
class VendorCall:
    """A vendor asked for help; `due_at` is when they promised to answer, None without a promise."""

    call_id: str
    vendor: str
    severity: str
    text: str
    asked_by: str
    asked_at: datetime
    due_at: datetime | None
    late_at: datetime | None = None
    answered_by: str | None = None
    answered_at: datetime | None = None


def text_or_none(value: object) -> str | None:
    """Return a value of an event as text, nothing as nothing."""
    return None if value is None else str(value)


def _moment(value: object) -> datetime | None:
    return None if value is None else datetime.fromisoformat(str(value))


def page_of(event: Event) -> Page:
    """Return the attempt that an event tells of."""
    data: Mapping[str, Any] = event.data
    return Page(
        event.at,
        int(data["level"]),
        str(data["who"]),
        str(data["channel"]),
        bool(data["delivered"]),
        str(data.get("detail", "")),
        int(data.get("attempt", 1)),
        str(data.get("cause", ESCALATION)),
    )


def updates_after(updates: tuple[Update, ...], event: Event) -> tuple[Update, ...]:
    """Return the updates after one more event of theirs."""
    data: Mapping[str, Any] = event.data
    name = str(data["update"])
    if event.kind == Kind.UPDATE_DRAFTED:
        drafted = Update(
            name,
            str(data["kind"]),
            str(data["text"]),
            event.at,
            str(data.get("subject", "")),
            _moment(data.get("due_at")),
        )
        return (*updates, drafted)
    return tuple(_moved(one, event) if one.update_id == name else one for one in updates)


def _moved(update: Update, event: Event) -> Update:
    data: Mapping[str, Any] = event.data
    match event.kind:
        case Kind.UPDATE_APPROVED:
            text = str(data.get("text") or update.text)
            by = str(data["by"])
            return replace(update, text=text, approved_by=by, approved_at=event.at, refused_by=None)
        case Kind.UPDATE_REFUSED:
            by = str(data["by"])
            return replace(update, refused_by=by, refused_at=event.at, approved_by=None)
        case Kind.UPDATE_SENT:
            deliveries = tuple(data.get("deliveries", ()))
            arrived = any(delivery["delivered"] for delivery in deliveries)
            return replace(
                update,
                sent_at=update.sent_at or (event.at if arrived else None),
                tries=update.tries + 1,
                tried_at=event.at,
                deliveries=(*update.deliveries, *deliveries),
            )
    return update


def calls_after(calls: tuple[VendorCall, ...], event: Event) -> tuple[VendorCall, ...]:
    """Return the calls to vendors after one more event of theirs."""
    data: Mapping[str, Any] = event.data
    name = str(data["call"])
    if event.kind == Kind.VENDOR_ASKED:
        asked = VendorCall(
            name,
            str(data["vendor"]),
            str(data["severity"]),
            str(data["text"]),
            str(data["by"]),
            event.at,
            _moment(data.get("due_at")),
        )
        return (*calls, asked)
    return tuple(_moved_call(one, event) if one.call_id == name else one for one in calls)


def _moved_call(call: VendorCall, event: Event) -> VendorCall:
    match event.kind:
        case Kind.VENDOR_ANSWERED if call.answered_at is None:
            return replace(call, answered_by=str(event.data["by"]), answered_at=event.at)
        case Kind.VENDOR_LATE if call.late_at is None:
            return replace(call, late_at=event.at)
    return call
