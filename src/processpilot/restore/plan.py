"""The operation plan of a restore: decided before anything is written, printed by a dry run.

What runs is exactly this plan. Targets outside the window and machines that lack something are
refused here, with what the window is and what is missing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from processpilot.errors import (
    GapError,
    IntegrityError,
    NotFoundError,
    ProcessPilotError,
    RefusedError,
)
from processpilot.postgres.binaries import Installation, installation_for
from processpilot.postgres.cluster import postmaster_of
from processpilot.postgres.history import TimelineHistory
from processpilot.postgres.lsn import Lsn
from processpilot.postgres.wal import Segment
from processpilot.repository.blob import BackupId
from processpilot.repository.chain import Chain, resolve_chain
from processpilot.repository.manifest import Manifest
from processpilot.repository.repository import Repository
from processpilot.repository.wal import WalArchive
from processpilot.restore.logend import find_log_end
from processpilot.restore.machine import missing_here
from processpilot.restore.staging import staging_of
from processpilot.restore.target import RecoveryTarget, TargetKind

# Room for what replay writes besides the restored files: prefetched segments, pg_wal, sort files.
_SPARE_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Window:
    """What can be recovered from one backup: from its stop to the last whole record held."""

    begin_lsn: Lsn
    begin_at: datetime
    end_lsn: Lsn
    end_at: datetime | None

    def __str__(self) -> str:
        end = "unknown" if self.end_at is None else f"{self.end_at:%Y-%m-%d %H:%M:%S.%f} UTC"
        return (
            f"{self.begin_at:%Y-%m-%d %H:%M:%S.%f} UTC ({self.begin_lsn}) to {end} ({self.end_lsn})"
        )


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """What is asked for: `backup_id` None lets the target choose.

    With `allow_gap` the end of the log may be a hole behind which later log is held.
    """

    target: RecoveryTarget
    folder: Path
    backup_id: BackupId | None = None
    tablespaces: Mapping[int, Path] = field(default_factory=dict)
    bin_dirs: tuple[Path, ...] = ()
    allow_gap: bool = False


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """Everything a restore will do. `planned_lsn` is where replay has to arrive at least."""

    manifest: Manifest
    target: RecoveryTarget
    folder: Path
    tablespaces: Mapping[int, Path]
    chain: Chain
    histories: tuple[TimelineHistory, ...]
    planned_lsn: Lsn
    last_record: Lsn
    window: Window
    bytes: int
    log_bytes: int
    free_bytes: int
    installation: Installation
    warnings: tuple[str, ...]

    @property
    def replays_all(self) -> bool:
        """Whether the target lies behind the last record: PostgreSQL then meets it nowhere.

        It stops for a time at the first later commit, for a position at the first record there;
        when the log holds neither, replaying all of it is what was asked for.
        """
        lsn = self.target.lsn
        return (
            self.target.kind is TargetKind.LATEST
            or (self.target.time is not None and self.target.time == self.window.end_at)
            or (lsn is not None and lsn > self.last_record)
        )

    @property
    def staging(self) -> Path:
        """The folder that holds log on its way and the scratch server's files."""
        return staging_of(self.folder)


def plan_restore(
    repository: Repository, request: RestoreRequest, *, resuming: bool = False
) -> RestorePlan:
    """Return what a restore would do; RefusedError, GapError or NotFoundError when it cannot.

    With `resuming` the folder may hold what an earlier call of the same restore wrote.
    """
    if not resuming:
        _check_folder(request.folder)
    way = _resolve(repository, request)
    archive, manifest, chain = way.archive, way.manifest, way.chain
    installation = installation_for(manifest.cluster.major, request.bin_dirs)
    log_end = find_log_end(archive, chain, installation)
    window = Window(manifest.stop_lsn, manifest.stop_at, log_end.lsn, log_end.last_commit_at)
    planned = _planned_lsn(manifest, request.target, window, chain)
    warnings = [*way.damaged, *missing_here(manifest, installation)]
    if chain.missing is not None:
        if request.target.kind is TargetKind.LATEST and not request.allow_gap:
            raise _ends_early(manifest, window, chain.missing)
        warnings.append(f"the log breaks at {chain.missing.name}; later log cannot be used")
    free = _free_bytes(request.folder)
    if not resuming:
        _check_space(manifest, request.folder, free)
    return RestorePlan(
        manifest=manifest,
        target=request.target,
        folder=request.folder,
        tablespaces=_place_tablespaces(manifest, request, resuming=resuming),
        chain=chain,
        histories=way.histories,
        planned_lsn=planned,
        last_record=log_end.last_record,
        window=window,
        bytes=manifest.source_bytes,
        log_bytes=int(log_end.lsn - manifest.start_lsn),
        free_bytes=free,
        installation=installation,
        warnings=tuple(warnings),
    )


