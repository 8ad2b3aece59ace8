"""What a walked drill came to. Pure.

The worst of what was found decides. Cleanup is part of the verdict; a drill whose isolation could
not be proven is missed at best; an objective of which nothing was measured is missed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from processpilot.checks.result import CheckResult, Outcome
from processpilot.runbook.state import Verdict

CLEANUP = "cleanup: "
ISOLATION = "isolation: "
UNPROVEN = "isolation unproven"
# Heartbeats are a second apart, and one may be late: less than two of them is no loss.
_UNSEEN_S = 2.0


@dataclass(frozen=True, slots=True)
class Objective:
    """The objectives of the component that the drill recovers."""

    component: str
    rto_s: float
    rpo_s: float


@dataclass(frozen=True, slots=True)
class Walked:
    """What judging needs: why it ended early, what was found, what was measured."""

    checks: Sequence[CheckResult]
    objective: Objective
    failure: str | None = None
    given_up: str | None = None
    recovery_time_s: float | None = None
    data_loss_window_s: float | None = None
    data_loss_bound_s: float | None = None


def judge(walked: Walked) -> tuple[Verdict, tuple[str, ...]]:
    """Return the verdict and why it is no better."""
    failed = tuple(_failures(walked))
    if failed:
        return Verdict.FAILED, failed
    if walked.given_up is not None:
        return Verdict.ABORTED, (walked.given_up,)
    missed = tuple(_misses(walked))
    return (Verdict.MISSED, missed) if missed else (Verdict.PASSED, ())


def keeps(loss_s: float, rpo_s: float) -> bool:
    """Whether a loss, as far as heartbeats can tell, is within the objective."""
    return loss_s <= max(rpo_s, _UNSEEN_S)


def _failures(walked: Walked) -> Iterator[str]:
    for check in walked.checks:
        if check.outcome is Outcome.FAILED:
            wrong = "cleanup failed: " if check.name.startswith(CLEANUP) else ""
            name = check.name.removeprefix(CLEANUP)
            yield f"{wrong}{name}: expected {check.expected}, found {check.actual}"
    if walked.failure is not None:
        yield walked.failure


def _misses(walked: Walked) -> Iterator[str]:
    unknown = [check for check in walked.checks if check.outcome is Outcome.UNKNOWN]
    for check in unknown:
        what = UNPROVEN if check.name.startswith(ISOLATION) else check.name
        yield f"{what}: {check.detail or check.actual}"
    aim = walked.objective
    if walked.recovery_time_s is None:
        yield "the recovery time was not measured"
    elif walked.recovery_time_s > aim.rto_s:
        yield f"recovered in {walked.recovery_time_s:.1f} s, the objective is {aim.rto_s:g} s"
    loss, at_most = walked.data_loss_window_s, ""
    if loss is None:
        loss, at_most = walked.data_loss_bound_s, "at most "
    if loss is None:
        yield "the data loss was not measured"
    elif not keeps(loss, aim.rpo_s):
        yield f"lost {at_most}{loss:.1f} s, the objective is {aim.rpo_s:g} s"
