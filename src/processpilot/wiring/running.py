"""What carries out the runs of a plan, with the built-in actions."""

from __future__ import annotations

from processpilot.evidence.report import conclude
from processpilot.recovery.actions import built_in_actions
from processpilot.recovery.ground import Ground, Stream
from processpilot.runbook.runner import Observer, Runner
from processpilot.wiring.drivers import driver_for
from processpilot.wiring.wired import Wired


def runner_of(wired: Wired, stream: Stream, observer: Observer) -> Runner:
    """Return the runner of a plan's runs."""
    ground = Ground(
        wired.loaded,
        wired.address,
        wired.repository,
        stream,
        wired.prober,
        lambda component: driver_for(component, wired.loaded),
        wired.clock,
        wired.tag,
    )
    return Runner(wired.journal, built_in_actions(ground), conclude, wired.clock, observer)
