"""Plans with a team, levels and channels, and incidents without a journal, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from plan_text import PLAN

from processpilot.clock import SystemClock
from processpilot.incident.state import PREFIX, Incident, Kind, apply, fold
from processpilot.journal.event import Event, JsonValue
from processpilot.plan.load import LoadedPlan, parse_plan

BEGIN = datetime(2026, 11, 26, 3, 0, tzinfo=UTC)

TEAM = """\
team:
  people:
    - {name: Ada, accounts: [ada], channels: [ada-mail, ada-hook]}
    - {name: Ben, channels: [ben-hook]}
    - {name: Cleo, channels: [cleo-hook]}
    - {name: Dan}
  roles:
    - {id: commander, title: Commander, primary: Cleo, secondary: Dan}
    - {id: dba, title: Database Administrator, primary: Ada, secondary: Ben}
    - {id: press, title: Communications, primary: Ben}
  escalation:
    - {after: 0, page: [primary]}
    - {after: 30m, page: [secondary]}
    - {after: 60m, page: [commander]}
"""
CHANNELS = """\
channels:
  - {id: ada-mail, url: "file:ada-mail"}
  - {id: ada-hook, url: "file:ada-hook"}
  - {id: ben-hook, url: "file:ben-hook"}
  - {id: cleo-hook, url: "file:cleo-hook"}
  - {id: word, url: "file:word"}
"""


class SetClock(SystemClock):
    """A clock that shows what the test sets; waiting takes no time."""

    def __init__(self, at: datetime = BEGIN) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - BEGIN).total_seconds()

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def staffed_text(extra: str = "", *, team: str = TEAM) -> str:
    """Return the small plan with this team."""
    old = "team:\n  roles:\n    - {id: commander, title: Commander}\n"
    assert PLAN.count(old) == 1
    return PLAN.replace(old, team + CHANNELS) + extra


def staffed(folder: Path, extra: str = "", *, team: str = TEAM) -> LoadedPlan:
    """Return the plan as it lies in a folder."""
    path = folder / "processpilot.yaml"
    path.write_text(staffed_text(extra, team=team))
    return parse_plan(path.read_text(), path)


def point(folder: Path, channel: str, url: str) -> None:
    """Have a channel lead there."""
    path = folder / channel
    path.touch(0o600)
    path.write_text(f"{url}\n")


def declared(scenario: str | None = None, at: datetime = BEGIN) -> Incident:
    """Return a new incident."""
    data: dict[str, JsonValue] = {
        "scenario": scenario,
        "title": "Database failure",
        "severity": "SEV-1",
        "source": "probes",
        "reasons": ["database.connect fails"],
        "last_passed_at": None,
    }
    return fold("i1", [_event(1, at, Kind.DECLARED, data)])


def then(incident: Incident, at: datetime, kind: Kind, data: Mapping[str, JsonValue]) -> Incident:
    """Return the incident after one more event."""
    return apply(incident, _event(incident.sequence + 1, at, kind, data))


def _event(sequence: int, at: datetime, kind: Kind, data: Mapping[str, JsonValue]) -> Event:
    return Event(sequence, f"{PREFIX}i1", sequence, at, kind, data, 0, "", "")
