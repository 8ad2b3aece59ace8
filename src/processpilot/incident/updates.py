"""Updates in the journal: drafted, approved or refused, sent. What was sent is never edited."""

from __future__ import annotations

from collections.abc import Sequence

from processpilot.errors import NotFoundError, RefusedError, UsageError
from processpilot.incident.cadence import DraftDue
from processpilot.incident.people import Entry, decided
from processpilot.incident.record import write
from processpilot.incident.state import Incident, Kind, Update
from processpilot.journal.event import JsonValue
from processpilot.journal.journal import Journal
from processpilot.messages.send import Delivery, Message
from processpilot.plan.model import Plan
from processpilot.runbook.authority import require_authority

BY_US = "processpilot"


def draft(
    journal: Journal, incident: Incident, due: DraftDue, message: Message, by: str = BY_US
) -> Incident:
    """Write a draft down; LockedError when somebody else wrote to the incident meanwhile.

    Drafts that wait when the last word is drafted are refused: they have been overtaken.
    """
    for one in incident.updates:
        if one.is_pending and not incident.is_open:
            data = {"update": one.update_id, "by": BY_US, "reason": "the incident was resolved"}
            incident = write(journal, incident, Kind.UPDATE_REFUSED, data)
    return write(
        journal,
        incident,
        Kind.UPDATE_DRAFTED,
        {
            "update": f"u{len(incident.updates) + 1}",
            "kind": due.kind,
            "subject": message.subject,
            "text": message.text,
            "due_at": due.due_at.isoformat(),
            "by": by,
        },
    )


def approve(
    journal: Journal, plan: Plan, incident_id: str, update_id: str, *, by: str, text: str | None
) -> Incident:
    """Agree to a draft, or to other words in its place; it is sent after that."""
    if text is not None and not text.strip():
        raise UsageError("an update without words")

    def entry(incident: Incident) -> Entry:
        _waiting(incident, update_id)
        _require_role(plan, incident, by)
        data: dict[str, JsonValue] = {"update": update_id, "by": by}
        return Kind.UPDATE_APPROVED, data if text is None else {**data, "text": text.strip()}

    return decided(journal, incident_id, entry)


def refuse(
    journal: Journal, plan: Plan, incident_id: str, update_id: str, *, by: str, reason: str
) -> Incident:
    """Keep a draft from being sent; the next one is written in time."""

    def entry(incident: Incident) -> Entry:
        _waiting(incident, update_id)
        _require_role(plan, incident, by)
        return Kind.UPDATE_REFUSED, {"update": update_id, "by": by, "reason": reason}

    return decided(journal, incident_id, entry)


def write_sent(
    journal: Journal, incident: Incident, update_id: str, deliveries: Sequence[Delivery]
) -> None:
    """Write down what became of an update on each channel."""
    rows: list[JsonValue] = [
        {
            "channel": one.channel,
            "sent_at": one.sent_at.isoformat(),
            "delivered": one.delivered,
            "detail": one.detail,
        }
        for one in deliveries
    ]
    data: dict[str, JsonValue] = {"update": update_id, "deliveries": rows}
    write(journal, incident, Kind.UPDATE_SENT, data, exact=False)


def _waiting(incident: Incident, update_id: str) -> Update:
    found = next((one for one in incident.updates if one.update_id == update_id), None)
    if found is None:
        known = ", ".join(one.update_id for one in incident.updates) or "none"
        raise NotFoundError(
            f"incident {incident.incident_id} has no update {update_id}; it has: {known}"
        )
    if found.is_pending:
        return found
    if found.tries:
        raise RefusedError(
            f"update {update_id} was sent; what was sent is never edited",
            hint="Write a new one with `processpilot incident update --text TEXT`.",
        )
    if found.refused_by is not None:
        raise RefusedError(f"{found.refused_by} has refused update {update_id}")
    raise RefusedError(f"{found.approved_by} has approved update {update_id}")


def _require_role(plan: Plan, incident: Incident, by: str) -> None:
    if plan.updates.approval is not None:
        require_authority(plan.team, incident.roles, plan.updates.approval, by)
