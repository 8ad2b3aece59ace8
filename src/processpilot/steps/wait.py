"""Waiting as a step: for a condition, or for a time."""

from __future__ import annotations

from processpilot.checks.condition import shown
from processpilot.clock import Clock
from processpilot.plan.act import WaitAct, act_from_json
from processpilot.plan.condition import Condition
from processpilot.runbook.action import (
    GivenUpError,
    NotHappened,
    ProbeAnswer,
    Result,
    StepContext,
    StepFailedError,
)
from processpilot.steps.ground import StepGround
from processpilot.steps.redact import Redactor

_LOOK_S = 1.0


class Wait:
    """Waits; past its limit the step fails."""

    def __init__(self, ground: StepGround) -> None:
        self._ground = ground

    def probe(self, context: StepContext) -> ProbeAnswer:
        """Waiting again changes nothing; a time that was waited for in part begins anew."""
        return NotHappened()

    def execute(self, context: StepContext) -> Result:
        """Return how long it took, once the condition holds or the time is over."""
        act = act_from_json(context.spec.settings)
        assert isinstance(act, WaitAct)
        clock = self._ground.clock
        begun_s = clock.monotonic()
        if act.until is None:
            assert act.for_s is not None
            _pause(context, clock, act.for_s)
        else:
            self._until(act.until, act, context)
        return {"waited_s": round(clock.monotonic() - begun_s, 3)}

    def _until(self, condition: Condition, act: WaitAct, context: StepContext) -> None:
        clock = self._ground.clock
        deadline = clock.monotonic() + act.limit_s
        while (why := self._ground.asker.ask(condition)) is not None:
            left_s = deadline - clock.monotonic()
            if left_s <= 0:
                why = Redactor().text(why)
                raise StepFailedError(
                    f"waited {act.limit_s:g} s until {shown(condition)}: {why}",
                    result={"waited_s": act.limit_s, "last": why},
                    hint="Find out why, then retry, skip or abort.",
                )
            _pause(context, clock, min(act.every_s, left_s))


def _pause(context: StepContext, clock: Clock, seconds: float) -> None:
    """Let `seconds` pass, looking each second whether anybody still waits."""
    deadline = clock.monotonic() + seconds
    while (left_s := deadline - clock.monotonic()) > 0:
        if context.given_up():
            raise GivenUpError("nobody waits any more")
        clock.sleep(min(_LOOK_S, left_s))
