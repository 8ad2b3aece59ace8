"""Writing a drill down: one stream for each rehearsal, under the lease of whoever leads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from processpilot.checks.result import CheckResult
from processpilot.drill.state import Kind, Phase, check_json, stream_of
from processpilot.journal.event import JsonValue
from processpilot.journal.journal import Journal
from processpilot.journal.lease import Lease
from processpilot.runbook.state import Verdict

LEASE = "drill"


@dataclass(frozen=True, slots=True)
class Ending:
    """What a rehearsal came to."""

    verdict: Verdict
    reasons: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    recovery_time_s: float | None = None
    data_loss_window_s: float | None = None
    data_loss_bound_s: float | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """The stream of one rehearsal, to be written by the one process that holds the lease."""

    journal: Journal
    lease: Lease
    rehearsal_id: str

    def begin(self, data: Mapping[str, JsonValue]) -> None:
        """Write down that it begins."""
        self._write(Kind.BEGUN, data, first=True)

    @contextmanager
    def phase(self, phase: Phase) -> Iterator[dict[str, JsonValue]]:
        """Time a phase and write down how it ended; what is put into the dict is its result."""
        begin_at = self.journal.clock.now()
        result: dict[str, JsonValue] = {}
        passed = False
        try:
            yield result
            passed = True
        finally:
            data: dict[str, JsonValue] = {
                "phase": str(phase),
                "begin_at": begin_at.isoformat(),
                "passed": passed,
                "result": result,
            }
            self._write(Kind.PHASE_FINISHED, data)

    def checked(self, checks: Sequence[CheckResult]) -> None:
        """Write results of checks down."""
        self._write(Kind.CHECKED, {"checks": [check_json(check) for check in checks]})

    def finish(self, ending: Ending) -> None:
        """Write the verdict down."""
        self._write(
            Kind.FINISHED,
            {
                "verdict": str(ending.verdict),
                "reasons": list(ending.reasons),
                "findings": list(ending.findings),
                "recovery_time_s": ending.recovery_time_s,
                "data_loss_window_s": ending.data_loss_window_s,
                "data_loss_bound_s": ending.data_loss_bound_s,
            },
        )

    def _write(self, kind: Kind, data: Mapping[str, JsonValue], *, first: bool = False) -> None:
        self.journal.append(
            stream_of(self.rehearsal_id),
            kind,
            data,
            expected_sequence=1 if first else None,
            lease=self.lease,
        )
