"""The line that leads to the newest timeline: which backup recovery of today's cluster begins with.

After a return to an earlier moment there are backups on a timeline that was left. They may be the
newest by age, and yet nothing of today's cluster can be had from them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from processpilot.postgres.lsn import Lsn
from processpilot.repository.blob import BackupId
from processpilot.repository.manifest import Manifest
from processpilot.repository.repository import Repository
from processpilot.repository.wal import WalArchive, WalInventory


@dataclass(frozen=True, slots=True)
class Line:
    """The newest timeline, the newest backup that leads to it, and from where its log is needed.

    Without such a backup, the first one may be running: its log begins on that timeline.
    """

    timeline: int
    backup: BackupId | None
    begin: Lsn
    inventory: WalInventory

    def __str__(self) -> str:
        return f"timeline {self.timeline}"


def read_line(repository: Repository, manifests: Iterable[Manifest]) -> Line | None:
    """Return the line that the log held belongs to; None when there is no backup.

    GapError or ChecksumError when the newest timeline's history is missing or damaged.
    """
    ordered = sorted(manifests, key=lambda manifest: manifest.backup_id)
    if not ordered:
        return None
    archive = WalArchive(repository, ordered[0].cluster.wal_segment_bytes)
    inventory = archive.inventory()
    history = archive.history(inventory.newest_timeline)
    for manifest in reversed(ordered):
        if history.contains(manifest.timeline, manifest.stop_lsn):
            return Line(history.timeline, manifest.backup_id, manifest.start_lsn, inventory)
    return Line(history.timeline, None, history.begin_of(history.timeline), inventory)
