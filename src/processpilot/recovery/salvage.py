"""Log that the dead server wrote and nobody received: brought into the repository, or missed.

A database may have gone on while nobody streamed: the agent was away, or a run waited for people
while somebody started the old server again. As long as its pg_wal is there, nothing of that need
be lost; and a copy that does not hold it must not take its place.
"""

from __future__ import annotations

from dataclasses import dataclass

from processpilot.errors import GapError, NotFoundError, ProcessPilotError
from processpilot.postgres.binaries import installation_for
from processpilot.postgres.history import TimelineHistory
from processpilot.postgres.lsn import Lsn
from processpilot.recovery.ground import Ground
from processpilot.repository.chain import resolve_chain
from processpilot.repository.manifest import Manifest
from processpilot.repository.wal import WalArchive
from processpilot.restore.survivor import SurvivingLog, surviving_log
from processpilot.runbook.action import Result


@dataclass(frozen=True, slots=True)
class OldLog:
    """Where the old server's log ends, or None and why nobody can tell."""

    end: Lsn | None
    why: str | None

    def as_result(self) -> Result:
        """Return the form kept in the journal."""
        return {
            "old_log_end": None if self.end is None else str(self.end),
            "old_log_unknown": self.why,
        }


def salvage(ground: Ground) -> OldLog:
    """Store what the old data directory holds behind the repository's log; idempotent.

    Returns where that log ends. What cannot be read is said, not raised: a broken disk is why
    people recover.
    """
    try:
        manifest = _newest(ground)
        archive = WalArchive(ground.repository, manifest.cluster.wal_segment_bytes)
        survivor = _survivor(ground, manifest, stored_end(archive, manifest))
    except ProcessPilotError as error:
        return OldLog(None, error.message)
    if survivor.joined:
        _store(archive, survivor)
    return OldLog(survivor.end, None)


def old_log_end(ground: Ground, position: Lsn) -> OldLog:
    """Return where the old server's log ends, looked for from `position` on; stores nothing."""
    try:
        return OldLog(_survivor(ground, _newest(ground), position).end, None)
    except ProcessPilotError as error:
        return OldLog(None, error.message)


def stored_end(archive: WalArchive, manifest: Manifest) -> Lsn:
    """Return up to where the repository's log leads from `manifest` without a hole."""
    inventory = archive.inventory()
    history = archive.history(inventory.newest_timeline)
    return resolve_chain(inventory, history, manifest.start_lsn).end


def _newest(ground: Ground) -> Manifest:
    backups = ground.repository.backup_ids()
    if not backups:
        raise NotFoundError(f"no backup in {ground.repository.store.location}")
    return ground.repository.manifest(backups[-1])


def _survivor(ground: Ground, manifest: Manifest, position: Lsn) -> SurvivingLog:
    return surviving_log(
        ground.data_dir,
        manifest.cluster.system_identifier,
        installation_for(manifest.cluster.major, ground.bin_dirs),
        manifest.cluster.wal_segment_bytes,
        position,
    )


def _store(archive: WalArchive, survivor: SurvivingLog) -> None:
    inventory = archive.inventory()
    if survivor.timeline < inventory.newest_timeline:
        raise GapError(
            f"the old server is on timeline {survivor.timeline}, "
            f"the repository on {inventory.newest_timeline}",
            segment=str(survivor.timeline),
        )
    if survivor.timeline > inventory.newest_timeline and survivor.history is not None:
        archive.put_history(TimelineHistory.parse(survivor.timeline, survivor.history))
    for segment in survivor.segments:
        if inventory.holds(segment):
            continue
        data = survivor.read(segment)
        if len(data) == segment.size_bytes:
            archive.put_segment(segment, data)
        elif len(data) > inventory.tail_end(segment):
            archive.put_tail(segment, 0, data)
