"""Health from a row of probe results: pure, so that one bad answer is not an outage.

A probe is failing after `fail_after` failures in a row and healthy again after `recover_after`
successes in a row. Before either it is unknown. An unknown result counts for neither side and
breaks no row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from processpilot.checks.result import Outcome, ProbeResult


class Health(StrEnum):
    """What a probe says after its thresholds."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class ProbeHealth:
    """A probe's health, how many results in a row point elsewhere, and when it last passed."""

    health: Health = Health.UNKNOWN
    streak: int = 0
    streak_outcome: Outcome | None = None
    last_passed_at: datetime | None = None
    failing_since: datetime | None = None
    detail: str = ""


def observe(
    before: ProbeHealth, result: ProbeResult, *, fail_after: int, recover_after: int
) -> ProbeHealth:
    """Return the health after one more result."""
    if result.outcome is Outcome.UNKNOWN:
        return replace(before, detail=result.detail)
    same = before.streak_outcome is result.outcome
    after = replace(
        before,
        streak=before.streak + 1 if same else 1,
        streak_outcome=result.outcome,
        detail=result.detail,
    )
    if result.outcome is Outcome.PASSED:
        after = replace(after, last_passed_at=result.at, failing_since=None)
        needed = recover_after if before.health is Health.FAILING else 1
        return replace(after, health=Health.HEALTHY) if after.streak >= needed else after
    if before.failing_since is None:
        after = replace(after, failing_since=result.at)
    return replace(after, health=Health.FAILING) if after.streak >= fail_after else after
