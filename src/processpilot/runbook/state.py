"""A run's state, folded from its events. Pure; the journal is the only memory.

Invariant: a step that has begun has only settled steps before it (`after`). An event that would
break this was not written by a runner, and folding refuses it. Steps stand behind all that come
before them. What one event does to one step is `transition`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from processpilot.errors import IntegrityError
from processpilot.journal.event import Event, JsonValue
from processpilot.runbook.step import GroupSpec, StepOutcome, StepSpec, StepState
from processpilot.runbook.transition import after_event, closed, lost_sight_of


class Kind(StrEnum):
    """The kinds of event in a run's stream."""

    RUN_BEGUN = "run-begun"
    RUN_RESUMED = "run-resumed"
    RUN_FINISHED = "run-finished"
    RUN_ACKNOWLEDGED = "run-acknowledged"
    RUN_PAUSED = "run-paused"
    RUN_CONTINUED = "run-continued"
    RUN_WARNED = "run-warned"
    ROLE_HANDED_OVER = "role-handed-over"
    STEP_STARTED = "step-started"
    STEP_FINISHED = "step-finished"
    STEP_PROBED = "step-probed"
    STEP_SKIPPED = "step-skipped"
    STEP_ADDED = "step-added"
    CONFIRMATION_REQUESTED = "confirmation-requested"
    STEP_CONFIRMED = "step-confirmed"
    APPROVAL_REQUESTED = "approval-requested"
    APPROVAL_GIVEN = "approval-given"
    APPROVAL_REFUSED = "approval-refused"
    RETRY_REQUESTED = "retry-requested"
    UNDO_STARTED = "undo-started"
    UNDO_FINISHED = "undo-finished"
    ABORT_REQUESTED = "abort-requested"


# What reading damaged data may raise; it is told as an IntegrityError.
_DAMAGE = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError)


class Verdict(StrEnum):
    """What a run came to. `missed`: it works, but an objective was missed or a step skipped."""

    PASSED = "passed"
    MISSED = "missed"
    FAILED = "failed"
    ABORTED = "aborted"
    NOT_RUN = "not-run"


@dataclass(frozen=True, slots=True)
class RunState:
    """A run as its events tell it; `sequence` is the newest event's.

    `roles` says who holds a role since it was handed over, `warned` which warnings were given.
    """

    run_id: str
    scenario: str
    trigger: str
    plan_hash: str
    begun_at: datetime
    details: Mapping[str, Any]
    steps: tuple[StepState, ...]
    sequence: int
    groups: tuple[GroupSpec, ...] = ()
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    paused_by: str | None = None
    aborted_by: str | None = None
    undoing: bool = False
    roles: Mapping[str, str] = field(default_factory=dict)
    warned: Mapping[str, str] = field(default_factory=dict)
    verdict: Verdict | None = None
    finished_at: datetime | None = None

    @property
    def is_finished(self) -> bool:
        """Whether the run has its verdict."""
        return self.verdict is not None

    @property
    def current(self) -> StepState | None:
        """The first step that is not settled; None when all are."""
        return next((step for step in self.steps if not step.is_settled), None)

    @property
    def ready(self) -> tuple[StepState, ...]:
        """The steps that are not settled, while all before them are."""
        settled = self._settled
        return tuple(
            step
            for step in self.steps
            if not step.is_settled and settled.issuperset(step.spec.after)
        )

    @property
    def _settled(self) -> frozenset[str]:
        return frozenset(step.spec.id for step in self.steps if step.is_settled)

    def is_reached(self, step: StepState) -> bool:
        """Whether all steps before a step are settled."""
        return self._settled.issuperset(step.spec.after)

    @property
    def running(self) -> tuple[StepState, ...]:
        """The steps that somebody carries out now."""
        return tuple(step for step in self.steps if step.outcome is StepOutcome.RUNNING)

    def step(self, step_id: str) -> StepState | None:
        """Return a step by its id."""
        return next((step for step in self.steps if step.spec.id == step_id), None)

    def result_of(self, action: str) -> Mapping[str, Any] | None:
        """Return what the step with that action gave, once it passed."""
        for step in self.steps:
            if step.spec.action == action and step.outcome is StepOutcome.PASSED:
                return step.result or {}
        return None


