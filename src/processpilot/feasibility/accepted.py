"""Whether a person has accepted an imported command."""

from __future__ import annotations

import hashlib
import json

from processpilot.plan.model import Plan
from processpilot.plan.step import CommandStep


def is_accepted(plan: Plan, step: CommandStep) -> bool:
    """Return whether a command may run: it was not imported, or somebody has accepted it."""
    if step.origin is None:
        return True
    document = {"argv": step.argv, "env": dict(sorted(step.env.items())), "folder": step.folder}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return any(accepted.digest == digest for accepted in plan.accepted)