@dataclass(frozen=True, slots=True)
class _Way:
    """From which backup along which log; `damaged` says what was passed over."""

    archive: WalArchive
    manifest: Manifest
    chain: Chain
    histories: tuple[TimelineHistory, ...]
    damaged: tuple[str, ...]


def _resolve(repository: Repository, request: RestoreRequest) -> _Way:
    """Return the way to the target; GapError when the log does not reach the backup's stop."""
    candidates, damaged = _candidates(repository, request)
    archive = WalArchive(repository, candidates[-1].cluster.wal_segment_bytes)
    inventory = archive.inventory()
    history = archive.history(request.target.timeline or inventory.newest_timeline)
    manifest = _choose(candidates, history, request.target)
    chain = resolve_chain(inventory, history, manifest.start_lsn)
    if not chain.covers(manifest.stop_lsn):
        raise GapError(
            f"the log of backup {manifest.backup_id} ends at {chain.end}, "
            f"its stop is {manifest.stop_lsn}",
            segment=chain.missing.name if chain.missing else str(chain.end),
            hint="Run `processpilot backup verify`; an older backup may be whole.",
        )
    histories = tuple(archive.history(number) for number in sorted(inventory.histories))
    return _Way(archive, manifest, chain, histories, tuple(damaged))


def companions_of(folder: Path) -> Path:
    """Return where what a backup holds besides the cluster's files is written."""
    return folder.with_name(f"{folder.name}-companions")


def _ends_early(manifest: Manifest, window: Window, missing: Segment) -> GapError:
    """Return the refusal of "latest" where later log is held and cannot be reached."""
    return GapError(
        f"the log behind backup {manifest.backup_id} breaks at {missing.name}; later log is there, "
        f"but recovery would end at {window.end_lsn}",
        segment=missing.name,
        hint="Bring the segment back into the repository, or accept the loss of what came after "
        "with --allow-gap.",
    )


def _check_folder(folder: Path) -> None:
    if not folder.is_absolute():
        raise RefusedError(f"the target {folder} is not an absolute path")
    if (pid := postmaster_of(folder)) is not None:
        raise RefusedError(
            f"a server (pid {pid}) runs in {folder}",
            hint="Restore into another folder; a running server is never touched.",
        )
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise RefusedError(f"the target {folder} is not a folder")
    if os.path.lexists(companions_of(folder)):
        raise RefusedError(
            f"{companions_of(folder)} exists; the plan stored with the backup is written there",
            hint="Move it away, or choose another target.",
        )
    if folder.is_dir() and (first := next(folder.iterdir(), None)) is not None:
        raise RefusedError(
            f"the target {folder} is not empty: it holds {first.name}",
            hint="Give an empty or a new folder; a restore never overwrites.",
        )


def _candidates(
    repository: Repository, request: RestoreRequest
) -> tuple[list[Manifest], list[str]]:
    """Return the backups to choose from, and what is wrong with those that were passed over.

    The log leads from an older backup to the same end. What lies nearest the newest backup itself
    is had from that one alone, so then a damaged one is an error.
    """
    if request.backup_id is not None:
        return [repository.manifest(request.backup_id)], []
    manifests: list[Manifest] = []
    damaged: list[str] = []
    failure: ProcessPilotError | None = None
    for backup in repository.backup_ids():
        try:
            manifests.append(repository.manifest(backup))
            failure = None
        except (IntegrityError, NotFoundError, RefusedError) as error:
            failure = error
            damaged.append(f"backup {backup} was passed over: {error.message}")
    if failure is not None and (not manifests or request.target.kind is TargetKind.IMMEDIATE):
        raise failure
    if not manifests:
        raise NotFoundError(
            f"no backup in {repository.store.location}",
            hint="Run `processpilot backup create` on the database's host.",
        )
    return manifests, damaged


