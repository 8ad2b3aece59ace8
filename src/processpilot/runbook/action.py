"""What a step does: the contract that every action keeps.

An action may be interrupted at any moment and asked again later. Most are idempotent: carried out
twice they leave what once leaves, and their probe answers `NotHappened`, which means "carry it
out (again)". Those that are not find out in `probe` whether the earlier attempt took effect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from processpilot.errors import ProcessPilotError
from processpilot.journal.event import JsonValue
from processpilot.progress import Progress
from processpilot.runbook.state import RunState
from processpilot.runbook.step import StepSpec

Result = Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Happened:
    """The attempt took effect; this is what it gave."""

    result: Result


@dataclass(frozen=True, slots=True)
class NotHappened:
    """The attempt took no effect, or carrying it out again is safe."""


@dataclass(frozen=True, slots=True)
class CannotTell:
    """Only a person can find out."""


ProbeAnswer = Happened | NotHappened | CannotTell


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class StepContext:
    """The run so far, with earlier steps' results, and where to report progress.

    `given_up` turns true when people ended the run or the process is asked to end: an action that
    waits for something looks at it at least once a second and then raises `GivenUpError`.
    """

    run: RunState
    spec: StepSpec
    progress: Progress
    given_up: Callable[[], bool] = _never


class GivenUpError(ProcessPilotError):
    """An action that waited was told to stop waiting; carrying it out again begins anew."""

    code = "given-up"


class StepFailedError(ProcessPilotError):
    """A step that came to a result which does not let the run go on; the result is kept."""

    code = "step-failed"

    def __init__(self, message: str, *, result: Result, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.result = result


class Action(Protocol):
    """What a step does."""

    def probe(self, context: StepContext) -> ProbeAnswer:
        """Find out whether an earlier attempt, whose end nobody saw, took effect."""
        ...

    def execute(self, context: StepContext) -> Result:
        """Do it; raises ProcessPilotError when it fails. The result must serialise as JSON."""
        ...
