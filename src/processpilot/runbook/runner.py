"""The thin part that acts: asks `decide`, carries out, writes down.

Whoever runs holds the lease; its epoch goes into every append, so a controller that lost it cannot
write. A step is written down as started before it starts. Steps that do not depend on each other
are carried out side by side, each in a thread (`hands`); only this one writes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from processpilot.clock import Clock
from processpilot.errors import LockedError, ProcessPilotError, UnavailableError
from processpilot.journal.event import Event, JsonValue
from processpilot.journal.journal import Journal
from processpilot.journal.lease import Lease
from processpilot.runbook.action import (
    Action,
    CannotTell,
    GivenUpError,
    Happened,
    ProbeAnswer,
)
from processpilot.runbook.decide import (
    GoOn,
    ProbeStep,
    RequestApproval,
    RequestConfirmation,
    StartStep,
    Task,
    UndoStep,
    decide,
)
from processpilot.runbook.ending import ending_of
from processpilot.runbook.forecast import Durations, due_concerns
from processpilot.runbook.hands import Ask, Asked, Done, Hands, Job, never_asked
from processpilot.runbook.history import read_run
from processpilot.runbook.state import Kind, RunState, Verdict, apply, can_follow, fold, stream_of
from processpilot.runbook.step import GroupSpec, StepOutcome, StepSpec

BY_PLAN = "the plan"
_LONGEST_PAUSE_S = 10.0
_TICK_S = 0.2
_PATIENCE_S = 30.0


class Observer(Protocol):
    """Follows runs, for a terminal; must return quickly."""

    def on_event(self, event: Event) -> None:
        """Note an event that was just written."""
        ...

    def on_progress(self, phase: str, done: int, total: int | None) -> None:
        """Note how far a running step is, in bytes."""
        ...


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What is to be run: a scenario's steps, why, and details that evidence needs later."""

    run_id: str
    scenario: str
    trigger: str
    plan_hash: str
    steps: Sequence[StepSpec]
    details: Mapping[str, JsonValue]
    groups: Sequence[GroupSpec] = ()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a runner works with besides the journal; `durations` are those of a scenario."""

    actions: Mapping[str, Action]
    conclude: Callable[[RunState], Verdict]
    clock: Clock
    observer: Observer
    ask: Ask = never_asked
    durations: Callable[[str], Durations] = field(default=lambda _scenario: {})


def begin_run(journal: Journal, request: RunRequest) -> Event:
    """Write down that a run begins; whoever holds the lease carries it out.

    Raises IntegrityError, and writes nothing, for steps that cannot all be reached.
    """
    data: dict[str, JsonValue] = {
        "run_id": request.run_id,
        "scenario": request.scenario,
        "trigger": request.trigger,
        "plan_hash": request.plan_hash,
        "steps": [step.to_json() for step in request.steps],
        "groups": [group.to_json() for group in request.groups],
        "details": dict(request.details),
    }
    stream = stream_of(request.run_id)
    fold([Event(0, stream, 1, journal.clock.now(), Kind.RUN_BEGUN, data, 0, "", "")])
    return journal.append(stream, Kind.RUN_BEGUN, data, expected_sequence=1)


class Runner:
    """Carries out runs with the actions it is given."""

    def __init__(self, journal: Journal, around: Surroundings) -> None:
        self._journal = journal
        self._around = around
        self._durations: dict[str, Durations] = {}

    def advance(self, run_id: str, lease: Lease, stopping: Callable[[], bool]) -> RunState:
        """Carry a run on until it is finished, needs a person, or `stopping` says so."""
        state = read_run(self._journal, run_id)
        advance = _Advance(self._journal, self._around, lease, self._durations_of(state))
        return advance.run(state, stopping)

    def _durations_of(self, state: RunState) -> Durations:
        if state.run_id not in self._durations:
            self._durations[state.run_id] = self._around.durations(state.scenario)
        return self._durations[state.run_id]


class _Advance:
    """One call of `advance`: its threads, and what rests until when."""

    def __init__(
        self, journal: Journal, around: Surroundings, lease: Lease, durations: Durations
    ) -> None:
        self._journal = journal
        self._around = around
        self._lease = lease
        self._durations = durations
        self._rests: dict[str, float] = {}
        self._ended: Done | None = None
        self._refused_s: float | None = None

    def run(self, state: RunState, stopping: Callable[[], bool]) -> RunState:
        while state.running or any(step.is_being_undone for step in state.steps):
            state = self._write(state, Kind.RUN_RESUMED, {"pid": os.getpid()})
        is_over = False
        with Hands(self._around.actions, self._around.ask, self._around.observer) as hands:
            while not is_over:
                try:
                    state, is_over = self._turn(state, hands, stopping)
                    self._refused_s = None
                except UnavailableError as error:
                    self._bear(error, hands, stopping)
        return state

    def _turn(
        self, state: RunState, hands: Hands, stopping: Callable[[], bool]
    ) -> tuple[RunState, bool]:
        """Do one thing, or wait a moment; return the state then, and whether that was all."""
        if self._ended is not None:
            state, self._ended = self._take(state, self._ended), None
        state = self._warn(self._caught_up(state))
        hands.give_up(run=state.aborted_by is not None, process=stopping())
        if stopping():
            if not hands.busy:
                return state, True
        elif (began := self._begin_one(state, hands)) is not None:
            return began, False
        if hands.busy:
            self._ended = hands.wait(_TICK_S)
            return state, False
        return state, not self._rest(state)

    def _bear(self, error: UnavailableError, hands: Hands, stopping: Callable[[], bool]) -> None:
        """Let a journal that takes nothing now, as on a full disk, end nothing that is under way.

        What has ended and cannot be written down is kept for a while; then people are told.
        """
        now = self._around.clock.monotonic()
        self._refused_s = now if self._refused_s is None else self._refused_s
        is_kept = self._ended is not None and now - self._refused_s < _PATIENCE_S
        if stopping() or not (hands.busy or is_kept):
            raise error
        self._around.clock.sleep(_TICK_S)

    def _begin_one(self, state: RunState, hands: Hands) -> RunState | None:
        """Do one thing that can be done now and return the state then; None when there is none."""
        found = decide(state)
        if found.finish is not None:
            if hands.busy:
                return None
            verdict = found.finish.verdict or self._around.conclude(state)
            return self._write(state, Kind.RUN_FINISHED, {"verdict": str(verdict)})
        for task in found.tasks:
            if hands.works_on(task.step_id) or self._rests_still(state, task):
                continue
            return self._begin(state, task, hands)
        return None

    def _begin(self, state: RunState, task: Task, hands: Hands) -> RunState:
        step_id = task.step_id
        match task:
            case RequestApproval() if not _is_conditional(state, step_id):
                return self._write(state, *_request(state, step_id))
            case RequestApproval() | RequestConfirmation():
                hands.begin(Job(step_id, "ask"), state)
                return state
            case GoOn(reason=reason):
                data: dict[str, JsonValue] = {"step": step_id, "by": BY_PLAN}
                data |= {"reason": reason, "foreseen": True}
                return self._write(state, Kind.STEP_SKIPPED, data)
            case ProbeStep():
                hands.begin(Job(step_id, "probe"), state)
                return state
            case UndoStep():
                return self._start(state, Kind.UNDO_STARTED, Job(step_id, "undo"), hands)
            case StartStep():
                return self._start(state, Kind.STEP_STARTED, Job(step_id, "execute"), hands)

    def _start(self, state: RunState, kind: Kind, job: Job, hands: Hands) -> RunState:
        """Write down that it begins; only when that is written does it begin."""
        step = state.step(job.step_id)
        assert step is not None
        data: dict[str, JsonValue] = {"step": job.step_id, "pid": os.getpid()}
        if kind is Kind.STEP_STARTED:
            data["attempt"] = step.attempt + 1
        event = self._append(state, kind, data)
        if event is None:
            return self._caught_up(state)
        state = apply(state, event)
        hands.begin(job, state)
        return state

    def _rests_still(self, state: RunState, task: Task) -> bool:
        """Give the outside world time after a failure; a crash or a person needs none."""
        step = state.step(task.step_id)
        if not isinstance(task, StartStep) or step is None:
            return False
        if step.outcome is not StepOutcome.FAILED:
            return False
        now = self._around.clock.monotonic()
        pause_s = min(2.0 ** (step.attempt - 1), _LONGEST_PAUSE_S)
        name = f"{task.step_id}#{step.attempt}"
        return now < self._rests.setdefault(name, now + pause_s)

    def _rest(self, state: RunState) -> bool:
        """Sleep until the first step may be tried again; False when none rests."""
        if not any(isinstance(task, StartStep) for task in decide(state).tasks):
            return False
        now = self._around.clock.monotonic()
        until = min((at for at in self._rests.values() if at > now), default=now)
        self._around.clock.sleep(until - now)
        self._rests = {name: 0.0 if at <= until else at for name, at in self._rests.items()}
        return True

    def _take(self, state: RunState, done: Done) -> RunState:
        """Write down how a job ended."""
        probing = done.job.kind == "probe"
        if isinstance(done.end, GivenUpError) and (probing or state.aborted_by is None):
            return state  # Nothing is known of the step: whoever goes on looks at it first.
        if isinstance(done.end, BaseException) and not isinstance(
            done.end, ProcessPilotError | OSError
        ):
            raise done.end
        match done.job.kind:
            case "probe":
                return self._probed(state, done)
            case "undo":
                return self._end(state, Kind.UNDO_FINISHED, ending_of(done))
            case "ask" if isinstance(done.end, Asked):
                return self._end(state, *_request(state, done.job.step_id))
        return self._end(state, Kind.STEP_FINISHED, ending_of(done))

    def _probed(self, state: RunState, done: Done) -> RunState:
        answer = done.end
        if isinstance(answer, ProbeAnswer) and not isinstance(answer, Happened):
            happened = None if isinstance(answer, CannotTell) else False
            data: dict[str, JsonValue] = {"step": done.job.step_id, "happened": happened}
            return self._end(state, Kind.STEP_PROBED, data)
        return self._end(state, Kind.STEP_FINISHED, ending_of(done))

    def _warn(self, state: RunState) -> RunState:
        now = self._around.clock.now()
        for concern in [] if state.is_finished else due_concerns(state, now, self._durations):
            data: dict[str, JsonValue] = {"warning": concern.name, "text": concern.text}
            return self._write(state, Kind.RUN_WARNED, data)
        return state

    def _caught_up(self, state: RunState) -> RunState:
        """Return the state with what people wrote meanwhile; LockedError when another took over."""
        for event in self._journal.read(stream_of(state.run_id), after=state.sequence):
            if event.epoch > self._lease.epoch:
                raise LockedError(
                    f"run {state.run_id} is carried out under epoch {event.epoch} of lease "
                    f"{self._lease.name}, and this is epoch {self._lease.epoch}",
                    hint="Another process took over; stop this one and follow the run there.",
                )
            state = apply(state, event)
        return state

    def _write(self, state: RunState, kind: Kind, data: Mapping[str, JsonValue]) -> RunState:
        """Append one event and return the state now.

        When a person wrote first, nothing is written: it is decided anew on the state returned.
        """
        event = self._append(state, kind, data)
        return self._caught_up(state) if event is None else apply(state, event)

    def _end(self, state: RunState, kind: Kind, data: Mapping[str, JsonValue]) -> RunState:
        """Append how a job ended, however often people write first.

        What cannot follow any more is dropped: a person has decided on that step meanwhile.
        """
        while can_follow(state, self._around.clock.now(), kind, data):
            event = self._append(state, kind, data)
            if event is not None:
                return apply(state, event)
            state = self._caught_up(state)
        return state

    def _append(self, state: RunState, kind: Kind, data: Mapping[str, JsonValue]) -> Event | None:
        """Append one event right behind `state`; None when somebody wrote first."""
        stream = stream_of(state.run_id)
        number = state.sequence + 1
        try:
            event = self._journal.append(
                stream, kind, data, expected_sequence=number, lease=self._lease
            )
        except LockedError:
            if self._journal.read(stream, after=state.sequence):
                return None
            raise
        with suppress(OSError):  # A terminal that is gone must not stop a recovery.
            self._around.observer.on_event(event)
        return event


def _is_conditional(state: RunState, step_id: str) -> bool:
    """Whether it is to be found out first if a step is needed: people are not asked in vain."""
    step = state.step(step_id)
    return step is not None and step.spec.only_if is not None


def _request(state: RunState, step_id: str) -> tuple[Kind, dict[str, JsonValue]]:
    """Return the event that asks people: for their approval first, then to do it."""
    step = state.step(step_id)
    assert step is not None
    if step.spec.approval is not None and step.approved_by is None:
        return Kind.APPROVAL_REQUESTED, {"step": step_id, "role": step.spec.approval}
    return Kind.CONFIRMATION_REQUESTED, {"step": step_id}
