"""Drills in the journal: those there were, those nobody finished, and their distribution."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from processpilot.drill.state import PREFIX, Kind, Rehearsal, fold, stream_of
from processpilot.errors import IntegrityError, NotFoundError
from processpilot.journal.journal import Journal
from processpilot.runbook.state import Verdict

LOOKED_AT = 200
COMPARED = 10
_FACTOR = 1.5
_SLACK_S = 30.0
# A figure counts only of a drill that came to its end with data that was whole.
MEASURED = (Verdict.PASSED, Verdict.MISSED)


@dataclass(frozen=True, slots=True)
class Distribution:
    """Measured seconds: how many, the median, the 95th percentile (nearest rank), the worst."""

    count: int
    median_s: float
    p95_s: float
    worst_s: float


def read_rehearsal(journal: Journal, rehearsal_id: str) -> Rehearsal:
    """Return a rehearsal; NotFoundError when there is none of that id."""
    events = journal.read(stream_of(rehearsal_id))
    if not events:
        raise NotFoundError(
            f"there is no drill {rehearsal_id}", hint="Run `processpilot drill list` to see them."
        )
    return fold(events)


def history(journal: Journal, limit: int = LOOKED_AT) -> tuple[Rehearsal, ...]:
    """Return at most `limit` rehearsals, the one begun last first.

    One whose events cannot be read any more is left out: it must not keep new ones back.
    """
    found = []
    for stream in journal.newest_streams(PREFIX, limit):
        try:
            found.append(fold(journal.read(stream)))
        except IntegrityError:
            continue
    return tuple(sorted(found, key=lambda r: (r.begun_at, r.rehearsal_id), reverse=True))


def open_rehearsals(journal: Journal) -> tuple[str, ...]:
    """Return the ids of rehearsals without a verdict, the one with the newest event first."""
    streams = journal.open_streams(Kind.BEGUN, Kind.FINISHED)
    return tuple(stream.removeprefix(PREFIX) for stream in streams)


def of_drill(rehearsals: Iterable[Rehearsal], drill_id: str) -> tuple[Rehearsal, ...]:
    """Return the rehearsals of one drill, in the order given."""
    return tuple(rehearsal for rehearsal in rehearsals if rehearsal.drill == drill_id)


def recovery_times(rehearsals: Iterable[Rehearsal]) -> list[float]:
    """Return the recovery times measured, in the order given."""
    return [
        r.recovery_time_s
        for r in rehearsals
        if r.verdict in MEASURED and r.recovery_time_s is not None
    ]


def losses(rehearsals: Iterable[Rehearsal]) -> list[float]:
    """Return the data loss windows measured, in the order given."""
    return [
        r.data_loss_window_s
        for r in rehearsals
        if r.verdict in MEASURED and r.data_loss_window_s is not None
    ]


def distribution(values: Sequence[float]) -> Distribution | None:
    """Return how measured seconds are distributed; None when nothing was measured."""
    if not values:
        return None
    ordered = sorted(values)
    p95 = ordered[max(0, math.ceil(0.95 * len(ordered)) - 1)]
    return Distribution(len(ordered), statistics.median(ordered), p95, ordered[-1])


def slower_than_before(now_s: float, earlier: Sequence[float]) -> str | None:
    """Return the finding that a recovery was slower than the last ten, newest first, allow.

    Allowed is the larger of one and a half times their median, and half a minute more than it.
    """
    if not earlier:
        return None
    median = statistics.median(earlier[:COMPARED])
    limit = max(_FACTOR * median, median + _SLACK_S)
    if now_s <= limit:
        return None
    return (
        f"slower than before: {now_s:.1f} s, the median of the last "
        f"{min(len(earlier), COMPARED)} is {median:.1f} s, allowed {limit:.1f} s"
    )
