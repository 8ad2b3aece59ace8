"""Whether a command that came from a written runbook may run: a person has accepted just this one.

Acceptance is by digest, so a command that is changed afterwards loses it by itself.
"""

from __future__ import annotations

import hashlib
import json

from processpilot.plan.act import CommandAct
from processpilot.plan.model import Plan
from processpilot.plan.step import CommandStep

_DIGITS = 16


def digest_of(act: CommandAct) -> str:
    """Return 16 hexadecimal digits that stand for what runs: words, environment and folder."""
    what = {"argv": list(act.argv), "env": dict(act.env), "folder": act.folder}
    text = json.dumps(what, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def is_accepted(plan: Plan, step: CommandStep) -> bool:
    """Whether a command step may run by itself; one that people wrote into the plan always may."""
    if step.origin is None:
        return True
    return digest_of(step) in {accepted.digest for accepted in plan.accepted}