def stream_of(run_id: str) -> str:
    """Return the name of a run's stream in the journal."""
    return f"run/{run_id}"


def fold(events: Iterable[Event]) -> RunState:
    """Return the state after `events`, all of one run in order; IntegrityError when impossible."""
    state: RunState | None = None
    for event in events:
        state = _begin(event) if state is None else apply(state, event)
    if state is None:
        raise IntegrityError("a run without events")
    return state


def imagined(state: RunState, at: datetime, kind: Kind, data: Mapping[str, JsonValue]) -> Event:
    """Return the event that would come next, to see whether it can; it is written nowhere."""
    number = state.sequence + 1
    return Event(0, stream_of(state.run_id), number, at, kind, data, 0, "", "")


def can_follow(state: RunState, at: datetime, kind: Kind, data: Mapping[str, JsonValue]) -> bool:
    """Whether an event can come next, so that nobody makes a history that cannot be read."""
    try:
        apply(state, imagined(state, at, kind, data))
    except IntegrityError:
        return False
    return True


def _begin(event: Event) -> RunState:
    if event.kind != Kind.RUN_BEGUN:
        raise IntegrityError(f'{event.stream} begins with "{event.kind}"')
    try:
        return _begun(event)
    except _DAMAGE as error:
        raise IntegrityError(f"{event.stream} begins with a damaged event: {error!r}") from error


def _begun(event: Event) -> RunState:
    data: Mapping[str, Any] = event.data
    specs = in_order([StepSpec.from_json(step) for step in data["steps"]])
    _require_way(specs)
    return RunState(
        run_id=str(data["run_id"]),
        scenario=str(data["scenario"]),
        trigger=str(data["trigger"]),
        plan_hash=str(data["plan_hash"]),
        begun_at=event.at,
        details=dict(data.get("details") or {}),
        steps=tuple(StepState(spec) for spec in specs),
        sequence=event.sequence,
        groups=tuple(GroupSpec.from_json(group) for group in data.get("groups", ())),
    )


def _require_way(specs: Sequence[StepSpec]) -> None:
    """Raise ValueError unless the steps, in their order, can all be reached."""
    if not specs:
        raise ValueError("there are no steps")
    seen: set[str] = set()
    for spec in specs:
        if spec.id in seen:
            raise ValueError(f"two steps are called {spec.id}")
        if missing := set(spec.after) - seen:
            raise ValueError(f"step {spec.id} comes after {sorted(missing)}, not before it")
        seen.add(spec.id)


def in_order(specs: Sequence[StepSpec]) -> list[StepSpec]:
    """Return the steps; where none names another, each comes after the one before it."""
    if any(spec.after or spec.groups for spec in specs):
        return list(specs)
    return [
        replace(spec, after=() if n == 0 else (specs[n - 1].id,)) for n, spec in enumerate(specs)
    ]


def apply(state: RunState, event: Event) -> RunState:
    """Return the state after one more event; IntegrityError when it cannot follow."""
    try:
        return _apply(state, event)
    except _DAMAGE as error:
        raise _impossible(state, event, f"it is damaged: {error!r}") from error


