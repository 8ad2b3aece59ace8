"""What a drill is worth today: its last verdict, unless that has lapsed. Not run is never green."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from processpilot.drill.facts import Facts
from processpilot.drill.history import of_drill
from processpilot.drill.state import Rehearsal
from processpilot.plan.outside import Drill
from processpilot.runbook.state import Verdict


class StandingState(StrEnum):
    """Only passed is green. Lapsed: it passed or missed once, and that no longer counts."""

    PASSED = "passed"
    MISSED = "missed"
    FAILED = "failed"
    LAPSED = "lapsed"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a drill stands, why, and the rehearsal that says so."""

    state: StandingState
    why: str
    rehearsal_id: str | None = None
    at: datetime | None = None


_COUNTED = {
    Verdict.PASSED: StandingState.PASSED,
    Verdict.MISSED: StandingState.MISSED,
    Verdict.FAILED: StandingState.FAILED,
}


def standing_of(
    drill: Drill, rehearsals: Iterable[Rehearsal], facts: Facts, now: datetime
) -> Standing:
    """Return how a drill stands, from its rehearsals, newest first; aborted ones say nothing."""
    counted = [r for r in of_drill(rehearsals, drill.id) if r.verdict in _COUNTED]
    if not counted:
        return Standing(StandingState.NEVER, "it has never been run to its end")
    newest = counted[0]
    assert newest.verdict is not None and newest.finished_at is not None
    state = _COUNTED[newest.verdict]
    why = "; ".join(newest.reasons) or f"{state} {newest.finished_at:%Y-%m-%d %H:%M} UTC"
    if state is not StandingState.FAILED:
        lapses = list(facts.changes_since(newest.facts))
        age = now - newest.finished_at
        if age > timedelta(seconds=drill.every_s):
            lapses.insert(0, f"it is {_days(age)} old, at most {_days(drill.every_s)} count")
        if lapses:
            state, why = StandingState.LAPSED, "; ".join(lapses)
    return Standing(state, why, newest.rehearsal_id, newest.finished_at)


def _days(span: timedelta | float) -> str:
    seconds = span if isinstance(span, float) else span.total_seconds()
    return f"{seconds / 86400:.1f} days" if seconds >= 86400 else f"{seconds / 3600:.1f} h"
