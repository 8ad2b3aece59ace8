"""Histories of runs as events, written by hand or by a pure stand-in for runner and people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from processpilot.journal.event import Event, JsonValue
from processpilot.runbook.state import Kind, RunState, fold, stream_of
from processpilot.runbook.step import StepSpec

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
RUN = "r1"
PLAIN = (StepSpec("one", "One", "act"), StepSpec("two", "Two", "act"))


def event(sequence: int, kind: str, **data: JsonValue) -> Event:
    """Return an event of the run in its place; one a second."""
    at = BEGIN + timedelta(seconds=sequence - 1)
    return Event(sequence, stream_of(RUN), sequence, at, kind, data, 1, "", "")


def begun(steps: Sequence[StepSpec]) -> Event:
    """Return the first event of a run of these steps."""
    return event(
        1,
        Kind.RUN_BEGUN,
        run_id=RUN,
        scenario="failure",
        trigger="test",
        plan_hash="0" * 64,
        steps=[step.to_json() for step in steps],
        details={"why": "test"},
    )


@dataclass
class History:
    """Events of one run, appended as a runner would."""

    steps: Sequence[StepSpec] = PLAIN
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.events:
            self.events.append(begun(self.steps))

    @property
    def state(self) -> RunState:
        """The state so far."""
        return fold(self.events)

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

    def aborted(self) -> History:
        """A person gave the run up."""
        return self.add(Kind.ABORT_REQUESTED, by="tester", reason="enough")

    def finished(self, verdict: str) -> History:
        """The run got its verdict."""
        return self.add(Kind.RUN_FINISHED, verdict=verdict)


def failure(transient: bool) -> Mapping[str, JsonValue]:
    """Return an error as a runner writes it down."""
    return {"code": "unavailable", "message": "no answer", "hint": None, "transient": transient}


def end_step(history: History, step: str, how: str) -> None:
    """End a running step: `pass`, `fail`, or `passing` for a failure that passes."""
    if how == "pass":
        history.passed(step, size=1)
    else:
        history.failed(step, transient=how == "passing")


@st.composite
def plans(draw: st.DrawFn) -> list[StepSpec]:
    """Draw one to four steps, some with an approval, some with retries."""
    roles = st.none() | st.just("commander")
    return [
        StepSpec(f"s{n}", f"Step {n}", "act", None, draw(roles), draw(st.integers(0, 2)))
        for n in range(draw(st.integers(1, 4)))
    ]
