"""An incident's events in words, a line for each. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from processpilot.incident.state import ESCALATION, Kind
from processpilot.journal.event import Event


def event_words(event: Event) -> str:
    """Return what happened, in a line."""
    data: Mapping[str, Any] = event.data
    match event.kind:
        case Kind.DECLARED:
            by = data.get("by") or data.get("source", "probes")
            return f"declared by {by}: {data['title']}{_reasons(data)}"
        case Kind.ANSWERED:
            return f"run {data['run_id']} answers it"
        case Kind.ACKNOWLEDGED:
            return f"acknowledged by {data['by']} ({data.get('how', 'command')})"
        case Kind.ASSIGNED:
            return f"{data['role']} is {data['to']} from now on, says {data['by']}"
        case Kind.NOTED:
            return f"{data['by']}: {data['text']}"
        case Kind.ALERTED:
            return f"alert {data.get('name') or data['fingerprint']} is {data['status']}"
        case Kind.PAGED:
            return _page(data)
        case Kind.SEVERITY_CHANGED:
            return f"{data['severity']} from now on, says {data.get('by', 'nobody')}"
        case Kind.MITIGATED:
            return f"mitigated, says {data.get('by', 'nobody')}{_because(data)}"
        case Kind.RESOLVED:
            by = data.get("by") or data.get("stopped_by")
            return f"resolved: {data['resolution']}" + (f", says {by}" if by else "")
        case Kind.REVIEWED:
            return f"reviewed by {data.get('by', 'nobody')}"
        case Kind.ACTION_ADDED:
            return f"action {data['action']} for {data['owner']}: {data['text']}"
        case Kind.ACTION_CLOSED:
            return f"action {data['action']} closed by {data['by']}"
    return _outside(event.kind, data)


def _outside(kind: str, data: Mapping[str, Any]) -> str:
    match kind:
        case Kind.UPDATE_DRAFTED:
            return f"update {data['update']} ({data['kind']}) drafted by {data.get('by', 'nobody')}"
        case Kind.UPDATE_APPROVED:
            words = " with other words" if data.get("text") else ""
            return f"update {data['update']} approved by {data['by']}{words}"
        case Kind.UPDATE_REFUSED:
            return f"update {data['update']} refused by {data['by']}{_because(data)}"
        case Kind.UPDATE_SENT:
            return f"update {data['update']}: {_deliveries(data)}"
        case Kind.VENDOR_ASKED:
            due = f", who promised to answer by {_moment(data)}" if data.get("due_at") else ""
            return f"{data['by']} asks {data['vendor']} ({data['severity']}){due}"
        case Kind.VENDOR_ANSWERED:
            comment = f": {data['comment']}" if data.get("comment") else ""
            return f"{data['vendor']} has answered, says {data['by']}{comment}"
        case Kind.VENDOR_LATE:
            return f"{data['vendor']} has not answered by {_moment(data)}"
    return kind


def _page(data: Mapping[str, Any]) -> str:
    why = _cause(str(data.get("cause", ESCALATION)), data)
    over = f" over {data['channel']}" if data["channel"] else ""
    attempt = int(data.get("attempt", 1))
    again = f", attempt {attempt}" if attempt > 1 else ""
    detail = f": {data['detail']}" if data.get("detail") else ""
    ending = "delivered" if data["delivered"] else f"NOT DELIVERED{detail}"
    return f"paged {data['who']}{over} ({why}{again}): {ending}"


def _cause(cause: str, data: Mapping[str, Any]) -> str:
    """Say why somebody was told."""
    kind, _, name = cause.partition(" ")
    words = {
        ESCALATION: f"level {data['level']}",
        "vendor": "asked for help",
        "vendor-late": "a vendor is late",
        "update": f"update {name} waits",
        "update-late": f"update {name} is late",
    }
    return words.get(kind, cause)


def _deliveries(data: Mapping[str, Any]) -> str:
    rows = data.get("deliveries", ())
    arrived = [str(row["channel"]) for row in rows if row["delivered"]]
    lost = [f"{row['channel']} ({row['detail']})" for row in rows if not row["delivered"]]
    told = f"sent over {', '.join(arrived)}" if arrived else "sent to nobody"
    return told + (f"; NOT DELIVERED over {', '.join(lost)}" if lost else "")


def _moment(data: Mapping[str, Any]) -> str:
    return f"{datetime.fromisoformat(str(data['due_at'])):%Y-%m-%d %H:%M:%S} UTC"


def _reasons(data: Mapping[str, Any]) -> str:
    reasons = [str(reason) for reason in data.get("reasons", ())]
    return f" ({'; '.join(reasons)})" if reasons else ""


def _because(data: Mapping[str, Any]) -> str:
    return f": {data['reason']}" if data.get("reason") else ""
