"""The timeline of an incident: every event of its streams in words, with its source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from processpilot.incident.timeline import event_words
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
    entries = [*_entries(incident_events, event_words), *_entries(run_events, event_line)]
    if last_passed_at is not None and entries:
        first = entries[0]
        text = "the last sign of life before the failure"
        entries.append(Entry(last_passed_at, text, first.source))
    return sorted(entries, key=lambda entry: entry.at)


def _entries(events: Iterable[Event], words: Callable[[Event], str]) -> Iterator[Entry]:
    for event in events:
        yield Entry(event.at, words(event), f"{event.stream}#{event.sequence}")
