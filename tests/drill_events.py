"""Rehearsals made up for tests: as the journal would tell them, without walking one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from processpilot.checks.result import CheckResult, Outcome
from processpilot.clock import Clock
from processpilot.drill.facts import Facts
from processpilot.drill.state import Phase, Rehearsal, WalkedPhase
from processpilot.plan.outside import Drill, DrillKind
from processpilot.runbook.state import Verdict

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
FACTS = Facts("0" * 16, "1" * 16, "18.4", "1.0")


class StillClock:
    """A clock that moves only when it is told to."""

    def __init__(self, at: datetime = BEGIN) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - BEGIN).total_seconds()

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def still() -> tuple[StillClock, Clock]:
    """Return a still clock, once more as what the product knows."""
    clock = StillClock()
    return clock, clock


def drill(**fields: Any) -> Drill:
    """Return a drill as a plan would hold it."""
    return Drill.model_validate({"id": "restore", "title": "Restore", "every": "30d"} | fields)


def check(name: str, outcome: Outcome = Outcome.PASSED) -> CheckResult:
    """Return one check."""
    return CheckResult(name, outcome, "this", "that", "because")


def rehearsal(
    verdict: Verdict | None = Verdict.PASSED,
    *,
    at: datetime = BEGIN,
    took_s: float | None = 10.0,
    facts: Facts = FACTS,
    phases: Mapping[Phase, float] | None = None,
) -> Rehearsal:
    """Return a rehearsal of the drill "restore" that began at a moment and took so long."""
    made = Rehearsal(
        rehearsal_id=f"{at:%Y%m%d-%H%M%S}",
        drill="restore",
        title="Restore",
        kind=DrillKind.RESTORE,
        begun_at=at,
        details={"facts": facts.to_json()},
        sequence=2,
    )
    walked = tuple(
        WalkedPhase(phase, at, at + timedelta(seconds=seconds), True, {})
        for phase, seconds in (phases or {}).items()
    )
    if verdict is None:
        return replace(made, phases=walked)
    return replace(
        made,
        phases=walked,
        verdict=verdict,
        recovery_time_s=took_s,
        data_loss_window_s=1.0,
        finished_at=at + timedelta(seconds=took_s or 0.0),
    )
