"""Results of several checks as a step's result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from processpilot.checks.result import CheckResult, Outcome
from processpilot.journal.event import JsonValue
from processpilot.runbook.action import StepFailedError


def checks_json(checks: Sequence[CheckResult]) -> list[JsonValue]:
    """Return check results in the form kept in the journal."""
    return [{**asdict(check), "outcome": str(check.outcome)} for check in checks]


def require_passed(what: str, checks: Sequence[CheckResult]) -> None:
    """Raise StepFailedError, with every result, when a check failed or could not be finished."""
    bad = [c for c in checks if c.outcome in (Outcome.FAILED, Outcome.UNKNOWN)]
    if bad:
        first = bad[0]
        detail = f" ({first.detail})" if first.detail else ""
        raise StepFailedError(
            f"{what}: {len(bad)} of {len(checks)} checks did not pass; {first.name}: "
            f"expected {first.expected}, found {first.actual}{detail}",
            result={"checks": checks_json(checks)},
            hint="Run `processpilot run show` for all of them, then retry, skip or abort.",
        )
