"""Steps as a run pins them when it begins, and what may become of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

from processpilot.journal.event import JsonValue


class StepOutcome(StrEnum):
    """Where a step is. Only passed is green; unknown means started, and nobody knows the end.

    A step is not needed where its `only_if` did not hold: it is settled, and nothing was left out.
    """

    WAITING = "waiting"
    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    NOT_NEEDED = "not-needed"
    UNKNOWN = "unknown"
    NOT_RUN = "not-run"


SETTLED = (StepOutcome.PASSED, StepOutcome.SKIPPED, StepOutcome.NOT_NEEDED)
MANUAL = "manual"


class OnFailure(StrEnum):
    """What follows a failure that no retry mended."""

    STOP = "stop"
    RETRY = "retry"
    UNDO = "undo"
    GO_ON = "go-on"


Settings = Mapping[str, Any]
_LISTS = ("after", "groups", "brings_up")


@dataclass(frozen=True, slots=True)
class StepSpec:
    """One step as the run pinned it.

    `approval` is the role that must agree first, `retries` how often it is repeated by itself after
    a passing failure of the outside world, `skippable` whether people may leave it out. `after`
    names the steps that must be settled before; `groups` those it belongs to, the outermost first.
    `settings`, `undo` and the three conditions are in the form of `plan.act` and `plan.condition`.
    """

    id: str
    title: str
    action: str
    timebox_s: float | None = None
    approval: str | None = None
    retries: int = 0
    skippable: bool = True
    settings: Settings = field(default_factory=dict)
    after: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    component: str | None = None
    role: str | None = None
    estimate_s: float | None = None
    brings_up: tuple[str, ...] = ()
    precondition: Settings | None = None
    only_if: Settings | None = None
    probe: Settings | None = None
    undo: Settings | None = None
    on_failure: OnFailure = OnFailure.STOP
    reason: str | None = None

    def to_json(self) -> dict[str, JsonValue]:
        """Return the form kept in the journal: what differs from the defaults."""
        data = {f.name: getattr(self, f.name) for f in fields(self)}
        kept = {name: value for name, value in data.items() if value not in (None, (), {})}
        return {name: list(v) if isinstance(v, tuple) else v for name, v in kept.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StepSpec:
        """Return the step kept in the journal as `data`; fields it does not know are refused."""
        lists = {
            name: tuple(data[name]) for name in ("after", "groups", "brings_up") if name in data
        }
        on_failure = OnFailure(str(data.get("on_failure", OnFailure.STOP)))
        return cls(**{**data, **lists, "on_failure": on_failure})


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """Steps that belong together; `timebox_s` is for all of them."""

    id: str
    title: str
    parallel: bool = False
    timebox_s: float | None = None

    def to_json(self) -> dict[str, JsonValue]:
        """Return the form kept in the journal."""
        return asdict(self)


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

    `begin_at` is when the first attempt began, or people were asked to do it; `end_at` when the
    last one ended. `probed` is True once the step's own probe was asked about an attempt nobody saw
    the end of. `undo` is what became of its undo, None while nobody undid it.
    """

    spec: StepSpec
    outcome: StepOutcome = StepOutcome.WAITING
    attempt: int = 0
    result: Mapping[str, JsonValue] | None = None
    error: StepError | None = None
    begin_at: datetime | None = None
    end_at: datetime | None = None
    asked: bool = False
    told: bool = False
    approved_by: str | None = None
    refused_by: str | None = None
    confirmed_by: str | None = None
    probed: bool = False
    reason: str | None = None
    undo: StepOutcome | None = None
    undo_error: StepError | None = None
    added_by: str | None = None

    @property
    def is_settled(self) -> bool:
        """Whether the run may go on to the steps after it."""
        return self.outcome in SETTLED

    @property
    def is_manual(self) -> bool:
        """Whether people do it."""
        return self.spec.action == MANUAL

    @property
    def duration_s(self) -> float | None:
        """Seconds from the first attempt's begin to the last one's end."""
        if self.begin_at is None or self.end_at is None:
            return None
        return (self.end_at - self.begin_at).total_seconds()
