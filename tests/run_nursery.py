"""Starts controllers of file steps in processes of their own, to be killed; and what must hold."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import file_steps
import pytest
from file_steps import RUN, open_journal, times

import processpilot
from processpilot.runbook.history import read_run
from processpilot.runbook.state import Verdict
from processpilot.runbook.step import StepOutcome

STEPS = "abcde"
NEVER = 10_000


class Nursery:
    """A process that forks controllers."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._process, self._in, self._out = process, process.stdin, process.stdout

    def control(self, folder: Path, point: int) -> str:
        """Start a controller; return what it says at that point, or at its end."""
        self._in.write(f"{folder} {point}\n")
        self._in.flush()
        said = self._hear()
        if not said.startswith("at "):
            assert self._hear() == "ended"
        return said

    def kill(self, said: str) -> None:
        """Kill the controller that said where it is."""
        os.kill(int(said.split()[1]), signal.SIGKILL)
        assert self._hear() == "ended"

    def hear_end(self) -> str:
        """Return what a controller that goes on by itself says at its end."""
        said = self._hear()
        assert self._hear() == "ended"
        return said

    def finish(self, folder: Path) -> str:
        """Let a controller go on to the end; return what it says there."""
        return self.control(folder, NEVER)

    def _hear(self) -> str:
        return self._out.readline().strip()


@contextmanager
def nursery() -> Iterator[Nursery]:
    """Start a nursery; it and its controllers are gone afterwards."""
    places = [Path(file_steps.__file__).parent, Path(processpilot.__file__).parent.parent]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(str(place) for place in places)}
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, file_steps.__file__],
        stdin=pipe,
        stdout=pipe,
        text=True,
        env=environment,
        start_new_session=True,
    )
    try:
        yield Nursery(process)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture(scope="module")
def controllers() -> Iterator[Nursery]:
    """Give what starts controllers."""
    with nursery() as started:
        yield started


def require_whole(folder: Path, names: str = STEPS) -> None:
    """Fail unless the run passed with each effect exactly once, and the journal is sound."""
    with open_journal(folder) as journal:
        state = read_run(journal, RUN)
        journal.verify()
    assert state.verdict is Verdict.PASSED
    assert {step.outcome for step in state.steps} == {StepOutcome.PASSED}
    assert [times(folder, "effects", step) for step in names] == [1] * len(names)
