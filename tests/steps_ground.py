"""A plan, a run in it and what the general steps work with, for their tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from plan_text import PLAN

from processpilot.checks.probe import Prober
from processpilot.clock import Clock, SystemClock
from processpilot.plan.component import Component
from processpilot.plan.load import LoadedPlan, parse_plan
from processpilot.postgres.connection import ServerAddress
from processpilot.progress import silent
from processpilot.runbook.action import StepContext
from processpilot.runbook.state import RunState
from processpilot.runbook.step import StepOutcome, StepSpec, StepState
from processpilot.services.driver import ServiceDriver
from processpilot.steps.ground import StepGround

RUN = "r1"
NOWHERE = ServerAddress.parse("host=/nowhere user=nobody", "s3cret-of-the-database")


def no_driver(component: Component) -> ServiceDriver | None:
    """Say that the plan does not tell what runs a component."""
    return None


def plan_at(folder: Path, more: str = "") -> LoadedPlan:
    """Return the small plan, with more of it, as if it lay in `folder`."""
    return parse_plan(PLAN + more, folder / "processpilot.yaml")


def ground_at(
    folder: Path,
    *,
    plan: LoadedPlan | None = None,
    address: ServerAddress = NOWHERE,
    driver_of: Callable[[Component], ServiceDriver | None] = no_driver,
    clock: Clock = SystemClock(),
) -> StepGround:
    """Return what steps work with in `folder`; outputs go below it."""
    prober = Prober(address, folder, clock)
    outputs = folder / "runs"
    loaded = plan or plan_at(folder)
    return StepGround(loaded, address, prober, driver_of, clock, lambda run: outputs / run)


@dataclass
class GivenUp:
    """Whether people ended the run; `after` so many looks they have."""

    after: int | None = None
    looks: int = field(default=0)

    def __call__(self) -> bool:
        self.looks += 1
        return self.after is not None and self.looks > self.after


def context_of(
    settings: Mapping[str, Any],
    *,
    attempt: int = 1,
    given_up: Callable[[], bool] = GivenUp(),
    pinned: Mapping[str, Any] | None = None,
    timebox_s: float | None = None,
    others: Sequence[StepState] = (),
) -> StepContext:
    """Return a running step with these settings; `pinned` are the run's where it is being undone.

    The settings are in the form of the journal.
    """
    spec = StepSpec("work", "Work", str(settings["action"]), timebox_s, settings=dict(settings))
    kept = spec if pinned is None else StepSpec("work", "Work", "other", settings=dict(pinned))
    step = StepState(kept, StepOutcome.RUNNING, attempt)
    begun = datetime(2030, 1, 1, tzinfo=UTC)
    run = RunState(RUN, "failure", "test", "0" * 64, begun, {}, (*others, step), 2)
    return StepContext(run, spec, silent, given_up)
