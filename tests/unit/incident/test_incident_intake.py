"""Alerts and heartbeats: what opens an incident, what is news of one, and what is neither."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
from incident_plans import BEGIN, SetClock, staffed_text
from plan_text import PATH

from processpilot.errors import NotFoundError
from processpilot.incident.heartbeat import (
    last_beats,
    overdue_heartbeats,
    receive_heartbeat,
)
from processpilot.incident.intake import Alert, matching_rule, receive_alert
from processpilot.incident.people import resolve_by_hand
from processpilot.incident.record import Declaration, declare, open_incidents, resolve
from processpilot.incident.state import Incident, Kind
from processpilot.journal.journal import Journal
from processpilot.plan.alarm import Severity
from processpilot.plan.load import parse_plan

RULES = """\
alerts:
  - {labels: {alertname: Down, job: db}, severity: SEV-1, scenario: failure}
  - {labels: {severity: page}, severity: SEV-3}
heartbeats: [{id: nightly, title: Nightly job, every: 24h, grace: 1h}]
"""
PLAN = parse_plan(staffed_text(RULES), PATH).plan
DISK = Alert(
    {"alertname": "DiskFull", "severity": "page", "host": "a"},
    "firing",
    "f1",
    "2026-11-26T02:59:00Z",
    {"summary": "Disk is full", "description": "98 % of /var\nis used"},
)
DOWN = Alert({"alertname": "Down", "job": "db"}, "firing", "f9", "2026-11-26T02:59:00Z")


class Gate:
    """Takes alerts into a journal."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.numbers = count(1)

    def take(self, alert: Alert) -> Incident | None:
        new_id = f"i{next(self.numbers)}"
        return receive_alert(self.journal, PLAN, self.journal.clock, lambda: new_id, alert)

    @property
    def events(self) -> int:
        return len(self.journal.since(0, 1000))


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """Give a gate with an empty journal."""
    with closing(Journal.open(tmp_path / "journal.sqlite", SetClock())) as journal:
        yield Gate(journal)


def test_the_first_rule_whose_labels_all_match_decides(gate: Gate) -> None:
    """Severity and scenario are the rule's; an alert without rule is nobody's."""
    disk = gate.take(DISK)
    assert disk is not None
    assert (disk.title, disk.severity, disk.scenario) == ("Disk is full", Severity.SEV3, None)
    assert disk.reasons == ("alert DiskFull: 98 % of /var is used",)
    assert disk.source == "alert"
    down = gate.take(DOWN)
    assert down is not None and (down.severity, down.scenario) == (Severity.SEV1, "failure")
    assert gate.take(replace(DOWN, labels={"alertname": "Down"})) is None
    assert matching_rule(PLAN, {}) is None


def test_a_flood_of_the_same_alert_writes_nothing(gate: Gate) -> None:
    """One incident, one event, from however many threads."""
    first = gate.take(DISK)
    written = gate.events
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(gate.take, [DISK] * 64))
    assert found == [first] * 64
    assert gate.events == written


def test_alerts_at_once_open_one_incident(gate: Gate) -> None:
    """Those of one rule and name belong together."""
    alerts = [replace(DISK, fingerprint=f"f{n}") for n in range(16)]
    with ThreadPoolExecutor(8) as pool:
        found = {one.incident_id for one in pool.map(gate.take, alerts) if one is not None}
    assert len(found) == 1
    (incident,) = open_incidents(gate.journal)
    assert len(incident.alerts) == 16


def test_another_alert_opens_another_incident(gate: Gate) -> None:
    """A rule that takes many does not make one matter of them."""
    first = gate.take(DISK)
    other = gate.take(replace(DISK, labels={**DISK.labels, "alertname": "Slow"}, fingerprint="f2"))
    assert first is not None and other is not None
    assert first.incident_id != other.incident_id


def test_an_alert_joins_the_incident_of_its_scenario(gate: Gate) -> None:
    """Whatever opened it: no second recovery begins."""
    opened = declare(gate.journal, Declaration("p1", "failure", "Failure", ["probe"], None))
    found = gate.take(DOWN)
    assert found is not None and found.incident_id == opened.incident_id
    assert found.alerts == {"f9": "firing"}


