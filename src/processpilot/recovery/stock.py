"""What there is to recover from: the backups, and up to when the log reaches. Changes nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from processpilot.errors import NotFoundError, ProcessPilotError
from processpilot.recovery.ground import Ground
from processpilot.repository.repository import Repository
from processpilot.restore.plan import RestoreRequest, plan_restore
from processpilot.restore.target import RecoveryTarget, TargetKind
from processpilot.runbook.action import NotHappened, ProbeAnswer, Result, StepContext


@dataclass(frozen=True, slots=True)
class StoredBackup:
    """One backup; sizes are of the source and of what it added to the repository."""

    backup_id: str
    begin_at: datetime
    end_at: datetime
    source_bytes: int
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class Stock:
    """The backups, oldest first, and the window of the newest one.

    `trouble` says why there is no window: what a restore would be refused for.
    """

    backups: tuple[StoredBackup, ...]
    window_begin_at: datetime | None
    window_end_at: datetime | None
    trouble: str | None


def stock_of(repository: Repository, folder: Path, bin_dirs: tuple[Path, ...]) -> Stock:
    """Return what a restore into `folder` could use now; NotFoundError when there is no backup."""
    found = tuple(
        StoredBackup(str(m.backup_id), m.begin_at, m.end_at, m.source_bytes, m.stored_bytes)
        for m in repository.manifests()
    )
    if not found:
        raise NotFoundError(
            f"no backup in {repository.store.location}",
            hint="Run `processpilot backup create`, or `processpilot up`.",
        )
    request = RestoreRequest(RecoveryTarget(TargetKind.LATEST), folder, bin_dirs=bin_dirs)
    try:
        window = plan_restore(repository, request).window
    except ProcessPilotError as error:
        return Stock(found, None, None, error.message)
    return Stock(found, window.begin_at, window.end_at, None)


class ListBackups:
    """Reads which backups there are, and fails when nothing could be restored from them."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def probe(self, context: StepContext) -> ProbeAnswer:
        """Reading again is safe."""
        return NotHappened()

    def execute(self, context: StepContext) -> Result:
        """Return the backups and the window; ProcessPilotError when none can be restored."""
        ground = self._ground
        folder = ground.data_dir.with_name(f"{ground.data_dir.name}.recovered-look")
        stock = stock_of(ground.repository, folder, ground.bin_dirs)
        if stock.trouble is not None:
            raise NotFoundError(
                f"no backup can be restored: {stock.trouble}",
                hint="Run `processpilot backup verify` to see what is wrong.",
            )
        return {
            "backups": [
                {k: v.isoformat() if isinstance(v, datetime) else v for k, v in asdict(b).items()}
                for b in stock.backups
            ],
            "window_begin_at": _text(stock.window_begin_at),
            "window_end_at": _text(stock.window_end_at),
        }


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
