"""What comes in from outside becomes an incident, or news of one: alerts and missed heartbeats.

The first rule whose labels all match decides. An alert belongs to the open incident that knows it,
else to one of the same scenario, else to one of the same rule and name; else it opens one. The same
alert again, however often, writes nothing.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from processpilot.clock import Clock
from processpilot.incident.heartbeat import Overdue
from processpilot.incident.record import (
    Declaration,
    declare,
    held_back,
    newest_incidents,
    open_incidents,
    write,
)
from processpilot.incident.state import Incident, Kind
from processpilot.journal.journal import Journal
from processpilot.plan.alarm import AlertRule, Heartbeat
from processpilot.plan.model import Plan

FIRING = "firing"
RESOLVED = "resolved"
_LONGEST = 300
_REMEMBERED = 50
# Two alerts that come at once must not open two incidents; one process takes them in.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert as Alertmanager's webhook (version 4) tells it; `status` is firing or resolved."""

    labels: Mapping[str, str]
    status: str
    fingerprint: str = ""
    starts_at: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The fingerprint, or one made of the labels where the sender gave none."""
        spelled = json.dumps(sorted(self.labels.items())).encode()
        return _short(self.fingerprint) or hashlib.sha256(spelled).hexdigest()[:16]

    @property
    def name(self) -> str:
        """What the alert is called."""
        return _short(self.labels.get("alertname", ""))

    @property
    def title(self) -> str:
        """What it says in short."""
        return _short(self.annotations.get("summary", "")) or self.name or "an alert"

    @property
    def reason(self) -> str:
        """What it says at length."""
        told = _short(self.annotations.get("description", ""))
        return f"alert {self.name or self.key}" + (f": {told}" if told else "")


def matching_rule(plan: Plan, labels: Mapping[str, str]) -> AlertRule | None:
    """Return the first rule of the plan whose labels all are as in `labels`."""
    return next(
        (r for r in plan.alerts if all(labels.get(k) == v for k, v in r.labels.items())), None
    )


def receive_alert(
    journal: Journal, plan: Plan, clock: Clock, new_id: Callable[[], str], alert: Alert
) -> Incident | None:
    """Return the incident that an alert opened or belongs to; None when it concerns none."""
    rule = matching_rule(plan, alert.labels)
    if rule is None:
        return None
    spelled = ",".join(f"{key}={value}" for key, value in sorted(rule.labels.items()))
    return _Intake(journal, clock, new_id).take(alert, rule, f"{spelled}|{alert.name}", "alert")


def receive_overdue(
    journal: Journal, clock: Clock, new_id: Callable[[], str], overdue: Sequence[Overdue]
) -> tuple[Incident, ...]:
    """Open an incident for each missed heartbeat that has none; return those they belong to."""
    intake = _Intake(journal, clock, new_id)
    found = []
    for one in overdue:
        since = "never" if one.last_at is None else f"{one.last_at:%Y-%m-%d %H:%M:%S} UTC"
        alert = _of_heartbeat(one.heartbeat, FIRING, since)
        rule = AlertRule(severity=one.heartbeat.severity, scenario=one.heartbeat.scenario)
        found.append(intake.take(alert, rule, alert.key, "heartbeat"))
    return tuple(one for one in found if one is not None)


def receive_return(
    journal: Journal, clock: Clock, new_id: Callable[[], str], heartbeat: Heartbeat
) -> None:
    """Write down that a heartbeat which was missed comes again."""
    rule = AlertRule(severity=heartbeat.severity, scenario=heartbeat.scenario)
    alert = _of_heartbeat(heartbeat, RESOLVED, "")
    _Intake(journal, clock, new_id).take(alert, rule, alert.key, "heartbeat")


def heartbeat_key(heartbeat_id: str) -> str:
    """Return the fingerprint under which a missed heartbeat is known."""
    return f"heartbeat/{heartbeat_id}"


@dataclass(frozen=True, slots=True)
class _Intake:
    journal: Journal
    clock: Clock
    new_id: Callable[[], str]

    def take(self, alert: Alert, rule: AlertRule, group: str, source: str) -> Incident | None:
        """Return the incident an alert belongs to after it was taken in."""
        with _ONE_AT_A_TIME:
            found = self._belongs_to(alert, rule, group)
            if found is not None:
                return self._news(found, alert, group)
            if alert.status != FIRING or self._is_over(alert):
                return None
            return self._news(self._declared(alert, rule, source), alert, group)

    def _belongs_to(self, alert: Alert, rule: AlertRule, group: str) -> Incident | None:
        """Return the open incident that knows the alert, or that it would belong to."""
        known = open_incidents(self.journal)
        own = next((one for one in known if alert.key in one.alerts), None)
        if own is not None or alert.status != FIRING:
            return own
        same = (one for one in known if rule.scenario and one.scenario == rule.scenario)
        alike = (one for one in known if group in one.groups)
        return next(same, None) or next(alike, None)

    def _is_over(self, alert: Alert) -> bool:
        """Whether people have resolved the incident of this very alert, which fires on."""
        episode = alert.key, alert.starts_at
        return any(episode in one.episodes for one in newest_incidents(self.journal, _REMEMBERED))

    def _declared(self, alert: Alert, rule: AlertRule, source: str) -> Incident:
        """Open an incident; a scenario that a person stopped is held back from it."""
        scenario, reasons = rule.scenario, [alert.reason]
        held = None if scenario is None else held_back(self.journal, scenario, None)
        if held is not None:
            reasons.append(f"{scenario} is held back: {held.stopped_by} ended its last recovery")
            scenario = None
        declaration = Declaration(
            self.new_id(), scenario, alert.title, reasons, None, rule.severity, source
        )
        return declare(self.journal, declaration)

    def _news(self, incident: Incident, alert: Alert, group: str) -> Incident:
        """Write what changed; the same alert again is no news."""
        if incident.alerts.get(alert.key) == alert.status:
            return incident
        data = {
            "fingerprint": alert.key,
            "status": alert.status,
            "name": alert.name,
            "summary": alert.title,
            "group": group,
        }
        if alert.status == FIRING:
            data["starts_at"] = alert.starts_at
        incident = write(self.journal, incident, Kind.ALERTED, data, exact=False)
        if set(incident.alerts.values()) == {RESOLVED}:
            text = "all its alerts are resolved"
            data = {"by": "processpilot", "text": text}
            incident = write(self.journal, incident, Kind.NOTED, data, exact=False)
        return incident


def _of_heartbeat(heartbeat: Heartbeat, status: str, since: str) -> Alert:
    title = heartbeat.title or heartbeat.id
    told = f"the last one came at {since}" if since != "never" else "none ever came"
    return Alert(
        {"alertname": f"heartbeat {heartbeat.id}"},
        status,
        heartbeat_key(heartbeat.id),
        since,
        {"summary": f"No sign of life of {title}", "description": told},
    )


def _short(text: str) -> str:
    """Return other people's words in one line of bounded length."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
