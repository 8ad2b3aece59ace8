"""Whether a person has agreed that an imported command may run.

A command's digest is over what would be run, so a changed command is a new one that nobody agreed
to. A step without `origin` was written by the plan's owner and needs no other word.
"""

from __future__ import annotations

import hashlib
import json

from processpilot.plan.act import CommandAct
from processpilot.plan.model import Plan
from processpilot.plan.step import Step


def digest_of(act: CommandAct) -> str:
    """Return 32 hexadecimal digits that stand for a command: its arguments, environment, folder.

    With half of them, two commands that share a digest could be found by trying: a document could
    hold one to be accepted and another to be run.
    """
    document = {"argv": list(act.argv), "env": sorted(act.env.items()), "folder": act.folder}
    text = json.dumps(document, ensure_ascii=True, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def is_accepted(plan: Plan, step: Step) -> bool:
    """Say whether a step may run: it is no imported command, or somebody accepted just this one."""
    if step.origin is None or not isinstance(step, CommandAct):
        return True
    digest = digest_of(step)
    return any(accepted.digest == digest for accepted in plan.accepted)
