"""Steps whose effects are files, to run with the real runner and journal, here or in a child.

Run as a program it is a nursery: for every line of its input it forks a controller that resumes
the run in a folder, and says how that ended. One interpreter start serves many controllers.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from processpilot.clock import SystemClock
from processpilot.errors import LockedError
from processpilot.journal.event import Event, JsonValue
from processpilot.journal.journal import Journal
from processpilot.journal.lease import acquire_lease
from processpilot.runbook.action import (
    Action,
    Happened,
    NotHappened,
    ProbeAnswer,
    StepContext,
)
from processpilot.runbook.runner import Runner, RunRequest, Surroundings, begin_run
from processpilot.runbook.state import RunState, Verdict
from processpilot.runbook.step import StepSpec

RUN = "r1"
LEASE = "controller"


@dataclass
class FileStep:
    """Adds a line to the file `effects/STEP`; its probe looks for the file.

    `point` is called between all that can be told apart from outside, so that a test can end the
    process there. `failures` are raised first, one each time.
    """

    folder: Path
    point: Callable[[str], None] = lambda name: None
    failures: list[Exception] = field(default_factory=list)
    answer: ProbeAnswer | Exception | None = None
    result: Mapping[str, JsonValue] = field(default_factory=lambda: {"done": True})

    def probe(self, context: StepContext) -> ProbeAnswer:
        self.point(f"probing {context.spec.id}")
        self._note("probed", context.spec.id)
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is not None:
            return self.answer
        return Happened(self.result) if self._effect(context).exists() else NotHappened()

    def execute(self, context: StepContext) -> Mapping[str, JsonValue]:
        self.point(f"before {context.spec.id}")
        if self.failures:
            raise self.failures.pop(0)
        self._note("effects", context.spec.id)
        self.point(f"after {context.spec.id}")
        return self.result

    def _effect(self, context: StepContext) -> Path:
        return self.folder / "effects" / context.spec.id

    def _note(self, kind: str, step_id: str) -> None:
        path = self.folder / kind / step_id
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as file:
            file.write("once\n")


def times(folder: Path, kind: str, step_id: str) -> int:
    """Return how often a step's effect was carried out, or its probe asked."""
    path = folder / kind / step_id
    return len(path.read_text().splitlines()) if path.exists() else 0


@dataclass
class Noting:
    """An observer that calls `point` after every event, and keeps the kinds."""

    point: Callable[[str], None] = lambda name: None
    kinds: list[str] = field(default_factory=list)

    def on_event(self, event: Event) -> None:
        self.kinds.append(event.kind)
        self.point(f"wrote {event.kind}")

    def on_progress(self, phase: str, done: int, total: int | None) -> None:
        pass


def all_passed(state: RunState) -> Verdict:
    """Conclude: every objective was met."""
    return Verdict.PASSED


def steps(count: int, **more: object) -> list[StepSpec]:
    """Return steps a, b, c, each with an action of its own name."""
    names = "abcdefgh"[:count]
    return [StepSpec(name, name.upper(), name, **more) for name in names]  # type: ignore[arg-type]


def request(specs: list[StepSpec], run_id: str = RUN) -> RunRequest:
    """Return a request to run these steps."""
    return RunRequest(run_id, "failure", "test", "0" * 64, specs, {"why": "test"})


@contextmanager
def open_journal(folder: Path) -> Iterator[Journal]:
    """Open the journal in a folder; closed afterwards."""
    with closing(Journal.open(folder / "journal.sqlite", SystemClock())) as journal:
        yield journal


def begin(folder: Path, count: int) -> None:
    """Begin a run of so many steps in a folder."""
    with open_journal(folder) as journal:
        begin_run(journal, request(steps(count)))


def control(folder: Path, point: Callable[[str], None]) -> RunState:
    """Take the lease and carry the folder's run on to its end."""
    with open_journal(folder) as journal, acquire_lease(journal, LEASE, folder) as lease:
        point("leased")
        step = FileStep(folder, point)
        actions: dict[str, Action] = dict.fromkeys("abcdefgh", step)
        around = Surroundings(actions, all_passed, SystemClock(), Noting(point))
        runner = Runner(journal, around)
        return runner.advance(RUN, lease, lambda: False)


def _child(folder: Path, last: int) -> None:
    """Control the run; at the point numbered `last` wait to be killed."""
    passed = 0

    def point(name: str) -> None:
        nonlocal passed
        passed += 1
        if passed == last:
            print(f"at {os.getpid()} {name}", flush=True)
            sys.stdin.close()
            while True:
                os.read(_WAIT[0], 1)

    try:
        print(f"verdict {control(folder, point).verdict}", flush=True)
    except LockedError as error:
        print(f"locked {error.message}", flush=True)


_WAIT = (-1, -1)


def nursery() -> None:
    """Fork a controller for every line `FOLDER POINT`, and wait for its end."""
    global _WAIT
    _WAIT = os.pipe()
    for line in iter(sys.stdin.readline, ""):
        folder, last = line.split()
        pid = os.fork()
        if pid == 0:
            try:
                _child(Path(folder), int(last))
            finally:
                if sys.exc_info()[0] is not None:
                    traceback.print_exc()
                os._exit(0)
        os.waitpid(pid, 0)
        print("ended", flush=True)


if __name__ == "__main__":
    nursery()
