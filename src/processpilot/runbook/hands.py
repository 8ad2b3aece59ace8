"""Threads that carry out steps side by side, and hand back how each ended; they write nothing.

What stands around a step's action is asked here: whether it is needed, whether it may begin, and
after a crash whether it has happened already.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Literal, Protocol, Self

from processpilot.errors import ProcessPilotError
from processpilot.progress import Progress
from processpilot.runbook.action import (
    Action,
    CannotTell,
    Happened,
    NotHappened,
    ProbeAnswer,
    Result,
    StepContext,
)
from processpilot.runbook.state import RunState
from processpilot.runbook.step import Settings, StepSpec

Ask = Callable[[Settings], str | None]


class PreconditionError(ProcessPilotError):
    """What must hold before a step does not hold; the step was not begun."""

    code = "precondition"


@dataclass(frozen=True, slots=True)
class Job:
    """What is done with a step in a thread of its own."""

    step_id: str
    kind: Literal["execute", "ask", "probe", "undo"]


@dataclass(frozen=True, slots=True)
class NotNeeded:
    """The step's `only_if` does not hold; `why` says what was found."""

    why: str


class _Watching(Protocol):
    @property
    def on_progress(self) -> Progress:
        """Where progress goes."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What people do is needed, and may begin."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a job ended: a result, an answer, or what was raised."""

    job: Job
    end: End


End = Result | ProbeAnswer | NotNeeded | Asked | BaseException


def never_asked(settings: Settings) -> str | None:
    """Refuse to answer: no condition was expected here."""
    raise ProcessPilotError(f"nobody can ask whether {settings.get('kind')} holds")


class Hands:
    """Carries out jobs; leaving it waits for every thread."""

    def __init__(self, actions: Mapping[str, Action], ask: Ask, watching: _Watching) -> None:
        self._actions = actions
        self._ask = ask
        self._watching = watching
        self._done: queue.Queue[Done] = queue.Queue()
        self._threads: dict[str, threading.Thread] = {}
        self._given_up = threading.Event()
        self._ending = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ending.set()
        for thread in self._threads.values():
            thread.join()

    @property
    def busy(self) -> bool:
        """Whether a job is under way, or its end was not taken yet."""
        return bool(self._threads)

    def works_on(self, step_id: str) -> bool:
        """Whether a job of that step is under way."""
        return step_id in self._threads

    def give_up(self, *, run: bool, process: bool) -> None:
        """Tell what waits to stop waiting: for a run that is given up all but the undoing."""
        if run:
            self._given_up.set()
        if process:
            self._ending.set()

    def begin(self, job: Job, state: RunState) -> None:
        """Begin a job."""
        thread = threading.Thread(target=self._work, args=(job, state), name=job.step_id)
        thread.start()
        self._threads[job.step_id] = thread

    def wait(self, limit_s: float) -> Done | None:
        """Return how the next job ended, or None after `limit_s`."""
        try:
            done = self._done.get(timeout=limit_s)
        except queue.Empty:
            return None
        self._threads.pop(done.job.step_id).join()
        return done

    def _work(self, job: Job, state: RunState) -> None:
        try:
            end: End = self._carry_out(job, state)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that writes
            end = error
        self._done.put(Done(job, end))

    def _carry_out(self, job: Job, state: RunState) -> End:
        step = state.step(job.step_id)
        assert step is not None
        match job.kind:
            case "probe":
                return self._probe(state, step.spec)
            case "ask":
                return self._may_begin(step.spec) or Asked()
            case "undo":
                assert step.spec.undo is not None
                undo = dict(step.spec.undo)
                spec = replace(step.spec, action=str(undo["action"]), settings=undo, probe=None)
                context = replace(self._context(state, spec), given_up=self._ending.is_set)
                return self._action(spec).execute(context)
        return self._may_begin(step.spec) or self._action(step.spec).execute(
            self._context(state, step.spec)
        )

    def _may_begin(self, spec: StepSpec) -> NotNeeded | None:
        """Return None when it is needed and may begin; PreconditionError when it must not."""
        if spec.only_if is not None and (why := self._ask(spec.only_if)) is not None:
            return NotNeeded(why)
        if spec.precondition is not None and (why := self._ask(spec.precondition)) is not None:
            raise PreconditionError(
                f"{spec.title} must not begin: {why}",
                hint="Mend that, then run `processpilot run retry`, or skip the step.",
            )
        return None

    def _probe(self, state: RunState, spec: StepSpec) -> ProbeAnswer:
        """Ask the step's own probe where it has one, otherwise its action."""
        if spec.probe is None:
            return self._action(spec).probe(self._context(state, spec))
        try:
            why = self._ask(spec.probe)
        except ProcessPilotError:
            return CannotTell()
        return Happened({"found": "its probe says so"}) if why is None else NotHappened()

    def _action(self, spec: StepSpec) -> Action:
        found = self._actions.get(spec.action)
        if found is None:
            raise ProcessPilotError(
                f'step {spec.id} has the action "{spec.action}", which this program does not know',
                hint="Use the ProcessPilot that began the run, or skip the step.",
            )
        return found

    def _is_over(self) -> bool:
        return self._given_up.is_set() or self._ending.is_set()

    def _context(self, state: RunState, spec: StepSpec) -> StepContext:
        """Return what an action works with; only the process's end stops what an abort began."""
        given_up = self._is_over if state.aborted_by is None else self._ending.is_set
        return StepContext(state, spec, self._progress, given_up)

    def _progress(self, phase: str, done: int, total: int | None) -> None:
        with suppress(OSError):  # A terminal that is gone must not fail a step.
            self._watching.on_progress(phase, done, total)
