"""The thin part that acts: asks `decide`, carries out, writes down.

Whoever runs holds the lease; its epoch goes into every append, so a controller that lost it cannot
write. A step is written down as started before it starts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from processpilot.clock import Clock
from processpilot.errors import (
    LockedError,
    NotFoundError,
    ProcessPilotError,
    UnavailableError,
)
from processpilot.journal.event import Event, JsonValue
from processpilot.journal.journal import Journal
from processpilot.journal.lease import Lease
from processpilot.runbook.action import (
    Action,
    Happened,
    NotHappened,
    StepContext,
    StepFailedError,
)
from processpilot.runbook.decide import (
    AwaitPeople,
    Finish,
    Finished,
    ProbeStep,
    RequestApproval,
    StartStep,
    decide,
)
from processpilot.runbook.state import Kind, RunState, Verdict, fold, stream_of
from processpilot.runbook.step import StepOutcome, StepSpec

_LONGEST_PAUSE_S = 10.0


class Observer(Protocol):
    """Follows runs, for a terminal; must return quickly."""

    def on_event(self, event: Event) -> None:
        """Note an event that was just written."""
        ...

    def on_progress(self, phase: str, done: int, total: int | None) -> None:
        """Note how far the running step is, in bytes."""
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


def begin_run(journal: Journal, request: RunRequest) -> Event:
    """Write down that a run begins; whoever holds the lease carries it out."""
    data: dict[str, JsonValue] = {
        "run_id": request.run_id,
        "scenario": request.scenario,
        "trigger": request.trigger,
        "plan_hash": request.plan_hash,
        "steps": [step.to_json() for step in request.steps],
        "details": dict(request.details),
    }
    return journal.append(stream_of(request.run_id), Kind.RUN_BEGUN, data, expected_sequence=1)


def read_run(journal: Journal, run_id: str) -> RunState:
    """Return a run's state; NotFoundError when there is no such run."""
    events = journal.read(stream_of(run_id))
    if not events:
        raise NotFoundError(
            f"there is no run {run_id}", hint="Run `processpilot run list` to see the runs."
        )
    return fold(events)


def run_ids(journal: Journal) -> tuple[str, ...]:
    """Return every run's id, the one with the newest event first."""
    return tuple(stream.removeprefix("run/") for stream in journal.streams("run/"))


class Runner:
    """Carries out runs with the actions it is given."""

    def __init__(
        self,
        journal: Journal,
        actions: Mapping[str, Action],
        conclude: Callable[[RunState], Verdict],
        clock: Clock,
        observer: Observer,
    ) -> None:
        self._journal = journal
        self._actions = actions
        self._conclude = conclude
        self._clock = clock
        self._observer = observer

    def advance(self, run_id: str, lease: Lease, stopping: Callable[[], bool]) -> RunState:
        """Carry a run on until it is finished, needs a person, or `stopping` says so."""
        state = read_run(self._journal, run_id)
        if any(step.outcome is StepOutcome.RUNNING for step in state.steps):
            state = self._write(state, lease, Kind.RUN_RESUMED, {"pid": os.getpid()})
        while not stopping():
            match decide(state):
                case StartStep(step_id=step_id, attempt=attempt):
                    self._pause_before(state, step_id)
                    state = self._start(state, lease, step_id, attempt)
                case ProbeStep(step_id=step_id):
                    state = self._probe(state, lease, step_id)
                case RequestApproval(step_id=step_id, role=role):
                    data: dict[str, JsonValue] = {"step": step_id, "role": role}
                    state = self._write(state, lease, Kind.APPROVAL_REQUESTED, data)
                case Finish(verdict=verdict):
                    found = verdict or self._conclude(state)
                    state = self._write(state, lease, Kind.RUN_FINISHED, {"verdict": str(found)})
                case AwaitPeople() | Finished():
                    break
        return state

    def _pause_before(self, state: RunState, step_id: str) -> None:
        """Give the outside world time after a failure; a crash or a person needs none."""
        step = state.step(step_id)
        if step is not None and step.outcome is StepOutcome.FAILED:
            self._clock.sleep(min(2.0 ** (step.attempt - 1), _LONGEST_PAUSE_S))

    def _start(self, state: RunState, lease: Lease, step_id: str, attempt: int) -> RunState:
        data: dict[str, JsonValue] = {"step": step_id, "attempt": attempt, "pid": os.getpid()}
        state = self._write(state, lease, Kind.STEP_STARTED, data)
        step = state.step(step_id)
        if step is None or (step.outcome, step.attempt) != (StepOutcome.RUNNING, attempt):
            return state
        context = self._context(state, step_id)
        try:
            result = self._actions[context.spec.action].execute(context)
        except ProcessPilotError as error:
            return self._failed(state, lease, step_id, error)
        except OSError as error:
            return self._failed(state, lease, step_id, _outside(error))
        return self._passed(state, lease, step_id, result, seen="carried out")

    def _probe(self, state: RunState, lease: Lease, step_id: str) -> RunState:
        context = self._context(state, step_id)
        try:
            answer = self._actions[context.spec.action].probe(context)
        except ProcessPilotError as error:
            return self._failed(state, lease, step_id, error)
        except OSError as error:
            return self._failed(state, lease, step_id, _outside(error))
        if isinstance(answer, Happened):
            return self._passed(state, lease, step_id, answer.result, seen="found done")
        happened = False if isinstance(answer, NotHappened) else None
        data: dict[str, JsonValue] = {"step": step_id, "happened": happened}
        return self._write(state, lease, Kind.STEP_PROBED, data)

    def _context(self, state: RunState, step_id: str) -> StepContext:
        step = state.step(step_id)
        assert step is not None
        return StepContext(state, step.spec, self._observer.on_progress)

    def _passed(
        self,
        state: RunState,
        lease: Lease,
        step_id: str,
        result: Mapping[str, JsonValue],
        *,
        seen: str,
    ) -> RunState:
        data: dict[str, JsonValue] = {
            "step": step_id,
            "outcome": str(StepOutcome.PASSED),
            "result": dict(result),
            "seen": seen,
        }
        return self._write(state, lease, Kind.STEP_FINISHED, data)

    def _failed(
        self, state: RunState, lease: Lease, step_id: str, error: ProcessPilotError
    ) -> RunState:
        transient = isinstance(error, UnavailableError) and error.transient
        data: dict[str, JsonValue] = {
            "step": step_id,
            "outcome": str(StepOutcome.FAILED),
            "error": {
                "code": error.code,
                "message": error.message,
                "hint": error.hint,
                "transient": transient,
            },
        }
        if isinstance(error, StepFailedError):
            data["result"] = dict(error.result)
        return self._write(state, lease, Kind.STEP_FINISHED, data)

    def _write(
        self, state: RunState, lease: Lease, kind: Kind, data: Mapping[str, JsonValue]
    ) -> RunState:
        """Append one event and return the state now.

        When a person wrote first, only the end of a step is still written; everything else is to
        be decided anew on the state returned.
        """
        stream = stream_of(state.run_id)
        expected = None if kind is Kind.STEP_FINISHED else state.sequence + 1
        try:
            event = self._journal.append(
                stream, kind, data, expected_sequence=expected, lease=lease
            )
        except LockedError:
            now = fold(self._journal.read(stream))
            if now.sequence == state.sequence:
                raise
            return now
        self._observer.on_event(event)
        return fold(self._journal.read(stream))


def _outside(error: OSError) -> UnavailableError:
    return UnavailableError(f"{error.filename or 'the system'}: {error.strerror}")
