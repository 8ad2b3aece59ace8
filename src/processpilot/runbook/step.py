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
_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "timebox_s": (int, float),
    "estimate_s": (int, float),
    "retries": int,
    "skippable": bool,
    **dict.fromkeys(("id", "title", "action", "approval", "component", "role", "reason"), str),
    **dict.fromkeys(("settings", "precondition", "only_if", "probe", "undo"), Mapping),
}


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
        """Return the step kept in the journal as `data`.

        Raises TypeError or ValueError for fields it does not know and values they cannot have.
        """
        for name, kind in _KINDS.items():
            if data.get(name) is not None and not isinstance(data[name], kind):
                raise TypeError(f"{name} of a step is {data[name]!r}")
        lists = {name: tuple(map(str, data[name])) for name in _LISTS if name in data}
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

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> GroupSpec:
        """Return the group kept in the journal as `data`."""
        box = data["timebox_s"]
        return cls(
            str(data["id"]),
            str(data["title"]),
            bool(data["parallel"]),
            None if box is None else float(box),
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

    `begin_at` is when the first attempt began, or people were asked to do it, `begin_sequence` the
    event that said so; `end_at` is when the last attempt ended. `probed` is True once the step's
    own probe was asked about an attempt nobody saw the end of. `undo` is what became of its undo,
    None while nobody undid it.
    """

    spec: StepSpec
    outcome: StepOutcome = StepOutcome.WAITING
    attempt: int = 0
    result: Mapping[str, JsonValue] | None = None
    error: StepError | None = None
    begin_at: datetime | None = None
    begin_sequence: int = 0
    end_at: datetime | None = None
    asked: bool = False
    told: bool = False
    approved_by: str | None = None
    refused_by: str | None = None
    confirmed_by: str | None = None
    probed: bool = False
    reason: str | None = None
    foreseen: bool = False
    undo: StepOutcome | None = None
    undo_error: StepError | None = None
    added_by: str | None = None

    @property
    def is_left_out(self) -> bool:
        """Whether people left it out; what the plan itself goes on without counts as planned."""
        return self.outcome is StepOutcome.SKIPPED and not self.foreseen

    @property
    def is_settled(self) -> bool:
        """Whether the run may go on to the steps after it."""
        return self.outcome in SETTLED

    @property
    def has_begun(self) -> bool:
        """Whether it was started, or people were asked to do it, or it is settled."""
        return self.begin_at is not None or self.attempt > 0 or self.is_settled

    @property
    def is_being_undone(self) -> bool:
        """Whether its undo is under way."""
        return self.undo is StepOutcome.RUNNING

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
