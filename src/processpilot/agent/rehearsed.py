"""What was rehearsed and what that is worth today: how drills stand, when paging was tried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from processpilot.drill.builtin import drills_of
from processpilot.drill.history import history
from processpilot.drill.standing import StandingState, standing_of
from processpilot.incident.paging import TESTED
from processpilot.wiring.drilling import facts_now
from processpilot.wiring.wired import Wired

_BAD = (StandingState.FAILED, StandingState.LAPSED, StandingState.MISSED)


@dataclass(frozen=True, slots=True)
class DrillStanding:
    """How one drill stands today, and why; `at` is when it last ended."""

    drill: str
    title: str
    state: StandingState
    why: str
    at: datetime | None


def drill_standings(wired: Wired) -> tuple[DrillStanding, ...]:
    """Return how each of the plan's drills stands."""
    rehearsals = history(wired.journal)
    now = wired.clock.now()
    found = []
    for drill in drills_of(wired.loaded.plan):
        standing = standing_of(drill, rehearsals, facts_now(wired, drill), now)
        found.append(
            DrillStanding(drill.id, drill.title, standing.state, standing.why, standing.at)
        )
    return tuple(found)


def problems_in(standings: tuple[DrillStanding, ...]) -> Iterator[str]:
    """Yield what needs attention: a drill that never ran is shown, but nothing has got worse."""
    for one in standings:
        if one.state in _BAD:
            yield f"drill {one.drill} {one.state}: {one.why}"


def paging_tested_at(wired: Wired) -> datetime | None:
    """Return when the way that pages go was last tried, None when never."""
    event = wired.journal.latest(TESTED)
    return None if event is None else event.at
