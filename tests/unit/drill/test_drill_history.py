"""Drills in the journal: folded, listed, their distribution, the gate against getting slower."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from drill_events import FACTS, check, rehearsal, still

from processpilot.drill.history import (
    distribution,
    history,
    open_rehearsals,
    read_rehearsal,
    recovery_times,
    slower_than_before,
)
from processpilot.drill.record import LEASE, Ending, Record
from processpilot.drill.state import Phase, stream_of
from processpilot.errors import LockedError, NotFoundError
from processpilot.journal.event import JsonValue
from processpilot.journal.journal import Journal
from processpilot.runbook.state import Verdict

BEGUN: dict[str, JsonValue] = {
    "drill": "restore",
    "title": "Restore",
    "kind": "restore",
    "facts": FACTS.to_json(),
    "seed": 1,
}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Give a journal of its own."""
    opened = Journal.open(tmp_path / "journal.sqlite", still()[1])
    yield opened
    opened.close()


def test_a_rehearsal_is_read_back_as_it_was_written(journal: Journal) -> None:
    """Phases with their results, checks, verdict and figures."""
    record = Record(journal, journal.begin_epoch(LEASE), "1")
    record.begin(BEGUN)
    with record.phase(Phase.RESOLVE) as result:
        result["moment"] = "then"
    with pytest.raises(NotFoundError), record.phase(Phase.RESTORE):
        raise NotFoundError("no backup")
    record.checked([check("data")])
    assert open_rehearsals(journal) == ("1",)
    record.finish(Ending(Verdict.FAILED, ("no backup",), ("look at it",), None, 1.5, 2.0))
    found = read_rehearsal(journal, "1")
    assert [(walked.phase, walked.passed) for walked in found.phases] == [
        (Phase.RESOLVE, True),
        (Phase.RESTORE, False),
    ]
    assert found.result_of(Phase.RESOLVE) == {"moment": "then"}
    assert found.checks == (check("data"),)
    assert (found.verdict, found.reasons, found.findings) == (
        Verdict.FAILED,
        ("no backup",),
        ("look at it",),
    )
    assert (found.data_loss_window_s, found.data_loss_bound_s) == (1.5, 2.0)
    assert found.facts == FACTS
    assert open_rehearsals(journal) == ()


def test_whoever_lost_the_lease_cannot_write(journal: Journal) -> None:
    """A drill that somebody swept up as dead gets no second verdict."""
    record = Record(journal, journal.begin_epoch(LEASE), "1")
    record.begin(BEGUN)
    journal.begin_epoch(LEASE)
    with pytest.raises(LockedError):
        record.finish(Ending(Verdict.PASSED))


def test_a_stream_that_cannot_be_read_keeps_no_other_back(journal: Journal) -> None:
    """It is left out of the history, which is ordered by begin."""
    lease = journal.begin_epoch(LEASE)
    Record(journal, lease, "1").begin(BEGUN)
    journal.append(stream_of("broken"), "drill-begun", {"drill": "restore"})
    Record(journal, lease, "2").begin(BEGUN)
    assert {found.rehearsal_id for found in history(journal)} == {"1", "2"}


def test_only_drills_that_came_to_their_end_are_measured() -> None:
    """A failed one was perhaps fast because it did nothing."""
    begun = [rehearsal(Verdict.FAILED, took_s=1.0), rehearsal(took_s=5.0), rehearsal(None)]
    assert recovery_times(begun) == [5.0]


def test_a_distribution_names_count_median_p95_and_worst() -> None:
    """The 95th percentile by nearest rank."""
    found = distribution([float(n) for n in range(1, 101)])
    assert found is not None
    assert (found.count, found.median_s, found.p95_s, found.worst_s) == (100, 50.5, 95.0, 100.0)
    assert distribution([]) is None


@pytest.mark.parametrize(
    ("now_s", "earlier", "slower"),
    [
        (39.9, [10.0] * 3, False),
        (40.1, [10.0] * 3, True),
        (149.0, [100.0] * 3, False),
        (151.0, [100.0] * 3, True),
        (1000.0, [], False),
        (41.0, [10.0] * 10 + [1000.0] * 50, True),
    ],
)
def test_the_gate_allows_half_as_much_again_or_half_a_minute(
    now_s: float, earlier: list[float], slower: bool
) -> None:
    """Over the median of the last ten; without any there is nothing to compare with."""
    assert (slower_than_before(now_s, earlier) is not None) is slower
