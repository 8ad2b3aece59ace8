"""Doing something with what runs a component, through its service driver.

All of it may be repeated: what is so already is left alone, and a component that was restarted
before a crash is restarted once more.
"""

from __future__ import annotations

from processpilot.plan.act import ServiceAct, act_from_json
from processpilot.runbook.action import NotHappened, ProbeAnswer, Result, StepContext
from processpilot.services.driver import ServiceDriver
from processpilot.steps.ground import StepGround


class DriveComponent:
    """Starts, stops, restarts, holds or releases a component, or looks at it."""

    def __init__(self, ground: StepGround) -> None:
        self._ground = ground

    def probe(self, context: StepContext) -> ProbeAnswer:
        """Carrying it out again is safe."""
        return NotHappened()

    def execute(self, context: StepContext) -> Result:
        """Return the supervisor's name and words, and the component's state afterwards.

        A component that is down is no failure of `status`: looking is all it does.
        """
        act = act_from_json(context.spec.settings)
        assert isinstance(act, ServiceAct)
        driver = self._ground.required_driver(act.component)
        match act.do:
            case "start":
                driver.start()
            case "stop":
                driver.stop()
            case "restart":
                restart(driver)
            case "hold":
                driver.hold()
            case "release":
                driver.release()
            case "status":
                pass
        status = driver.status()
        result = {"service": driver.name, "state": str(status.state), "detail": status.detail}
        # Where nothing can prevent a start by others, people have to know.
        return {**result, "held": driver.holds} if act.do == "hold" else result


def restart(driver: ServiceDriver) -> None:
    """Return when the component was stopped and runs again."""
    driver.stop()
    driver.start()
