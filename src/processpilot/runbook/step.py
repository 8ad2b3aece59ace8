"""Steps as a run pins them when it begins, and what may become of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from processpilot.journal.event import JsonValue


class StepOutcome(StrEnum):
    """Where a step is. Only passed is green; unknown means started, and nobody knows the end."""

    WAITING = "waiting"
    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"
    NOT_RUN = "not-run"


@dataclass(frozen=True, slots=True)
class StepSpec:
    """One step: `approval` is the role that must agree first, `retries` how often it is repeated
    by itself after a passing failure of the outside world, `skippable` whether people may leave it
    out."""

    id: str
    title: str
    action: str
    timebox_s: float | None = None
    approval: str | None = None
    retries: int = 0
    skippable: bool = True

    def to_json(self) -> dict[str, JsonValue]:
        """Return the form kept in the journal."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StepSpec:
        """Return the step kept in the journal as `data`."""
        return cls(
            str(data["id"]),
            str(data["title"]),
            str(data["action"]),
            data.get("timebox_s"),
            data.get("approval"),
            int(data.get("retries", 0)),
            bool(data.get("skippable", True)),
        )


@dataclass(frozen=True, slots=True)
class StepError:
    """Why an attempt failed, as it is told to people."""

    code: str
    message: str
    hint: str | None
    transient: bool


@dataclass(frozen=True, slots=True)
class StepState:
    """A step of a run: its newest attempt, and what came of it.

    `begin_at` is when the first attempt began, `end_at` when the last one ended. `probed` is True
    once the step's own probe was asked about an attempt nobody saw the end of.
    """

    spec: StepSpec
    outcome: StepOutcome = StepOutcome.WAITING
    attempt: int = 0
    result: Mapping[str, JsonValue] | None = None
    error: StepError | None = None
    begin_at: datetime | None = None
    end_at: datetime | None = None
    asked: bool = False
    approved_by: str | None = None
    refused_by: str | None = None
    probed: bool = False
    reason: str | None = None

    @property
    def is_settled(self) -> bool:
        """Whether the run may go on to the next step."""
        return self.outcome in (StepOutcome.PASSED, StepOutcome.SKIPPED)

    @property
    def duration_s(self) -> float | None:
        """Seconds from the first attempt's begin to the last one's end."""
        if self.begin_at is None or self.end_at is None:
            return None
        return (self.end_at - self.begin_at).total_seconds()
