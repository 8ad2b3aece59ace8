"""What asking gave: outcomes of probes and checks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Outcome(StrEnum):
    """Passed, failed, unknown (could not be asked), skipped (does not apply here, with a reason).

    Only passed is green.
    """

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One result of one probe; `probe` is written component.probe."""

    probe: str
    outcome: Outcome
    at: datetime
    duration_s: float
    detail: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the checklist: what was expected and what was found."""

    name: str
    outcome: Outcome
    expected: str
    actual: str
    detail: str = ""


def passed_if(name: str, holds: bool, expected: str, actual: str, detail: str = "") -> CheckResult:
    """Return a result that passed exactly when `holds`."""
    return CheckResult(name, Outcome.PASSED if holds else Outcome.FAILED, expected, actual, detail)
