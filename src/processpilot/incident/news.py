"""Writing the next word to stakeholders when it is due, from what is known then."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from processpilot.errors import UsageError
from processpilot.incident.cadence import DraftDue, due_draft
from processpilot.incident.record import write
from processpilot.incident.state import Incident, Kind
from processpilot.incident.update_text import (
    Knowledge,
    Measured,
    standard_message,
    update_message,
)
from processpilot.incident.updates import BY_US, draft
from processpilot.journal.journal import Journal
from processpilot.messages.send import Message
from processpilot.plan.model import Plan
from processpilot.runbook.forecast import forecast
from processpilot.runbook.history import measured_durations
from processpilot.runbook.state import RunState

ReportOf = Callable[[str], Measured | None]


def draft_if_due(
    journal: Journal, plan: Plan, incident: Incident, run: RunState | None, report_of: ReportOf
) -> bool:
    """Write the next draft down if it is due; return whether anything was written.

    A template of the plan that cannot be used is named in the log once, and ours is used.
    """
    now = journal.clock.now()
    due = due_draft(incident, plan.updates, now)
    if due is None:
        return False
    known = knowledge(journal, incident, run, report_of, now)
    try:
        message = update_message(plan, incident, due, now, known)
    except UsageError as error:
        topic = f"template {due.kind}"
        if topic not in incident.topics:
            text = f"{error.message}; ours was used"
            data = {"by": BY_US, "text": text, "topic": topic}
            incident = write(journal, incident, Kind.NOTED, data)
        message = standard_message(plan, incident, due, now, known)
    draft(journal, incident, due, message)
    return True


def draft_by_hand(
    journal: Journal, plan: Plan, incident: Incident, due: DraftDue, text: str, by: str
) -> Incident:
    """Write down somebody's own words as the next update."""
    if not text.strip():
        raise UsageError("an update without words")
    number = sum(one.refused_by is None for one in incident.updates) + 1
    subject = f"{plan.name}: {incident.title} (update {number})"
    return draft(journal, incident, due, Message(subject, text.strip()), by)


def knowledge(
    journal: Journal,
    incident: Incident,
    run: RunState | None,
    report_of: ReportOf,
    now: datetime,
) -> Knowledge:
    """Return what an update may tell besides the incident itself."""
    if run is None:
        return Knowledge()
    if run.is_finished:
        return Knowledge(report_of(run.run_id))
    expected = forecast(run, now, measured_durations(journal, run.scenario))
    is_known = expected.known > 0 and expected.unknown == 0
    return Knowledge(None, expected.end_at if is_known else None)
