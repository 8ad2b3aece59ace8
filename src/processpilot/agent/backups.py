"""Base backups as the agent and the command take them, written down in the journal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from croniter import croniter

from processpilot.backup.create import BackupRequest, Surroundings, create_backup
from processpilot.backup.inspect import read_facts
from processpilot.backup.stream import temporary_stream
from processpilot.checks.speed import FILE_NAME, measure_speed, write_baseline
from processpilot.errors import ProcessPilotError
from processpilot.journal.lease import acquire_lease, holder
from processpilot.postgres.binaries import installation_for
from processpilot.postgres.history import TimelineHistory
from processpilot.progress import Progress
from processpilot.repository.chain import resolve_chain
from processpilot.repository.expire import ExpirePlan, execute_expiry, plan_expiry
from processpilot.repository.manifest import Manifest
from processpilot.repository.retention import RetentionPolicy
from processpilot.repository.wal import WalArchive
from processpilot.wiring.wired import Wired

STREAM = "backups"
FINISHED = "backup-finished"
FAILED = "backup-failed"
_MB = 1_000_000.0


def take_backup(
    wired: Wired,
    progress: Progress,
    *,
    through_protocol: bool = False,
    rate_limit_mb_s: float | None = None,
) -> Manifest:
    """Take a base backup now; the log comes through the agent's stream, or one of its own.

    Only one backup runs at a time (LockedError). `rate_limit_mb_s` goes before the plan's.
    """
    with acquire_lease(wired.journal, "backup", wired.locks):
        begun = wired.clock.monotonic()
        try:
            request = _request(wired, through_protocol=through_protocol)
            if rate_limit_mb_s is not None:
                request = replace(request, bytes_per_s=rate_limit_mb_s * _MB)
            if holder("stream", wired.locks) is not None:
                manifest = _create(wired, request, progress, lambda: None)
            else:
                manifest = _alone(wired, replace(request, continuous=False), progress)
        except ProcessPilotError as error:
            wired.journal.append(STREAM, FAILED, {"code": error.code, "message": error.message})
            raise
        wired.journal.append(
            STREAM,
            FINISHED,
            {
                "backup_id": str(manifest.backup_id),
                "bytes": manifest.source_bytes,
                "stored_bytes": manifest.stored_bytes,
                "duration_s": round(wired.clock.monotonic() - begun, 3),
                "bad_pages": len(manifest.bad_pages),
                "missing_files": len(manifest.missing_files),
            },
        )
    speed = measure_speed(wired.prober, wired.loaded.plan.components)
    write_baseline(wired.state_dir / FILE_NAME, speed)
    return manifest


def _alone(wired: Wired, request: BackupRequest, progress: Progress) -> Manifest:
    with wired.address.session() as connection:
        facts = read_facts(connection)
    installation = installation_for(facts.major, wired.bin_dirs)
    with temporary_stream(
        wired.repository,
        wired.address,
        installation,
        facts.wal_segment_bytes,
        f"{wired.loaded.plan.protection.slot}_{wired.tag():08x}",
        wired.clock,
    ) as stream:

        def ship() -> None:
            stream.ship()

        return _create(wired, request, progress, ship)


def _request(wired: Wired, *, through_protocol: bool) -> BackupRequest:
    plan = wired.loaded.plan
    data_dir = plan.database.data_dir
    limit = plan.backup.rate_limit_mb_s
    return BackupRequest(
        wired.address,
        None if data_dir is None else Path(wired.loaded.resolve(data_dir)),
        through_protocol=through_protocol,
        compression_level=plan.backup.compression_level,
        bytes_per_s=None if limit is None else limit * _MB,
        plan=wired.loaded.text,
    )


def _create(
    wired: Wired, request: BackupRequest, progress: Progress, ship: Callable[[], None]
) -> Manifest:
    around = Surroundings(wired.clock, wired.tag, progress, ship)
    return create_backup(wired.repository, request, around)


def plan_expiry_now(wired: Wired) -> ExpirePlan:
    """Return what the plan's retention lets go now; changes nothing."""
    retention = wired.loaded.plan.backup.retention
    policy = RetentionPolicy(
        last=retention.last,
        hourly=retention.hourly,
        daily=retention.daily,
        weekly=retention.weekly,
        monthly=retention.monthly,
        yearly=retention.yearly,
    )
    return plan_expiry(wired.repository, policy, wired.clock.now(), lock=object_lock(wired))


def object_lock(wired: Wired) -> timedelta:
    """Return for how long the store keeps what was written, as the plan says."""
    return timedelta(days=wired.loaded.plan.repository.lock_days)


def expire(wired: Wired, plan: ExpirePlan) -> ExpirePlan:
    """Carry out `plan` and return what is really gone, written down in the journal.

    LockedError while a backup runs here, or when one was made since `plan`.
    """
    if plan.is_empty:
        return plan
    with acquire_lease(wired.journal, "backup", wired.locks):
        done = execute_expiry(wired.repository, plan, wired.clock.now())
    wired.journal.append(
        STREAM,
        "backups-expired",
        {"backups": [str(backup) for backup in done.backups], "packs": len(done.packs)},
    )
    return done


def backup_is_due(wired: Wired) -> str | None:
    """Return why a base backup should be taken now, or None.

    It is due when there is none, when the log after the newest one has a hole, and when the
    schedule says so.
    """
    ids = wired.repository.backup_ids()
    if not ids:
        return "there is no backup yet"
    newest = wired.repository.manifest(ids[-1])
    made = wired.journal.latest("slot-created")
    if made is not None and made.at > newest.end_at:
        return "the slot was made anew since the newest backup; log in between may be missing"
    archive = WalArchive(wired.repository, newest.cluster.wal_segment_bytes)
    inventory = archive.inventory()
    timeline = inventory.newest_timeline
    history = TimelineHistory(1, ()) if timeline == 1 else archive.history(timeline)
    if not history.contains(newest.timeline, newest.stop_lsn):
        return f"the newest backup does not lead to timeline {timeline}"
    chain = resolve_chain(inventory, history, newest.start_lsn)
    if chain.missing is not None:
        return f"the log after the newest backup breaks at {chain.missing.name}"
    if wired.clock.now() >= next_scheduled(wired, ids[-1].began_at):
        return "the schedule says so"
    return None


def next_scheduled(wired: Wired, after: datetime) -> datetime:
    """Return the schedule's first moment after `after`, in UTC."""
    moment: datetime = croniter(wired.loaded.plan.backup.schedule, after).get_next(datetime)
    return moment
