"""Histories of runs as events, written by hand or by a pure stand-in for runner and people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from processpilot.journal.event import Event, JsonValue
from processpilot.runbook.state import Kind, RunState, apply, fold, stream_of
from processpilot.runbook.step import MANUAL, GroupSpec, OnFailure, StepSpec

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
RUN = "r1"
PLAIN = (StepSpec("one", "One", "act"), StepSpec("two", "Two", "act"))


def event(sequence: int, kind: str, **data: JsonValue) -> Event:
    """Return an event of the run in its place; one a second."""
    at = BEGIN + timedelta(seconds=sequence - 1)
    return Event(sequence, stream_of(RUN), sequence, at, kind, data, 1, "", "")


def begun(
    steps: Sequence[StepSpec],
    groups: Sequence[GroupSpec] = (),
    details: Mapping[str, JsonValue] | None = None,
) -> Event:
    """Return the first event of a run of these steps."""
    return event(
        1,
        Kind.RUN_BEGUN,
        run_id=RUN,
        scenario="failure",
        trigger="test",
        plan_hash="0" * 64,
        steps=[step.to_json() for step in steps],
        groups=[group.to_json() for group in groups],
        details={"why": "test"} if details is None else details,
    )


@dataclass
class History:
    """Events of one run, appended as a runner would."""

    steps: Sequence[StepSpec] = PLAIN
    events: list[Event] = field(default_factory=list)
    _state: RunState | None = None

    def __post_init__(self) -> None:
        if not self.events:
            self.events.append(begun(self.steps))

    @property
    def state(self) -> RunState:
        """The state so far; what was folded once is kept."""
        if self._state is None:
            self._state = fold(self.events)
        for event in self.events[self._state.sequence :]:
            self._state = apply(self._state, event)
        return self._state

    def add(self, kind: Kind, **data: JsonValue) -> History:
        """Append an event; return the same history."""
        self.events.append(event(len(self.events) + 1, kind, **data))
        return self

    def start(self, step: str, attempt: int = 1) -> History:
        """A step is started."""
        return self.add(Kind.STEP_STARTED, step=step, attempt=attempt, pid=1)

    def passed(self, step: str, **result: JsonValue) -> History:
        """A step has passed."""
        return self.add(Kind.STEP_FINISHED, step=step, outcome="passed", result=result)

    def not_needed(self, step: str) -> History:
        """A step's `only_if` did not hold."""
        return self.add(
            Kind.STEP_FINISHED, step=step, outcome="not-needed", result={"why": "it is well"}
        )

    def failed(self, step: str, *, transient: bool = False) -> History:
        """A step has failed."""
        return self.add(Kind.STEP_FINISHED, step=step, outcome="failed", error=failure(transient))

    def resumed(self) -> History:
        """Another process took over."""
        return self.add(Kind.RUN_RESUMED, pid=2)

    def probed(self, step: str, happened: bool | None) -> History:
        """The step's probe answered that nothing happened, or that it cannot tell."""
        return self.add(Kind.STEP_PROBED, step=step, happened=happened)

    def person(self, kind: Kind, step: str, **more: JsonValue) -> History:
        """A person decided."""
        return self.add(kind, step=step, by="tester", role=None, comment=None, **more)

    def skipped(self, step: str) -> History:
        """A person left a step out."""
        return self.person(Kind.STEP_SKIPPED, step, reason="not needed")

    def aborted(self, *, undo: bool = False) -> History:
        """A person gave the run up."""
        return self.add(Kind.ABORT_REQUESTED, by="tester", reason="enough", undo=undo)

    def asked(self, step: str) -> History:
        """People are asked to do a manual step."""
        return self.add(Kind.CONFIRMATION_REQUESTED, step=step)

    def confirmed(self, step: str, *, done: bool = True) -> History:
        """A person says that a manual step is done, or that it did not work."""
        return self.person(Kind.STEP_CONFIRMED, step, done=done)

    def undoing(self, step: str) -> History:
        """A step's undo is begun."""
        return self.add(Kind.UNDO_STARTED, step=step, pid=1)

    def undone(self, step: str, *, failed: bool = False) -> History:
        """A step's undo has ended."""
        if failed:
            return self.add(Kind.UNDO_FINISHED, step=step, outcome="failed", error=failure(False))
        return self.add(Kind.UNDO_FINISHED, step=step, outcome="passed", result={})

    def added(self, spec: StepSpec) -> History:
        """A person put a step in."""
        return self.add(Kind.STEP_ADDED, by="tester", spec=spec.to_json())

    def finished(self, verdict: str) -> History:
        """The run got its verdict."""
        return self.add(Kind.RUN_FINISHED, verdict=verdict)


def failure(transient: bool) -> Mapping[str, JsonValue]:
    """Return an error as a runner writes it down."""
    return {"code": "unavailable", "message": "no answer", "hint": None, "transient": transient}


def end_step(history: History, step: str, how: str) -> None:
    """End a running step: `pass`, `fail`, `not-needed`, or `passing` for one that passes."""
    match how:
        case "pass":
            history.passed(step, size=1)
        case "not-needed":
            history.not_needed(step)
        case _:
            history.failed(step, transient=how == "passing")


@st.composite
def plans(draw: st.DrawFn) -> list[StepSpec]:
    """Draw one to five steps in any order that has a beginning, with all that steps may have."""
    return [draw(_steps(n)) for n in range(draw(st.integers(1, 5)))]


@st.composite
def _steps(draw: st.DrawFn, number: int) -> StepSpec:
    """Draw a step that comes after any of the `number` ones before it."""
    earlier = [f"s{n}" for n in range(number)]
    on_failure = draw(st.sampled_from(OnFailure))
    undo: dict[str, JsonValue] | None = {"action": "back"}
    if on_failure is not OnFailure.UNDO and draw(st.booleans()):
        undo = None
    return StepSpec(
        f"s{number}",
        f"Step {number}",
        draw(st.sampled_from(["act", "act", MANUAL])),
        approval=draw(st.none() | st.just("commander")),
        retries=draw(st.integers(1 if on_failure is OnFailure.RETRY else 0, 2)),
        after=tuple(sorted(draw(st.sets(st.sampled_from(earlier))))) if earlier else (),
        groups=("all",),
        only_if=draw(st.none() | st.just({"kind": "probe"})),
        undo=undo,
        on_failure=on_failure,
        reason="it can be done later" if on_failure is OnFailure.GO_ON else None,
    )
