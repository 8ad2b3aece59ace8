"""The kinds of event in an incident's stream, and how the stream is called."""

from __future__ import annotations

from enum import StrEnum

PREFIX = "incident/"


class Kind(StrEnum):
    """The kinds of event in an incident's stream."""

    DECLARED = "incident-declared"
    ANSWERED = "incident-answered"
    ACKNOWLEDGED = "incident-acknowledged"
    ASSIGNED = "incident-assigned"
    NOTED = "incident-noted"
    ALERTED = "incident-alerted"
    PAGED = "incident-paged"
    SEVERITY_CHANGED = "incident-severity-changed"
    UPDATE_DRAFTED = "update-drafted"
    UPDATE_APPROVED = "update-approved"
    UPDATE_REFUSED = "update-refused"
    UPDATE_SENT = "update-sent"
    VENDOR_ASKED = "vendor-asked"
    VENDOR_ANSWERED = "vendor-answered"
    VENDOR_LATE = "vendor-late"
    MITIGATED = "incident-mitigated"
    RESOLVED = "incident-resolved"
    REVIEWED = "incident-reviewed"
    ACTION_ADDED = "review-action-added"
    ACTION_CLOSED = "review-action-closed"
