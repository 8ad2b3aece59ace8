"""When drills are due, and that none is begun beside a run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from drill_events import BEGIN, StillClock, drill, rehearsal

from processpilot.drill.schedule import NOT_WALKED, Drills, next_due
from processpilot.journal.journal import Journal
from processpilot.runbook.state import Kind, Verdict

HOUR = timedelta(hours=1)


def test_without_a_backup_nothing_is_due() -> None:
    """There would be nothing to restore."""
    assert next_due(drill(), (), None).at is None


def test_a_drill_that_never_ran_waits_a_day_from_the_first_backup() -> None:
    """Whoever has just set up is not surprised at once."""
    assert next_due(drill(), (), BEGIN).at == BEGIN + timedelta(days=1)
    assert next_due(drill(every="1h"), (), BEGIN).at == BEGIN + HOUR


def test_a_drill_is_due_again_when_it_is_as_old_as_it_may_become() -> None:
    """Counted from its begin, also after a failure."""
    for verdict in (Verdict.PASSED, Verdict.FAILED, None):
        due = next_due(drill(), (rehearsal(verdict),), BEGIN - HOUR)
        assert due.at == BEGIN + timedelta(days=30)


def test_a_schedule_says_when() -> None:
    """The first moment after the drill was last begun, whatever its age allows."""
    monthly = drill(schedule="0 4 1 * *")
    assert next_due(monthly, (rehearsal(),), BEGIN).at == datetime(
        2026, 4, 1, 4, tzinfo=BEGIN.tzinfo
    )


def test_a_drill_that_gave_way_is_tried_again_after_an_hour() -> None:
    """It does not count as having been run."""
    given_way = rehearsal(Verdict.ABORTED, at=BEGIN + timedelta(days=40))
    due = next_due(drill(), (given_way, rehearsal()), BEGIN)
    assert due.at == BEGIN + timedelta(days=40) + HOUR


def test_a_tabletop_drill_is_begun_by_people() -> None:
    """Nobody is called to the table by a clock."""
    assert next_due(drill(kind="tabletop"), (), BEGIN).at is None


class Process:
    """A process that walks a drill, until it is told to end."""

    def __init__(self) -> None:
        self.status: int | None = None

    def poll(self) -> int | None:
        return self.status

    def terminate(self) -> None:
        self.status = 1

    def wait(self) -> int:
        assert self.status is not None
        return self.status


class Bench:
    """Drills over a journal of their own, and the processes that were begun."""

    def __init__(self, journal: Journal, clock: StillClock) -> None:
        self.journal, self.clock = journal, clock
        self.begun: list[Process] = []
        self.drills = Drills(lambda: [drill(every="1h")], journal, clock, self._begin)

    def _begin(self, _drill_id: str) -> Process:
        self.begun.append(Process())
        return self.begun[-1]

    def after(self, seconds: float) -> str | None:
        self.clock.sleep(seconds)
        return self.drills.tick()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Give drills over a journal in which backups have begun."""
    clock = StillClock()
    journal = Journal.open(tmp_path / "journal.sqlite", clock)
    journal.append("backups", "backup-finished", {})
    yield Bench(journal, clock)
    journal.close()


def test_a_drill_is_begun_when_it_is_due_and_only_once(bench: Bench) -> None:
    """While its process lives no second one is."""
    assert bench.after(3599) is None
    assert bench.after(15) == "restore"
    assert bench.after(100) is None
    assert len(bench.begun) == 1


def test_no_drill_is_begun_while_a_run_is_open(bench: Bench) -> None:
    """It is once the run is finished."""
    bench.journal.append("run/1", Kind.RUN_BEGUN, {})
    assert bench.after(4000) is None
    bench.journal.append("run/1", Kind.RUN_FINISHED, {})
    assert bench.after(15) == "restore"


def test_a_run_ends_the_drill_that_is_under_way(bench: Bench) -> None:
    """Recovery needs the machine."""
    bench.after(4000)
    bench.journal.append("run/1", Kind.RUN_BEGUN, {})
    bench.after(15)
    assert bench.begun[0].status == 1


def test_stopping_ends_the_drill_that_is_under_way(bench: Bench) -> None:
    """And waits for its cleanup."""
    bench.after(4000)
    assert bench.drills.under_way
    bench.drills.stop()
    assert not bench.drills.under_way


def test_a_drill_that_cannot_begin_is_written_down_and_tried_again_in_an_hour(bench: Bench) -> None:
    """Not every quarter of a minute."""
    assert bench.after(4000) == "restore"
    bench.begun[0].status = 4
    assert bench.after(15) is None
    found = bench.journal.latest(NOT_WALKED)
    assert found is not None
    assert found.data == {"drill": "restore", "exit_status": 4}
    assert bench.after(3500) is None
    assert bench.after(100) == "restore"
