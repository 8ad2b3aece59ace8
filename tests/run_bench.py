"""A journal with a lease and a runner whose steps do what a test says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from file_steps import LEASE, RUN, Noting, request
from plain_server import SettableClock

from processpilot.journal.event import JsonValue
from processpilot.journal.journal import Journal
from processpilot.journal.lease import Lease, acquire_lease
from processpilot.runbook.action import NotHappened, ProbeAnswer, StepContext
from processpilot.runbook.forecast import Durations
from processpilot.runbook.hands import Ask, never_asked
from processpilot.runbook.history import read_run
from processpilot.runbook.people import Person
from processpilot.runbook.runner import Runner, Surroundings, begin_run
from processpilot.runbook.state import RunState, Verdict, stream_of
from processpilot.runbook.step import GroupSpec, StepOutcome, StepSpec

Do = Callable[[StepContext], Mapping[str, JsonValue] | None]
LIMIT_S = 20.0


class CalendarClock(SettableClock):
    """Time of day that goes on only when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.at = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def go_on(self, **span: float) -> None:
        """Let time pass."""
        self.at += timedelta(**span)


@dataclass
class Doing:
    """An action that does what a function does."""

    do: Do
    answer: Callable[[StepContext], ProbeAnswer] = lambda context: NotHappened()

    def probe(self, context: StepContext) -> ProbeAnswer:
        return self.answer(context)

    def execute(self, context: StepContext) -> Mapping[str, JsonValue]:
        return self.do(context) or {}


@dataclass
class Bench:
    """A run with actions by name; `done` are the steps carried out, in order."""

    journal: Journal
    lease: Lease
    clock: CalendarClock
    observer: Noting = field(default_factory=Noting)
    actions: dict[str, Doing] = field(default_factory=dict)
    ask: Ask = never_asked
    durations: Durations = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    def begin(
        self,
        *specs: StepSpec,
        groups: Sequence[GroupSpec] = (),
        details: Mapping[str, JsonValue] | None = None,
    ) -> None:
        """Write down a run of these steps."""
        wanted = request(list(specs))
        begin_run(
            self.journal,
            type(wanted)(
                RUN, "failure", "test", "0" * 64, specs, wanted.details | (details or {}), groups
            ),
        )

    def advance(self, stopping: Callable[[], bool] = lambda: False) -> RunState:
        """Carry the run on as a new process would."""
        actions = {"act": Doing(self.note), "back": Doing(self.note), **self.actions}
        around = Surroundings(
            actions,
            lambda _: Verdict.PASSED,
            self.clock,
            self.observer,
            lambda question: self.ask(question),
            lambda _: self.durations,
        )
        return Runner(self.journal, around).advance(RUN, self.lease, stopping)

    def note(self, context: StepContext) -> None:
        """Note that a step, or its undo, was carried out."""
        self.done.append(f"{context.spec.action} {context.spec.id}")

    def person(self, by: str = "tester") -> Person:
        """Return somebody who acts on the run."""
        return Person(self.journal, RUN, by)

    @property
    def state(self) -> RunState:
        """The run as the journal tells it."""
        return read_run(self.journal, RUN)

    def outcomes(self) -> dict[str, StepOutcome]:
        """Return every step's outcome."""
        return {step.spec.id: step.outcome for step in self.state.steps}

    def events(self, kind: str) -> list[Mapping[str, JsonValue]]:
        """Return the data of every event of a kind."""
        return [e.data for e in self.journal.read(stream_of(RUN)) if e.kind == kind]


@pytest.fixture
def run_bench(tmp_path: Path) -> Iterator[Bench]:
    """Give a journal on a file, a lease of it and a runner."""
    clock = CalendarClock()
    with ExitStack() as stack:
        journal = Journal.open(tmp_path / "journal.sqlite", clock)
        stack.callback(journal.close)
        lease = stack.enter_context(acquire_lease(journal, LEASE, tmp_path))
        yield Bench(journal, lease, clock)


def step(step_id: str, *after: str, action: str = "act", **more: object) -> StepSpec:
    """Return a step of a graph: it comes after the steps named, and after nothing else."""
    fields = {"groups": ("all",), **more}
    return StepSpec(step_id, step_id.upper(), action, after=after, **fields)  # type: ignore[arg-type]


class CrashError(BaseException):
    """Stands for the end of a process: nothing in the product catches it."""


def crash(context: StepContext) -> None:
    """Do as if the process died here."""
    raise CrashError
