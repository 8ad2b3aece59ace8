"""The timeline of an incident: every event of its streams in words, with its source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from processpilot.incident.kind import Kind
from processpilot.journal.event import Event
from processpilot.runbook.words import event_line


@dataclass(frozen=True, slots=True)
class Entry:
    """One moment; `source` is the event in the journal that says so, as STREAM#SEQUENCE."""

    at: datetime
    text: str
    source: str


def timeline(
    incident_events: Iterable[Event], run_events: Iterable[Event], last_passed_at: datetime | None
) -> list[Entry]:
    """Return the entries in the order of their moments."""
    entries = [*_of_incident(incident_events), *_of_run(run_events)]
    if last_passed_at is not None and entries:
        first = entries[0]
        text = "the last sign of life before the failure"
        entries.append(Entry(last_passed_at, text, first.source))
    return sorted(entries, key=lambda entry: entry.at)


def _of_run(events: Iterable[Event]) -> Iterator[Entry]:
    for event in events:
        yield Entry(event.at, event_line(event), _source(event))


def _of_incident(events: Iterable[Event]) -> Iterator[Entry]:
    for event in events:
        yield Entry(event.at, _words(event), _source(event))


def _source(event: Event) -> str:
    return f"{event.stream}#{event.sequence}"


def _words(event: Event) -> str:
    data: Mapping[str, Any] = event.data
    match event.kind:
        case Kind.DECLARED:
            return f"declared: {data['title']} ({data.get('source', 'probes')})"
        case Kind.ANSWERED:
            return f"answered by run {data['run_id']}"
        case Kind.ACKNOWLEDGED:
            return f"{data['by']} has acknowledged"
        case Kind.ASSIGNED:
            return f"{data['role']} is {data['to']} from now on"
        case Kind.NOTED:
            return f"note by {data.get('by', 'the agent')}: {data['text']}"
        case Kind.ALERTED:
            return f"alert {data['fingerprint']}: {data['status']}"
        case Kind.SEVERITY_CHANGED:
            return f"severity is {data['severity']} from now on"
        case Kind.MITIGATED:
            return f"mitigated, says {data.get('by', 'the agent')}"
        case Kind.RESOLVED:
            return f"resolved: {data['resolution']}"
        case Kind.REVIEWED:
            return f"reviewed, says {data.get('by', 'somebody')}"
    return _told(event)


def _told(event: Event) -> str:
    """Say what people were told and asked."""
    data: Mapping[str, Any] = event.data
    match event.kind:
        case Kind.PAGED:
            arrived = "delivered" if data["delivered"] else f"NOT delivered: {data['detail']}"
            over = f" over {data['channel']}" if data["channel"] else ""
            return f"level {data['level']}: {data['who']} paged{over}, {arrived}"
        case Kind.UPDATE_DRAFTED:
            return f"update drafted ({data['kind']})"
        case Kind.UPDATE_APPROVED:
            return f"update approved by {data['by']}"
        case Kind.UPDATE_REFUSED:
            return f"update refused by {data['by']}"
        case Kind.UPDATE_SENT:
            return "update sent"
        case Kind.VENDOR_ASKED:
            return f"vendor {data.get('vendor')} asked: {data.get('text', '')}"
        case Kind.VENDOR_ANSWERED:
            return "vendor has answered"
        case Kind.VENDOR_LATE:
            return "vendor has not answered in time"
        case Kind.ACTION_ADDED:
            return f"action for {data['owner']}: {data['text']}"
        case Kind.ACTION_CLOSED:
            return f"action done, says {data['by']}"
    return event.kind
