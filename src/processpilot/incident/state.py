"""An incident's state, folded from its events. Pure; the journal is the only memory.

Declared, acknowledged, mitigated, resolved, reviewed: each at most once, in any order that people
and machines need on the day. What was noted, sent and asked meanwhile is kept with its time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from processpilot.errors import IntegrityError
from processpilot.incident.kind import PREFIX, Kind
from processpilot.incident.told import (
    ESCALATION,
    Page,
    Update,
    VendorCall,
    calls_after,
    page_of,
    text_or_none,
    updates_after,
)
from processpilot.journal.event import Event
from processpilot.plan.alarm import Severity

__all__ = [
    "ESCALATION",
    "PREFIX",
    "FollowUpAction",
    "Incident",
    "Kind",
    "Page",
    "Update",
    "VendorCall",
    "apply",
    "fold",
]


@dataclass(frozen=True, slots=True)
class FollowUpAction:
    """Something that a review wants done; `due` is a date, or nothing yet."""

    action_id: str
    text: str
    owner: str
    due: str | None
    closed_by: str | None = None
    closed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident as its events tell it; `sequence` is the newest event's.

    `scenario` is None where people or alerts declared something that no scenario answers. `source`
    is what declared it: probes, a person, an alert, a heartbeat. `alerts` says of each fingerprint
    whether it fires, `episodes` since when (fingerprint and beginning), `groups` which kinds of
    alert belong here. `topics` are what was noted and is to be noted once.
    """

    incident_id: str
    scenario: str | None
    title: str
    severity: Severity
    source: str
    reasons: tuple[str, ...]
    declared_at: datetime
    last_passed_at: str | None
    sequence: int
    run_id: str | None = None
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    roles: Mapping[str, str] = field(default_factory=dict)
    alerts: Mapping[str, str] = field(default_factory=dict)
    episodes: frozenset[tuple[str, str]] = frozenset()
    groups: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()
    vendors: tuple[VendorCall, ...] = ()
    pages: tuple[Page, ...] = ()
    updates: tuple[Update, ...] = ()
    actions: tuple[FollowUpAction, ...] = ()
    mitigated_at: datetime | None = None
    resolution: str | None = None
    stopped_by: str | None = None
    resolved_by: str | None = None
    resolved_at: datetime | None = None
    reviewed_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether nobody has resolved it yet."""
        return self.resolution is None


def fold(incident_id: str, events: Iterable[Event]) -> Incident:
    """Return the state after `events`, all of one incident in order."""
    state: Incident | None = None
    for event in events:
        try:
            state = _declared(incident_id, event) if state is None else apply(state, event)
        except (KeyError, ValueError, TypeError) as error:
            raise IntegrityError(
                f'incident {incident_id}: event {event.sequence} "{event.kind}" is damaged: '
                f"{error!r}"
            ) from error
    if state is None:
        raise IntegrityError(f"incident {incident_id} has no events")
    return state


def _declared(incident_id: str, event: Event) -> Incident:
    if event.kind != Kind.DECLARED:
        raise IntegrityError(f'{event.stream} begins with "{event.kind}"')
    data: Mapping[str, Any] = event.data
    scenario, last = data["scenario"], data["last_passed_at"]
    return Incident(
        incident_id,
        None if scenario is None else str(scenario),
        str(data["title"]),
        Severity(str(data.get("severity", Severity.SEV1))),
        str(data.get("source", "probes")),
        tuple(str(reason) for reason in data["reasons"]),
        event.at,
        None if last is None else str(last),
        event.sequence,
    )


def apply(state: Incident, event: Event) -> Incident:
    """Return the state after one more event; kinds that change nothing only move the sequence."""
    state = replace(state, sequence=event.sequence)
    data: Mapping[str, Any] = event.data
    match event.kind:
        case Kind.ANSWERED:
            return replace(state, run_id=str(data["run_id"]))
        case Kind.ACKNOWLEDGED if state.acknowledged_by is None:
            return replace(state, acknowledged_by=str(data["by"]), acknowledged_at=event.at)
        case Kind.ASSIGNED:
            return replace(state, roles={**state.roles, str(data["role"]): str(data["to"])})
        case Kind.ALERTED:
            return _alerted(state, data)
        case Kind.NOTED if data.get("topic") is not None:
            return replace(state, topics=state.topics | {str(data["topic"])})
        case Kind.PAGED:
            return replace(state, pages=(*state.pages, page_of(event)))
        case Kind.SEVERITY_CHANGED:
            return replace(state, severity=Severity(str(data["severity"])))
        case Kind.MITIGATED if state.mitigated_at is None:
            return replace(state, mitigated_at=event.at)
        case Kind.RESOLVED:
            return replace(
                state,
                resolution=str(data["resolution"]),
                stopped_by=text_or_none(data.get("stopped_by")),
                resolved_by=text_or_none(data.get("by")),
                resolved_at=event.at,
            )
        case Kind.REVIEWED:
            return replace(state, reviewed_at=event.at)
        case Kind.ACTION_ADDED | Kind.ACTION_CLOSED:
            return replace(state, actions=_actions(state.actions, event))
    if event.kind.startswith("update-"):
        return replace(state, updates=updates_after(state.updates, event))
    if event.kind.startswith("vendor-"):
        return replace(state, vendors=calls_after(state.vendors, event))
    return state


def _alerted(state: Incident, data: Mapping[str, Any]) -> Incident:
    fingerprint = str(data["fingerprint"])
    episodes = {(fingerprint, str(data["starts_at"]))} if "starts_at" in data else set()
    groups = {str(data["group"])} if "group" in data else set()
    return replace(
        state,
        alerts={**state.alerts, fingerprint: str(data["status"])},
        episodes=state.episodes | episodes,
        groups=state.groups | groups,
    )


def _actions(actions: tuple[FollowUpAction, ...], event: Event) -> tuple[FollowUpAction, ...]:
    data: Mapping[str, Any] = event.data
    name = str(data["action"])
    if event.kind == Kind.ACTION_ADDED:
        due = data.get("due")
        added = FollowUpAction(
            name, str(data["text"]), str(data["owner"]), None if due is None else str(due)
        )
        return (*actions, added)
    return tuple(
        replace(one, closed_by=str(data["by"]), closed_at=event.at)
        if one.action_id == name
        else one
        for one in actions
    )
