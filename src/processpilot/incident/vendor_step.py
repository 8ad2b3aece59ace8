"""Asking a vendor as a step of a run: it passes once they have answered."""

from __future__ import annotations

from processpilot.clock import Clock
from processpilot.errors import RefusedError
from processpilot.incident.record import read_incident
from processpilot.incident.vendor import VendorRequest, ask, find_call, find_vendor
from processpilot.journal.journal import Journal
from processpilot.plan.act import VendorAct, act_from_json
from processpilot.plan.model import Plan
from processpilot.runbook.action import (
    GivenUpError,
    NotHappened,
    ProbeAnswer,
    Result,
    StepContext,
)

BY_RUN = "the run"
_LOOK_S = 1.0


class AskVendor:
    """Asks once, and waits until somebody says that they answered."""

    def __init__(self, journal: Journal, plan: Plan, clock: Clock) -> None:
        self._journal = journal
        self._plan = plan
        self._clock = clock

    def probe(self, context: StepContext) -> ProbeAnswer:
        """Carrying it out again asks nobody twice."""
        return NotHappened()

    def execute(self, context: StepContext) -> Result:
        """Return how long the answer took and who took it; runs without incident are refused."""
        act = act_from_json(context.spec.settings)
        assert isinstance(act, VendorAct)
        incident = context.run.details.get("incident")
        if incident is None:
            vendor = find_vendor(self._plan, act.vendor)
            contact = vendor.phone or vendor.email or vendor.chat or "no contact in the plan"
            raise RefusedError(
                f"run {context.run.run_id} answers no incident in which {vendor.title} is asked",
                hint=f"Ask them yourself ({contact}), then skip the step.",
            )
        call_id = f"{context.run.run_id}.{context.spec.id}"
        request = VendorRequest(call_id, act.vendor, act.severity, act.text, BY_RUN)
        ask(self._journal, str(incident), self._plan, request)
        return self._wait(str(incident), call_id, context)

    def _wait(self, incident_id: str, call_id: str, context: StepContext) -> Result:
        while True:
            call = find_call(read_incident(self._journal, incident_id), call_id)
            assert call is not None, "it was asked"
            if call.answered_at is not None:
                return {
                    "vendor": call.vendor,
                    "answered_by": call.answered_by,
                    "answered_after_s": (call.answered_at - call.asked_at).total_seconds(),
                    "late": call.late_at is not None,
                }
            if context.given_up():
                raise GivenUpError(f"nobody waits for the answer of {call.vendor} any more")
            self._clock.sleep(_LOOK_S)