def test_when_all_are_resolved_it_is_noted(gate: Gate) -> None:
    """The incident stays open: people say when it is over."""
    gate.take(DISK)
    gate.take(replace(DISK, fingerprint="f2"))
    assert noted(gate, gate.take(replace(DISK, status="resolved"))) == []
    found = gate.take(replace(DISK, status="resolved", fingerprint="f2"))
    assert noted(gate, found) == ["all its alerts are resolved"]
    assert found is not None and found.is_open
    assert gate.take(replace(DISK, status="resolved", fingerprint="f3")) is None


def noted(gate: Gate, incident: Incident | None) -> list[str]:
    """Return what was noted in an incident."""
    assert incident is not None
    events = gate.journal.read(f"incident/{incident.incident_id}")
    return [str(event.data["text"]) for event in events if event.kind == Kind.NOTED]


def test_an_alert_that_fires_on_after_the_end_opens_nothing(gate: Gate) -> None:
    """Repeated by its sender it is the same matter; beginning anew, it is a new one."""
    first = gate.take(DISK)
    assert first is not None
    resolve_by_hand(gate.journal, first.incident_id, "ada", "we know")
    assert gate.take(DISK) is None
    again = gate.take(replace(DISK, starts_at="2026-11-26T05:00:00Z"))
    assert again is not None and again.incident_id != first.incident_id


def test_a_scenario_that_people_stopped_is_held_back(gate: Gate) -> None:
    """The incident is opened, and no recovery begins by itself."""
    opened = declare(gate.journal, Declaration("p1", "failure", "Failure", ["probe"], None))
    resolve(gate.journal, opened, "aborted", stopped_by="ada")
    found = gate.take(DOWN)
    assert found is not None and found.scenario is None
    assert "failure is held back: ada ended its last recovery" in found.reasons


def test_other_peoples_words_are_bounded(gate: Gate) -> None:
    """One line, of a length that fits on a telephone."""
    loud = {"summary": "x" * 100_000, "description": "a\x1b[31m\n\nb"}
    found = gate.take(replace(DISK, annotations=loud, fingerprint=""))
    assert found is not None
    assert len(found.title) <= 301
    assert found.reasons == ("alert DiskFull: a [31m b",)
    (key,) = found.alerts
    assert len(key) == 16


def test_a_heartbeat_is_kept_in_a_small_file(tmp_path: Path) -> None:
    """The newest only; one that the plan does not have is refused."""
    clock = SetClock()
    for _ in range(3):
        clock.at += timedelta(minutes=1)
        receive_heartbeat(tmp_path, PLAN, clock, "nightly")
    assert last_beats(tmp_path, PLAN) == {"nightly": clock.at}
    assert [path.name for path in (tmp_path / "heartbeats").iterdir()] == ["nightly"]
    for name in ("other", "../../etc/passwd", ""):
        with pytest.raises(NotFoundError):
            receive_heartbeat(tmp_path, PLAN, clock, name)


def test_a_heartbeat_is_overdue_to_the_second() -> None:
    """Its time and its grace after the last, or after somebody began to listen."""
    day = timedelta(hours=25)
    second = timedelta(seconds=1)
    assert overdue_heartbeats(PLAN, {"nightly": BEGIN}, BEGIN + day, BEGIN) == ()
    (late,) = overdue_heartbeats(PLAN, {"nightly": BEGIN}, BEGIN + day + second, BEGIN)
    assert (late.last_at, late.due_at) == (BEGIN, BEGIN + day)
    later = BEGIN + 10 * day
    assert overdue_heartbeats(PLAN, {"nightly": BEGIN}, later + day, later) == ()
    (never,) = overdue_heartbeats(PLAN, {}, later + day + second, later)
    assert never.last_at is None


def test_a_damaged_heartbeat_counts_as_none(tmp_path: Path) -> None:
    """A file that was cut off keeps nobody from noticing."""
    (tmp_path / "heartbeats").mkdir()
    (tmp_path / "heartbeats" / "nightly").write_text("2026-11-")
    assert last_beats(tmp_path, PLAN) == {}
