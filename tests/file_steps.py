"""Steps whose effects are files, to run with the real runner and journal, here or in a child.

Run as a program it is a nursery: for every line of its input it forks a controller that resumes
the run in a folder, and says how that ended. One interpreter start serves many controllers. One
that was told to stop at a point goes on from there once the folder has a file `go`.
"""

from __future__ import annotations

import os
import sys
import threading
import time
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
UNDO = "back"
NAMES = "abcdefgh"
_POLL_S = 0.01


@dataclass
class FileStep:
    """Adds a line to the file `effects/STEP`, as an undo to `undone/STEP`; its probe looks there.

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
        self._note("undone" if context.spec.action == UNDO else "effects", context.spec.id)
        self.point(f"after {context.spec.id}")
        return self.result

    def _effect(self, context: StepContext) -> Path:
        return self.folder / "effects" / context.spec.id

    def _note(self, kind: str, step_id: str) -> None:
        path = self.folder / kind / step_id
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as file:
            file.write("once\n")
        with (self.folder / "order").open("a") as file:
            file.write(f"{kind} {step_id}\n")


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
    return [StepSpec(name, name.upper(), name, **more) for name in NAMES[:count]]  # type: ignore[arg-type]


def request(specs: list[StepSpec], run_id: str = RUN) -> RunRequest:
    """Return a request to run these steps."""
    return RunRequest(run_id, "failure", "test", "0" * 64, specs, {"why": "test"})


@contextmanager
def open_journal(folder: Path) -> Iterator[Journal]:
    """Open the journal in a folder; closed afterwards."""
    with closing(Journal.open(folder / "journal.sqlite", SystemClock())) as journal:
        yield journal


def begin(folder: Path, run: int | list[StepSpec]) -> None:
    """Begin a run of these steps, or of so many, in a folder."""
    with open_journal(folder) as journal:
        begin_run(journal, request(steps(run) if isinstance(run, int) else run))


def order(folder: Path) -> list[str]:
    """Return what was done, as `effects STEP`, `undone STEP` or `probed STEP`, in order."""
    path = folder / "order"
    return path.read_text().splitlines() if path.exists() else []


def control(folder: Path, point: Callable[[str], None]) -> RunState:
    """Take the lease and carry the folder's run on to its end, or until it waits for people.

    In a folder with a file `patient` people are waited for.
    """
    patient = (folder / "patient").exists()
    with open_journal(folder) as journal, acquire_lease(journal, LEASE, folder) as lease:
        point("leased")
        step = FileStep(folder, point)
        actions: dict[str, Action] = dict.fromkeys([*NAMES, UNDO], step)
        around = Surroundings(actions, all_passed, SystemClock(), Noting(point))
        runner = Runner(journal, around)
        while True:
            state = runner.advance(RUN, lease, lambda: False)
            if state.is_finished or not patient:
                return state
            time.sleep(_POLL_S)


def _child(folder: Path, last: int) -> None:
    """Control the run; at the point numbered `last` wait to be killed, or for the file `go`."""
    passed = 0
    counting = threading.Lock()

    def point(name: str) -> None:
        nonlocal passed
        with counting:
            passed += 1
            here = passed == last
        if here:
            print(f"at {os.getpid()} {name}", flush=True)
            while not (folder / "go").exists():
                time.sleep(_POLL_S)

    try:
        print(f"verdict {control(folder, point).verdict}", flush=True)
    except LockedError as error:
        print(f"locked {error.message}", flush=True)


def nursery() -> None:
    """Fork a controller for every line `FOLDER POINT`, and wait for its end."""
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
