"""Vendors asked for help: what was asked, when they promised to answer, and whether they did.

The promise is the plan's for that severity, kept with the question, so that a plan edited later
changes nothing. A promise to answer at once (0) is broken after five minutes: a telephone call
takes as long.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from processpilot.errors import NotFoundError, RefusedError
from processpilot.incident.people import Entry, decided
from processpilot.incident.record import read_incident, write
from processpilot.incident.state import Incident, Kind, VendorCall
from processpilot.journal.journal import Journal
from processpilot.plan.model import Plan
from processpilot.plan.outside import Vendor

AT_ONCE_S = 300.0


@dataclass(frozen=True, slots=True)
class VendorRequest:
    """What a vendor is asked; the same `call_id` is asked once, however often it is written."""

    call_id: str
    vendor: str
    severity: str
    text: str
    by: str


def ask(journal: Journal, incident_id: str, plan: Plan, request: VendorRequest) -> Incident:
    """Write down that a vendor is asked; whoever keeps the duty sends it over their channels."""
    find_vendor(plan, request.vendor)

    def entry(incident: Incident) -> Entry:
        if not incident.is_open:
            raise RefusedError(f"incident {incident_id} is resolved: {incident.resolution}")
        within_s = response_s(plan, request.severity)
        due_at = None
        if within_s is not None:
            due_at = (journal.clock.now() + timedelta(seconds=within_s)).isoformat()
        return Kind.VENDOR_ASKED, {
            "call": request.call_id,
            "vendor": request.vendor,
            "severity": request.severity,
            "text": request.text,
            "by": request.by,
            "due_at": due_at,
        }

    known = read_incident(journal, incident_id)
    if find_call(known, request.call_id) is not None:
        return known
    return decided(journal, incident_id, entry)


def answered(journal: Journal, incident_id: str, name: str, by: str, comment: str = "") -> Incident:
    """Write down that a vendor answered; `name` is a call's id or the vendor's."""

    def entry(incident: Incident) -> Entry:
        waiting = [call for call in incident.vendors if call.answered_at is None]
        call = next((one for one in waiting if name in (one.call_id, one.vendor)), None)
        if call is None:
            names = ", ".join(one.vendor for one in waiting) or "none"
            raise NotFoundError(
                f"incident {incident_id} waits for no answer of {name}; it waits for: {names}"
            )
        data = {"call": call.call_id, "vendor": call.vendor, "by": by, "comment": comment}
        return Kind.VENDOR_ANSWERED, data

    return decided(journal, incident_id, entry)


def due_vendor_alarms(incident: Incident, now: datetime) -> tuple[VendorCall, ...]:
    """Return the calls whose promise is broken by now and was not said to be."""
    if not incident.is_open:
        return ()
    return tuple(
        call
        for call in incident.vendors
        if call.answered_at is None
        and call.late_at is None
        and call.due_at is not None
        and call.due_at <= now
    )


def write_late(journal: Journal, incident: Incident, call: VendorCall) -> Incident:
    """Write down that a vendor is late; the next escalation level begins with that."""
    due_at = None if call.due_at is None else call.due_at.isoformat()
    data = {"call": call.call_id, "vendor": call.vendor, "due_at": due_at}
    return write(journal, incident, Kind.VENDOR_LATE, data)


def response_s(plan: Plan, severity: str) -> float | None:
    """Return how soon the plan's vendors answer for a severity; None when it does not say."""
    level = next((level for level in plan.support if level.severity == severity), None)
    return None if level is None else level.response_s or AT_ONCE_S


def find_vendor(plan: Plan, vendor_id: str) -> Vendor:
    """Return a vendor of the plan; NotFoundError names those there are."""
    found = next((vendor for vendor in plan.vendors if vendor.id == vendor_id), None)
    if found is None:
        known = ", ".join(vendor.id for vendor in plan.vendors) or "none"
        raise NotFoundError(f'the plan has no vendor "{vendor_id}"; it has: {known}')
    return found


def find_call(incident: Incident, call_id: str) -> VendorCall | None:
    """Return the call of that id."""
    return next((call for call in incident.vendors if call.call_id == call_id), None)
