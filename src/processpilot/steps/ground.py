"""What the general steps work with, gathered once by the wiring."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from processpilot.checks.condition import Asker
from processpilot.checks.probe import Prober
from processpilot.clock import Clock
from processpilot.errors import RefusedError
from processpilot.plan.component import Component
from processpilot.plan.load import LoadedPlan
from processpilot.postgres.connection import ServerAddress
from processpilot.services.driver import ServiceDriver


@dataclass(frozen=True, slots=True)
class StepGround:
    """The plan, what it names within reach, and what is injected.

    `outputs` gives the folder where a run's kept outputs lie; it need not exist yet.
    """

    loaded: LoadedPlan
    address: ServerAddress
    prober: Prober
    driver_of: Callable[[Component], ServiceDriver | None]
    clock: Clock
    outputs: Callable[[str], Path]

    @property
    def asker(self) -> Asker:
        """What asks the plan's conditions."""
        return Asker(self.prober, self.loaded)

    def required_driver(self, component: str) -> ServiceDriver:
        """Return what drives a component; RefusedError when the plan does not say what runs it."""
        driver = self.driver_of(self.loaded.plan.component(component))
        if driver is None:
            raise RefusedError(
                f"the plan does not say what runs {component}",
                hint=f"Give the component {component} a service in the plan.",
            )
        return driver
