"""What people do themselves. A run asks them to confirm it and never carries it out."""

from __future__ import annotations

from processpilot.errors import RefusedError
from processpilot.runbook.action import CannotTell, ProbeAnswer, Result, StepContext


class AskPeople:
    """Stands for a step that only people can do."""

    def probe(self, context: StepContext) -> ProbeAnswer:
        """Only they know."""
        return CannotTell()

    def execute(self, context: StepContext) -> Result:
        """Refuse: nothing here can do what the instruction says."""
        raise RefusedError(
            f"{context.spec.title} is done by people",
            hint=f"Do it, then run `processpilot run confirm --step {context.spec.id}`.",
        )
