"""Work for crews under test; importable by worker processes."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field

from processpilot.errors import ChecksumError


@dataclass
class Squares:
    """Squares numbers; some numbers make it fail in a way of their own."""

    number: int
    done: list[int] = field(default_factory=list)

    def do(self, task: int) -> tuple[int, int]:
        """Return the square and the process that made it."""
        if task == -1:
            raise ChecksumError("bytes differ", place="packs/1", hint="Look.")
        if task == -2:
            raise ZeroDivisionError("a bug")
        if task == -3:
            os.kill(os.getpid(), signal.SIGKILL)
        if task == -4:
            time.sleep(60)
        self.done.append(task)
        return task * task, os.getpid()

    def finish(self) -> int:
        """Return how many tasks were done."""
        return len(self.done)

    def close(self) -> None:
        """Nothing is open."""


def start(number: int) -> Squares:
    """Return a worker."""
    return Squares(number)


def fail(_number: int) -> Squares:
    """Make no worker."""
    raise ChecksumError("no beginning", place="config")
