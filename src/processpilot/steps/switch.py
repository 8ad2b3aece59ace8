"""Turning maintenance mode and feature toggles on or off."""

from __future__ import annotations

from processpilot.errors import RefusedError
from processpilot.plan.act import MaintenanceAct, ToggleAct, act_from_json
from processpilot.plan.switch import Switch
from processpilot.runbook.action import (
    Happened,
    NotHappened,
    ProbeAnswer,
    Result,
    StepContext,
)
from processpilot.services.switch import switch_of
from processpilot.steps.ground import StepGround


class TurnSwitch:
    """Turns a switch of the plan; its driver asks it afterwards where it can be asked."""

    def __init__(self, ground: StepGround) -> None:
        self._ground = ground

    def probe(self, context: StepContext) -> ProbeAnswer:
        """Ask the switch; one that cannot be asked may be turned the same way again."""
        spec, name, wanted = self._wanted(context)
        driver = switch_of(spec, self._ground.loaded.base, self._ground.address)
        return (
            Happened({"switch": name, "on": wanted}) if driver.is_on() is wanted else NotHappened()
        )

    def execute(self, context: StepContext) -> Result:
        """Return how the switch stood before and stands now; None where it cannot be asked."""
        spec, name, wanted = self._wanted(context)
        driver = switch_of(spec, self._ground.loaded.base, self._ground.address)
        before = driver.is_on()
        if wanted:
            driver.turn_on()
        else:
            driver.turn_off()
        return {"switch": name, "before": before, "on": None if before is None else wanted}

    def _wanted(self, context: StepContext) -> tuple[Switch, str, bool]:
        """Return the switch, what it is called, and whether it is to be on."""
        act = act_from_json(context.spec.settings)
        plan = self._ground.loaded.plan
        if isinstance(act, ToggleAct):
            toggle = next(t for t in plan.toggles if t.id == act.toggle)
            return toggle.switch, toggle.title, act.state == "on"
        assert isinstance(act, MaintenanceAct)
        if plan.maintenance is None:
            raise RefusedError(
                "the plan has no maintenance mode",
                hint="Add maintenance to the plan, or skip the step.",
            )
        return plan.maintenance, "maintenance mode", act.mode == "on"
