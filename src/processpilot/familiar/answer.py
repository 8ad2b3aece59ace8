"""What a familiar name found out: results in sections, and the verdict over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from processpilot.checks.result import CheckResult, Outcome
from processpilot.runbook.state import Verdict


@dataclass(frozen=True, slots=True)
class Section:
    """Results that belong together; `hint` says what to do when there are none."""

    title: str
    checks: Sequence[CheckResult]
    hint: str | None = None

    @property
    def is_run(self) -> bool:
        """Whether anything was asked at all."""
        return any(check.outcome is not Outcome.SKIPPED for check in self.checks)


@dataclass(frozen=True, slots=True)
class Answer:
    """All of it; `folder` is the copy that was asked, where it was one."""

    sections: Sequence[Section]
    folder: str | None = None

    @property
    def checks(self) -> list[CheckResult]:
        """Every result."""
        return [check for section in self.sections for check in section.checks]

    @property
    def verdict(self) -> Verdict:
        """Passed only when every section was run and nothing failed or stayed unknown."""
        if any(c.outcome in (Outcome.FAILED, Outcome.UNKNOWN) for c in self.checks):
            return Verdict.FAILED
        if not self.sections or not all(section.is_run for section in self.sections):
            return Verdict.NOT_RUN
        return Verdict.PASSED