def _apply(state: RunState, event: Event) -> RunState:
    if state.is_finished:
        raise _impossible(state, event, "the run is finished")
    state = replace(state, sequence=event.sequence)
    data: Mapping[str, Any] = event.data
    match event.kind:
        case Kind.RUN_RESUMED:
            return replace(state, steps=tuple(lost_sight_of(step) for step in state.steps))
        case Kind.RUN_ACKNOWLEDGED:
            by = str(data["by"])
            return replace(state, acknowledged_by=by, acknowledged_at=event.at)
        case Kind.RUN_PAUSED:
            return replace(state, paused_by=str(data["by"]))
        case Kind.RUN_CONTINUED:
            return replace(state, paused_by=None)
        case Kind.RUN_WARNED:
            warned = {**state.warned, str(data["warning"]): str(data["text"])}
            return replace(state, warned=warned)
        case Kind.ROLE_HANDED_OVER:
            return replace(state, roles={**state.roles, str(data["role"]): str(data["to"])})
        case Kind.ABORT_REQUESTED:
            undoing = bool(data.get("undo", False))
            return replace(state, aborted_by=str(data["by"]), undoing=undoing)
        case Kind.STEP_ADDED:
            return _with_added(state, event)
        case Kind.RUN_FINISHED:
            return _finished(state, event)
    return _with_step(state, event)


def _with_step(state: RunState, event: Event) -> RunState:
    step = state.step(str(event.data.get("step")))
    if step is None:
        raise _impossible(state, event, f"there is no step {event.data.get('step')}")
    if not step.is_settled and not state.is_reached(step):
        raise _impossible(state, event, f"steps before {step.spec.id} are not settled")
    changed = after_event(step, event)
    if changed is None:
        raise _impossible(state, event, f"step {step.spec.id} is {step.outcome}")
    steps = tuple(changed if one is step else one for one in state.steps)
    return replace(state, steps=steps)


def _with_added(state: RunState, event: Event) -> RunState:
    """Put a step in behind all it comes after; what is behind these and has not begun waits for it.

    A step that comes after none is the next one of all.
    """
    data: Mapping[str, Any] = event.data
    spec = StepSpec.from_json(data["spec"])
    known = {step.spec.id: n for n, step in enumerate(state.steps)}
    if spec.id in known or not set(spec.after) <= set(known):
        raise _impossible(state, event, f"step {spec.id} does not fit in")
    behind = _behind(state, set(spec.after))
    place = 1 + max((known[one] for one in spec.after), default=-1)
    if not spec.after:
        place = min((known[one] for one in behind), default=len(state.steps))
    steps = [
        replace(step, spec=replace(step.spec, after=(*step.spec.after, spec.id)))
        if step.spec.id in behind and not behind & {*step.spec.after}
        else step
        for step in state.steps
    ]
    added = StepState(spec, added_by=str(data["by"]))
    return replace(state, steps=(*steps[:place], added, *steps[place:]))


def _behind(state: RunState, after: set[str]) -> set[str]:
    """Return the steps that have not begun and come, near or far, after all of `after`."""
    before: dict[str, set[str]] = {}
    for step in state.steps:
        near = step.spec.after
        before[step.spec.id] = {*near}.union(*(before[one] for one in near))
    return {s.spec.id for s in state.steps if not s.has_begun and after <= before[s.spec.id]}


def _finished(state: RunState, event: Event) -> RunState:
    verdict = Verdict(str(event.data["verdict"]))
    steps = tuple(closed(step) for step in state.steps)
    if not _may_end(state, verdict):
        raise _impossible(state, event, f"the steps contradict {verdict}")
    return replace(state, steps=steps, verdict=verdict, finished_at=event.at)


def _may_end(state: RunState, verdict: Verdict) -> bool:
    """Whether the steps allow a verdict: not run is never green, and neither is given up."""
    match verdict:
        case Verdict.PASSED:
            whole = all(step.is_settled and not step.is_left_out for step in state.steps)
            return whole and state.aborted_by is None
        case Verdict.MISSED:
            return state.current is None and state.aborted_by is None
        case Verdict.ABORTED:
            return state.aborted_by is not None
    return True


def _impossible(state: RunState, event: Event, why: str) -> IntegrityError:
    return IntegrityError(
        f'run {state.run_id}: event {event.sequence} "{event.kind}" cannot follow: {why}',
        hint="Run `processpilot run show` and check the journal's integrity.",
    )
