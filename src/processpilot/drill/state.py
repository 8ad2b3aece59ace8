"""A rehearsal: one drill that was begun, as its events in the journal tell it. Pure.

Owns the vocabulary of the streams drill/ID and their fold. Two kinds of drill share them: those
that walk a recovery leave phases and checks, a tabletop leaves steps that people confirmed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from processpilot.checks.result import CheckResult, Outcome
from processpilot.drill.facts import Facts
from processpilot.errors import IntegrityError
from processpilot.journal.event import Event, JsonValue
from processpilot.plan.outside import DrillKind
from processpilot.runbook.state import Verdict
from processpilot.runbook.step import StepSpec

PREFIX = "drill/"
_DAMAGE = (LookupError, ValueError, TypeError, AttributeError)


class Kind(StrEnum):
    """What the events of a drill say."""

    BEGUN = "drill-begun"
    PHASE_FINISHED = "drill-phase-finished"
    CHECKED = "drill-checked"
    STEP_CONFIRMED = "drill-step-confirmed"
    FINISHED = "drill-finished"


class Phase(StrEnum):
    """What a drill walks, in this order; `isolate` and `cleanup` are no part of a recovery."""

    ISOLATE = "isolate"
    RESOLVE = "resolve"
    RESTORE = "restore"
    REPLAY = "replay"
    START = "start"
    PROVE = "prove"
    APPLICATION = "application"
    CLEANUP = "cleanup"


@dataclass(frozen=True, slots=True)
class WalkedPhase:
    """A phase that ended, well or not; `result` is what it gave."""

    phase: Phase
    begin_at: datetime
    end_at: datetime
    passed: bool
    result: Mapping[str, Any]

    @property
    def duration_s(self) -> float:
        """How long it took."""
        return (self.end_at - self.begin_at).total_seconds()


@dataclass(frozen=True, slots=True)
class ConfirmedStep:
    """A step of a tabletop drill that somebody confirmed; it began when those before it were."""

    step_id: str
    by: str
    done: bool
    at: datetime
    comment: str | None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A drill that was begun; `details` are what its first event says besides.

    `reasons` say why the verdict is no better, `findings` what should be looked at.
    """

    rehearsal_id: str
    drill: str
    title: str
    kind: DrillKind
    begun_at: datetime
    details: Mapping[str, Any]
    sequence: int
    steps: tuple[StepSpec, ...] = ()
    phases: tuple[WalkedPhase, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    confirmed: tuple[ConfirmedStep, ...] = ()
    verdict: Verdict | None = None
    reasons: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    recovery_time_s: float | None = None
    data_loss_window_s: float | None = None
    data_loss_bound_s: float | None = None
    finished_at: datetime | None = None

    @property
    def is_finished(self) -> bool:
        """Whether it has its verdict."""
        return self.verdict is not None

    @property
    def facts(self) -> Facts:
        """What the verdict depends on, as it was then."""
        return Facts.from_json(self.details["facts"])

    def result_of(self, phase: Phase) -> Mapping[str, Any]:
        """Return what a phase gave, nothing when it was not walked."""
        return {
            key: value
            for walked in self.phases
            if walked.phase is phase
            for key, value in walked.result.items()
        }


def stream_of(rehearsal_id: str) -> str:
    """Return the name of a rehearsal's stream in the journal."""
    return f"{PREFIX}{rehearsal_id}"


def check_json(check: CheckResult) -> Mapping[str, JsonValue]:
    """Return a check in the form kept in the journal."""
    return {
        "name": check.name,
        "outcome": str(check.outcome),
        "expected": check.expected,
        "actual": check.actual,
        "detail": check.detail,
    }


def fold(events: Iterable[Event]) -> Rehearsal:
    """Return the rehearsal after its events, in order; IntegrityError when they cannot be read."""
    state: Rehearsal | None = None
    for event in events:
        try:
            state = _begun(event) if state is None else _after(state, event)
        except _DAMAGE as error:
            raise IntegrityError(
                f"{event.stream}: event {event.sequence} cannot be read: {error!r}"
            ) from error
    if state is None:
        raise IntegrityError("a drill without events")
    return state


def _begun(event: Event) -> Rehearsal:
    if event.kind != Kind.BEGUN:
        raise IntegrityError(f'{event.stream} begins with "{event.kind}"')
    data: Mapping[str, Any] = event.data
    return Rehearsal(
        rehearsal_id=event.stream.removeprefix(PREFIX),
        drill=str(data["drill"]),
        title=str(data["title"]),
        kind=DrillKind(str(data["kind"])),
        begun_at=event.at,
        details=data,
        sequence=event.sequence,
        steps=tuple(StepSpec.from_json(step) for step in data.get("steps", ())),
    )


def _after(state: Rehearsal, event: Event) -> Rehearsal:
    state = replace(state, sequence=event.sequence)
    data: Mapping[str, Any] = event.data
    match event.kind:
        case Kind.PHASE_FINISHED:
            begin_at = datetime.fromisoformat(str(data["begin_at"]))
            walked = WalkedPhase(
                Phase(str(data["phase"])),
                begin_at,
                event.at,
                bool(data["passed"]),
                dict(data.get("result") or {}),
            )
            return replace(state, phases=(*state.phases, walked))
        case Kind.CHECKED:
            return replace(state, checks=(*state.checks, *_checks(data["checks"])))
        case Kind.STEP_CONFIRMED:
            confirmed = ConfirmedStep(
                str(data["step"]),
                str(data["by"]),
                bool(data["done"]),
                event.at,
                data.get("comment"),
            )
            return replace(state, confirmed=(*state.confirmed, confirmed))
        case Kind.FINISHED:
            return replace(
                state,
                verdict=Verdict(str(data["verdict"])),
                reasons=tuple(map(str, data.get("reasons", ()))),
                findings=tuple(map(str, data.get("findings", ()))),
                recovery_time_s=data.get("recovery_time_s"),
                data_loss_window_s=data.get("data_loss_window_s"),
                data_loss_bound_s=data.get("data_loss_bound_s"),
                finished_at=event.at,
            )
    return state


def _checks(rows: Sequence[Mapping[str, Any]]) -> Iterable[CheckResult]:
    for row in rows:
        yield CheckResult(
            str(row["name"]),
            Outcome(str(row["outcome"])),
            str(row["expected"]),
            str(row["actual"]),
            str(row["detail"]),
        )
