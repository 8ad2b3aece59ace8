"""Tabletop drills: people and clock only, and those who are absent do not count."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from drill_events import FACTS, StillClock
from plan_text import PLAN, load

from processpilot.drill.state import Rehearsal
from processpilot.drill.tabletop import Seat, abort, begin_table, confirm, table_of
from processpilot.errors import RefusedError
from processpilot.journal.journal import Journal
from processpilot.plan.load import LoadedPlan
from processpilot.runbook.history import open_runs
from processpilot.runbook.state import Verdict


def plan_of(absent: tuple[str, ...] = ()) -> LoadedPlan:
    """Return a plan with two people, two steps with boxes, and a tabletop drill."""
    document = yaml.safe_load(PLAN)
    document["team"] = {
        "people": [
            {"name": "Ann", "accounts": ["ann"]},
            {"name": "Bob", "accounts": ["bob"]},
        ],
        "roles": [{"id": "commander", "title": "C", "primary": "Ann", "secondary": "Bob"}],
    }
    document["scenarios"][0]["steps"] = [
        {"id": "look", "title": "Look", "action": "command", "argv": ["false"], "timebox": "5m"},
        {"id": "agree", "title": "Agree", "action": "approval", "approval": "commander"},
    ]
    table = {"id": "table", "title": "Table", "kind": "tabletop", "every": "90d"}
    document["drills"] = [table | {"absent": list(absent)}]
    return load(yaml.safe_dump(document))


class Table:
    """A tabletop drill that was begun, on a clock that tests move."""

    def __init__(self, journal: Journal, clock: StillClock, loaded: LoadedPlan) -> None:
        self.journal, self.clock, self.loaded = journal, clock, loaded
        begun = {"drill": "table", "title": "Table", "kind": "tabletop", "facts": FACTS.to_json()}
        self.begun = begin_table(journal, "1", {**begun}, loaded, loaded.plan.drills[0])

    def seat(self, by: str) -> Seat:
        """Return a person's seat."""
        return Seat(self.journal, "1", by, self.loaded.plan.team)

    def confirm(self, by: str, *, done: bool = True) -> Rehearsal:
        """Let a person confirm the step that waits."""
        return confirm(self.seat(by), None, done=done)


@pytest.fixture
def clock() -> StillClock:
    """Give a clock that stands."""
    return StillClock()


@pytest.fixture
def journal(tmp_path: Path, clock: StillClock) -> Iterator[Journal]:
    """Give a journal of its own."""
    opened = Journal.open(tmp_path / "journal.sqlite", clock)
    yield opened
    opened.close()


def test_every_step_waits_for_people_and_nothing_is_carried_out(
    journal: Journal, clock: StillClock
) -> None:
    """One after the other, each on its own clock; within their boxes the drill has passed."""
    table = Table(journal, clock, plan_of())
    assert [step.is_ready for step in table_of(table.begun)] == [True, False]
    clock.sleep(240)
    after = table.confirm("bob")
    assert [step.is_ready for step in table_of(after)] == [False, True]
    clock.sleep(60)
    done = table.confirm("ann")
    assert (done.verdict, done.reasons, done.recovery_time_s) == (Verdict.PASSED, (), 300.0)
    assert [step.duration_s for step in table_of(done)] == [240.0, 60.0]


def test_no_run_waits_because_of_a_table(journal: Journal, clock: StillClock) -> None:
    """A recovery that becomes necessary meanwhile is not kept back."""
    Table(journal, clock, plan_of())
    assert open_runs(journal) == ()


def test_a_step_that_took_longer_than_its_box_has_missed(
    journal: Journal, clock: StillClock
) -> None:
    """The verdict names it with both values."""
    table = Table(journal, clock, plan_of())
    clock.sleep(301)
    table.confirm("bob")
    done = table.confirm("ann")
    assert (done.verdict, done.reasons) == (
        Verdict.MISSED,
        ("look took 301 s, its time box is 300 s",),
    )


def test_a_step_that_could_not_be_done_fails_the_drill(journal: Journal, clock: StillClock) -> None:
    """At once; nobody sits on."""
    done = Table(journal, clock, plan_of()).confirm("bob", done=False)
    assert done.verdict is Verdict.FAILED


def test_only_whoever_fills_the_role_confirms_its_step(journal: Journal, clock: StillClock) -> None:
    """As in a real run."""
    table = Table(journal, clock, plan_of())
    table.confirm("carol")
    with pytest.raises(RefusedError, match="carol does not fill the role commander"):
        table.confirm("carol")


@pytest.mark.parametrize("absent", ["ann", "Ann"])
def test_the_absent_confirm_nothing_and_their_seconds_do(
    journal: Journal, clock: StillClock, absent: str
) -> None:
    """By name and by account, whatever the step."""
    table = Table(journal, clock, plan_of(absent=("Ann",)))
    with pytest.raises(RefusedError, match="is absent"):
        table.confirm(absent)
    table.confirm("bob")
    with pytest.raises(RefusedError, match="is absent"):
        table.confirm(absent)
    assert table.confirm("bob").verdict is Verdict.PASSED


def test_a_table_can_be_ended_early(journal: Journal, clock: StillClock) -> None:
    """It is aborted, and nobody confirms anything any more."""
    table = Table(journal, clock, plan_of())
    assert abort(table.seat("ann"), "lunch").verdict is Verdict.ABORTED
    with pytest.raises(RefusedError, match="is finished: aborted"):
        table.confirm("bob")
