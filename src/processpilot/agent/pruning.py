"""Freeing storage as the command does it: one at a time with backups here, and written down."""

from __future__ import annotations

from processpilot.agent.backups import STREAM, object_lock
from processpilot.journal.lease import acquire_lease
from processpilot.progress import Progress
from processpilot.repository.blob import BackupId
from processpilot.repository.prune import PrunePlan, execute_prune, plan_prune
from processpilot.wiring.wired import Wired


def plan_prune_now(wired: Wired) -> PrunePlan:
    """Return what can be freed now; changes nothing."""
    return plan_prune(wired.repository, wired.clock.now(), lock=object_lock(wired))


def prune(wired: Wired, plan: PrunePlan, progress: Progress) -> int:
    """Carry out `plan` and return how many bytes are free that were not.

    LockedError while a backup runs here; backups of other machines are no hindrance.
    """
    if plan.is_empty:
        return 0
    with acquire_lease(wired.journal, "backup", wired.locks):
        writer = BackupId.new(wired.clock.now(), wired.tag())
        freed = execute_prune(wired.repository, plan, writer, progress)
    wired.journal.append(
        STREAM,
        "storage-pruned",
        {"freed_bytes": freed, "removed": len(plan.loose), "rewritten": len(plan.rewrites)},
    )
    return freed