def _choose(
    candidates: list[Manifest], history: TimelineHistory, target: RecoveryTarget
) -> Manifest:
    """Return the newest backup from which the target can be reached on that timeline."""
    on_timeline = [m for m in candidates if history.contains(m.timeline, m.stop_lsn)]
    if not on_timeline:
        raise NotFoundError(
            f"no backup leads to timeline {history.timeline}",
            hint="Name another timeline with --timeline, or another backup with --backup.",
        )
    time, lsn = target.time, target.lsn
    reachable = [
        m
        for m in on_timeline
        if (time is None or m.stop_at <= time) and (lsn is None or m.stop_lsn <= lsn)
    ]
    if not reachable:
        oldest = on_timeline[0]
        raise RefusedError(
            f"{target} lies before the first backup that could reach it "
            f"({oldest.stop_at:%Y-%m-%d %H:%M:%S.%f} UTC, {oldest.stop_lsn})",
            hint="Choose a later moment; `processpilot status` shows the window.",
        )
    return reachable[-1]


def _planned_lsn(manifest: Manifest, target: RecoveryTarget, window: Window, chain: Chain) -> Lsn:
    """Return where replay has to arrive; RefusedError when the target lies outside the window."""
    after = None
    if target.time is not None and (window.end_at is None or target.time > window.end_at):
        after = str(target)
    if target.lsn is not None and target.lsn > window.end_lsn:
        after = str(target)
    if after is not None:
        gap = "" if chain.missing is None else f"; segment {chain.missing.name} is missing"
        raise RefusedError(
            f"{after} lies outside the window of backup {manifest.backup_id}: {window}{gap}",
            hint="Choose a moment inside the window, or `latest`.",
        )
    if target.kind is TargetKind.LATEST:
        return window.end_lsn
    if target.lsn is not None and target.inclusive:
        return target.lsn
    return manifest.stop_lsn


def _place_tablespaces(
    manifest: Manifest, request: RestoreRequest, *, resuming: bool
) -> Mapping[int, Path]:
    """Return where each tablespace outside the data directory goes: beside the target."""
    default = request.folder.with_name(f"{request.folder.name}-tablespaces")
    placed: dict[int, Path] = {}
    for space in manifest.tablespaces:
        if space.inside:
            continue
        path = request.tablespaces.get(space.oid, default / str(space.oid))
        if not resuming and path.is_dir() and any(path.iterdir()):
            raise RefusedError(
                f"the folder {path} for tablespace {space.oid} is not empty",
                hint="Give another one with --tablespace OID=FOLDER.",
            )
        if path in placed.values() or path.is_relative_to(request.folder):
            raise RefusedError(
                f"the folder {path} for tablespace {space.oid} is taken",
                hint="Give each tablespace a folder of its own, outside the target.",
            )
        placed[space.oid] = path
    return placed


def bytes_needed(manifest: Manifest) -> int:
    """Return the room that a restore of a backup asks for beside its target."""
    return manifest.source_bytes + _SPARE_BYTES


def _free_bytes(folder: Path) -> int:
    existing = folder
    while not existing.exists():
        existing = existing.parent
    if not os.access(existing, os.W_OK):
        raise RefusedError(f"cannot write in {existing}")
    return shutil.disk_usage(existing).free


def _check_space(manifest: Manifest, folder: Path, free: int) -> None:
    needed = bytes_needed(manifest)
    if needed > free:
        raise RefusedError(
            f"the restore needs {needed} bytes in {folder.parent}, {free} are free",
            hint="Free space, or restore into a folder on another disk.",
        )
