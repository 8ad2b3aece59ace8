"""What a page says: what happened, since when, why, and what to do about it. Pure.

Readable on a telephone at night: the first line is the whole story, then one fact a line.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from processpilot.checks.symptoms import UNSEEN
from processpilot.incident.called import ordered_levels
from processpilot.incident.escalation import PageDue, Policy, live_waves
from processpilot.incident.state import ESCALATION, Incident, Update, VendorCall
from processpilot.incident.update_text import listed, spoken
from processpilot.messages.send import Message
from processpilot.oncall.roster import find_person
from processpilot.plan.model import Plan
from processpilot.plan.outside import Vendor
from processpilot.plan.team import Contact

_REASONS = 5


def page_message(
    incident: Incident, policy: Policy, due: PageDue, now: datetime, link: str | None
) -> Message:
    """Return the words for one page; `link` is where its reader does what is asked of them."""
    kind, _, name = due.cause.partition(" ")
    call = next((one for one in incident.vendors if one.call_id == name), None)
    update = next((one for one in incident.updates if one.update_id == name), None)
    if kind == "vendor" and call is not None:
        return _to_vendor(policy.plan, incident, call)
    if kind in ("update", "update-late") and update is not None:
        return _draft(policy.plan, incident, update, kind == "update-late", link)
    late = call if kind == "vendor-late" else None
    subject = f"{incident.severity} {policy.plan.name}: {incident.title}"
    if late is not None:
        title = _title_of(policy.plan, late.vendor)
        subject = f"{incident.severity} {policy.plan.name}: {title} is late"
    lines = _woken(incident, policy, due, now, link, late)
    return Message(subject, "\n".join(lines))


def test_message(plan: Plan, who: str, channel: str, now: datetime) -> Message:
    """Return the words of a test page, which nobody can take for a real one."""
    return Message(
        f"TEST, no incident: page to {who}",
        f"This is a test of paging for {plan.name}. Nothing is wrong, nothing is to be done.\n"
        f"\n"
        f"To       {who}\n"
        f"Channel  {channel}\n"
        f"Sent     {now:%Y-%m-%d %H:%M:%S} UTC\n",
    )


def _woken(
    incident: Incident,
    policy: Policy,
    due: PageDue,
    now: datetime,
    link: str | None,
    late: VendorCall | None,
) -> Iterator[str]:
    age = spoken((now - incident.declared_at).total_seconds())
    yield f"{incident.title}."
    if late is not None:
        yield from _lateness(policy.plan, late)
    yield ""
    yield f"Severity  {incident.severity}"
    yield f"Since     {incident.declared_at:%Y-%m-%d %H:%M:%S} UTC, {age} ago ({incident.source})"
    seen = [reason for reason in incident.reasons if not reason.startswith(UNSEEN)]
    for reason in seen[:_REASONS]:
        yield f"Because   {reason}"
    yield f"To        {due.who}, {_level(policy, due.level)}"
    yield ""
    if incident.acknowledged_by is not None:
        yield f"{incident.acknowledged_by} has acknowledged and looks after it."
    else:
        command = f"processpilot incident acknowledge {incident.incident_id}"
        yield f"Acknowledge: {link or command}"
        if link is not None:
            yield f"or run:      {command}"
        yield _next(incident, policy, due)


def _lateness(plan: Plan, call: VendorCall) -> Iterator[str]:
    """Say what a vendor promised, and what to do now that they did not keep it."""
    asked, due = _clock(call.asked_at), _clock(call.due_at or call.asked_at)
    yield f"{_title_of(plan, call.vendor)} was asked at {asked} and promised an answer by {due}."
    ways = _ways(_vendor(plan, call.vendor))
    yield f"None has come. Reach them: {ways}" if ways else "None has come."
    yield f"Once they answer: processpilot incident vendor {call.vendor} --answered TEXT"


def _next(incident: Incident, policy: Policy, due: PageDue) -> str:
    later = [w for w in live_waves(incident, policy) if w.cause == ESCALATION]
    following = next((w for w in later if w.level > due.level), None)
    if following is None:
        return "Nobody else will be woken after you."
    names = listed([person.who for person in following.people])
    return f"If nobody does, {names} will be woken at {_clock(following.begin_at)}."


def _to_vendor(plan: Plan, incident: Incident, call: VendorCall) -> Message:
    lines = [
        call.text,
        "",
        f"Severity  {call.severity}",
        f"Asked     {call.asked_at:%Y-%m-%d %H:%M:%S} UTC",
        f"Case      {incident.incident_id}",
    ]
    if call.due_at is not None:
        lines.append(f"Until     {call.due_at:%Y-%m-%d %H:%M} UTC, as promised for this severity")
    person = find_person(plan.team, incident.acknowledged_by or "")
    if person is not None and (ways := _ways(person)):
        lines.append(f"Answer    {person.name}, {ways}")
    return Message(f"{plan.name}: we need your help ({call.severity})", "\n".join(lines))


def _draft(plan: Plan, incident: Incident, update: Update, late: bool, link: str | None) -> Message:
    due = "" if update.due_at is None else f" It is due at {_clock(update.due_at)}."
    told = "was due and still waits" if late else "waits"
    act = f"processpilot incident update --incident {incident.incident_id}"
    lines = [
        f"A word to stakeholders {told} for your approval.{'' if late else due}",
        "",
        *(f"> {line}" for line in update.text.splitlines()),
        "",
        *(() if link is None else (f"Send it or not: {link}", "", "Or on the control host:")),
        f"Send it:       {act} --approve {update.update_id}",
        f"Other words:   {act} --approve {update.update_id} --text TEXT",
        f"Do not send:   {act} --refuse {update.update_id}",
    ]
    return Message(f"{plan.name}: an update {told} for you", "\n".join(lines))


def _level(policy: Policy, number: int) -> str:
    """Return what a level is called; titles from written runbooks begin with its number."""
    levels = ordered_levels(policy.plan.team)
    title = levels[number - 1].title if 0 < number <= len(levels) else ""
    if title.casefold().startswith(f"level {number}"):
        return title
    return f"level {number} ({title})" if title else f"level {number}"


def _vendor(plan: Plan, vendor_id: str) -> Vendor | None:
    return next((one for one in plan.vendors if one.id == vendor_id), None)


def _title_of(plan: Plan, vendor_id: str) -> str:
    vendor = _vendor(plan, vendor_id)
    return vendor_id if vendor is None else vendor.title


def _ways(contact: Contact | None) -> str:
    """Return how somebody is reached, the quickest way first; nothing where that is not known."""
    if contact is None:
        return ""
    return ", ".join(way for way in (contact.phone, contact.email, contact.chat) if way)


def _clock(at: datetime) -> str:
    return f"{at:%H:%M} UTC"


def act_of(due: PageDue) -> str | None:
    """Return what a link in that page is for: "acknowledge", "update ID", or nothing."""
    kind, _, name = due.cause.partition(" ")
    if kind == "vendor":
        return None
    return f"update {name}" if kind in ("update", "update-late") else "acknowledge"
