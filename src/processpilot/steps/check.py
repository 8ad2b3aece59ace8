"""Asking as a step whether things are as they should be."""

from __future__ import annotations

from processpilot.checks.condition import shown
from processpilot.checks.result import CheckResult, passed_if
from processpilot.plan.act import CheckAct, act_from_json
from processpilot.runbook.action import (
    GivenUpError,
    NotHappened,
    ProbeAnswer,
    Result,
    StepContext,
)
from processpilot.steps.checklist import checks_json, require_passed
from processpilot.steps.ground import StepGround
from processpilot.steps.redact import Redactor

_POLL_S = 1.0


class Check:
    """Asks conditions until all hold, as long as the plan gives them."""

    def __init__(self, ground: StepGround) -> None:
        self._ground = ground

    def probe(self, context: StepContext) -> ProbeAnswer:
        """Asking again changes nothing."""
        return NotHappened()

    def execute(self, context: StepContext) -> Result:
        """Return every condition's last answer; StepFailedError when one does not hold."""
        act = act_from_json(context.spec.settings)
        assert isinstance(act, CheckAct)
        clock = self._ground.clock
        deadline = clock.monotonic() + act.within_s
        while True:
            checks = self._ask(act)
            holds = all(check.actual == "holds" for check in checks)
            if holds or clock.monotonic() >= deadline:
                require_passed(context.spec.title, checks)
                return {"checks": checks_json(checks)}
            if context.given_up():
                raise GivenUpError("nobody waits for the checks any more")
            clock.sleep(_POLL_S)

    def _ask(self, act: CheckAct) -> list[CheckResult]:
        checks = []
        for condition in act.conditions:
            why = self._ground.asker.ask(condition)
            found = "holds" if why is None else Redactor().text(why)
            checks.append(passed_if(shown(condition), why is None, "holds", found))
        return checks
