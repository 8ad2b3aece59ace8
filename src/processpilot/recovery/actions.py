"""Every action that a plan's step may name."""

from __future__ import annotations

from collections.abc import Mapping

from processpilot.plan.act import ActionName
from processpilot.recovery.ground import Ground
from processpilot.recovery.look import Assess, Drain
from processpilot.recovery.rebuild import Prove, Replay, Restore
from processpilot.recovery.resume import FirstBackup, Protect, StartApplications, Validate
from processpilot.recovery.stock import ListBackups
from processpilot.recovery.takeover import Fence, StartDatabase, Swap
from processpilot.runbook.action import Action


def built_in_actions(ground: Ground) -> Mapping[str, Action]:
    """Return the actions by the name that the plan uses."""
    return {
        ActionName.ASSESS: Assess(ground),
        ActionName.DRAIN: Drain(ground),
        ActionName.RESTORE: Restore(ground),
        ActionName.REPLAY: Replay(ground),
        ActionName.PROVE: Prove(ground),
        ActionName.FENCE: Fence(ground),
        ActionName.SWAP: Swap(ground),
        ActionName.START_DATABASE: StartDatabase(ground),
        ActionName.PROTECT: Protect(ground),
        ActionName.START_APPLICATIONS: StartApplications(ground),
        ActionName.VALIDATE: Validate(ground),
        ActionName.BACKUP: FirstBackup(ground),
        ActionName.LIST_BACKUPS: ListBackups(ground),
    }
