"""Waiting until a role agrees. The run does the waiting; once it is over nothing is left to do."""

from __future__ import annotations

from processpilot.runbook.action import NotHappened, ProbeAnswer, Result, StepContext


class Approve:
    """Does nothing."""

    def probe(self, context: StepContext) -> ProbeAnswer:
        """Nothing can be done again."""
        return NotHappened()

    def execute(self, context: StepContext) -> Result:
        """Return nothing: who agreed is in the run."""
        return {}
