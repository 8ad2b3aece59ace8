"""A base backup, from the first question to the manifest.

The order is PostgreSQL's (manual, "Making a Base Backup Using the Low Level API"): start, copy,
stop; what `pg_backup_stop` returns is stored as given. The manifest is written only when every byte
of log from start to stop is in the repository, so a backup stands alone or does not exist.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import psycopg

from processpilot import __version__
from processpilot.backup.ancestry import check_ancestry, read_position
from processpilot.backup.basebackup import collect_stream
from processpilot.backup.changes import Changes
from processpilot.backup.collect import Collected, TreeWriter, collect
from processpilot.backup.inspect import (
    every_extension,
    name_relations,
    read_facts,
    readable_data_directory,
    relation_files,
)
from processpilot.backup.mode import BackupMode, backup_mode
from processpilot.backup.parent import ParentTree, choose_parent
from processpilot.backup.pin import pinned
from processpilot.backup.scan import FoundTablespace, Scan, scan_data_directory
from processpilot.backup.stretches import ReadJob
from processpilot.backup.summary import read_changes
from processpilot.backup.upload import Uploads
from processpilot.clock import Clock
from processpilot.crew import PROCESSES_FROM_BYTES, worker_count
from processpilot.errors import GapError, IntegrityError, NotFoundError, RefusedError
from processpilot.postgres.connection import ServerAddress
from processpilot.postgres.lsn import Lsn
from processpilot.postgres.wal import Segment
from processpilot.progress import Progress
from processpilot.repository.blob import BackupId
from processpilot.repository.chain import resolve_chain
from processpilot.repository.manifest import ClusterFacts, Manifest, Tablespace
from processpilot.repository.repository import Repository
from processpilot.repository.wal import WalArchive

WAL_WAIT_S = 120.0
# So many backups in a row may leave unread what did not change; then everything is read again.
MOST_PARTLY_READ = 6
_CLOCK_TOLERANCE = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class BackupRequest:
    """What to back up and how.

    `data_dir` overrides where the data directory is looked for; `through_protocol` never looks.
    `plan` is the text of the plan to store beside the data. `continuous` says that somebody goes on
    streaming the log behind the backup. `workers` and `in_processes` are chosen by the machine and
    by how much there is to read, when not given. `bytes_per_s` slows the reading down.
    """

    address: ServerAddress
    data_dir: Path | None = None
    through_protocol: bool = False
    compression_level: int = 1
    workers: int | None = None
    plan: str | None = None
    continuous: bool = True
    bytes_per_s: float | None = None
    in_processes: bool | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a backup borrows: time, 32 random bits, progress, and somebody to move the log.

    `ship` is called while waiting for the log to arrive; it does nothing where an agent streams.
    """

    clock: Clock
    tag: Callable[[], int]
    progress: Progress
    ship: Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Copied:
    collected: Collected
    tablespaces: tuple[FoundTablespace, ...]
    timeline: int
    start_lsn: Lsn
    stop_lsn: Lsn
    stop_at: datetime
    backup_label: str
    tablespace_map: str
    method: str
    partly_read: int = 0


def create_backup(
    repository: Repository, request: BackupRequest, surroundings: Surroundings
) -> Manifest:
    """Return the manifest of a new, committed backup."""
    begin_at = _moment_after_newest(repository, surroundings.clock)
    backup_id = BackupId.new(begin_at, surroundings.tag())
    with request.address.session() as connection:
        facts = _check_server(connection, repository)
    facts = facts.model_copy(
        update={"extensions": every_extension(request.address, facts.databases)}
    )
    parent = choose_parent(repository, facts.system_identifier)
    with pinned(repository, backup_id, parent, surroundings.clock) as parent:
        expected = relation_files(request.address, facts.databases)
        copied = _copy(repository, request, surroundings, backup_id, facts, parent)
        expected &= relation_files(request.address, facts.databases)
        wait_for_wal(repository, facts, copied, surroundings)
        manifest = Manifest(
            backup_id=backup_id,
            parent=None if parent is None else parent.backup_id,
            method=copied.method,
            begin_at=begin_at,
            end_at=surroundings.clock.now(),
            timeline=copied.timeline,
            start_lsn=copied.start_lsn,
            stop_lsn=copied.stop_lsn,
            stop_at=copied.stop_at,
            cluster=facts,
            directories=copied.collected.directories,
            tablespaces=tuple(
                Tablespace(oid=space.oid, location=space.location, inside=space.inside)
                for space in copied.tablespaces
            ),
            backup_label=copied.backup_label,
            tablespace_map=copied.tablespace_map,
            file_count=copied.collected.file_count,
            source_bytes=copied.collected.source_bytes,
            stored_bytes=copied.collected.stored_bytes,
            chunk_bytes=repository.settings.chunk_bytes,
            bad_pages=name_relations(request.address, facts.databases, copied.collected.bad_pages),
            missing_files=tuple(sorted(expected - copied.collected.paths)),
            config_files=_outside_config(facts),
            plan=request.plan,
            program=f"processpilot {__version__}",
            continuous=request.continuous,
            partly_read=copied.partly_read,
        )
        repository.commit(manifest)
    return manifest


def _moment_after_newest(repository: Repository, clock: Clock) -> datetime:
    """Return now, in a later second than the newest backup's: their names tell their order.

    RefusedError when this machine's clock is behind the newest backup. An object that only has a
    backup's name counts for nothing: anybody may have put it there.
    """
    newest = _newest_backup(repository)
    now = clock.now()
    if newest is None:
        return now
    if now + _CLOCK_TOLERANCE < newest.began_at:
        raise RefusedError(
            f"this machine's clock says {now:%Y-%m-%d %H:%M:%S} UTC, "
            f"the newest backup began {newest.began_at:%Y-%m-%d %H:%M:%S} UTC",
            hint="Set the clock (chrony, systemd-timesyncd), then try again.",
        )
    while now.replace(microsecond=0) <= newest.began_at:
        clock.sleep(0.1)
        now = clock.now()
    return now


def _newest_backup(repository: Repository) -> BackupId | None:
    for backup in reversed(repository.backup_ids()):
        with suppress(IntegrityError, NotFoundError):
            return repository.manifest(backup).backup_id
    return None


def _check_server(connection: psycopg.Connection, repository: Repository) -> ClusterFacts:
    facts = read_facts(connection)
    # What is held first: it must not be newer than the position it is compared with.
    held = WalArchive(repository, facts.wal_segment_bytes).inventory()
    check_ancestry(read_position(connection), repository.settings.system_identifier, held)
    if facts.settings.get("wal_level") == "minimal":
        raise RefusedError(
            "wal_level is minimal, which leaves out what recovery needs",
            hint="Run ALTER SYSTEM SET wal_level = replica; and restart the server.",
        )
    return facts


def _copy(
    repository: Repository,
    request: BackupRequest,
    surroundings: Surroundings,
    backup_id: BackupId,
    facts: ClusterFacts,
    parent: Manifest | None,
) -> _Copied:
    known = None if parent is None else ParentTree(repository, parent)
    root = None
    if not request.through_protocol:
        root = readable_data_directory(facts, request.data_dir)
    workers = 0 if root is None else request.workers or worker_count()
    with Uploads(repository.store) as uploads:
        tree = TreeWriter(
            repository,
            backup_id,
            known,
            uploads,
            surroundings.progress,
            level=request.compression_level,
            number_step=workers + 1,
        )
        if root is None:
            label = f"processpilot {backup_id}"
            stream = collect_stream(request.address, label, tree, known, request.bytes_per_s)
            return _Copied(
                stream.collected,
                stream.tablespaces,
                stream.timeline,
                stream.start_lsn,
                stream.stop_lsn,
                surroundings.clock.now(),
                stream.backup_label,
                stream.tablespace_map,
                "protocol",
            )
        job = ReadJob(
            repository=repository,
            backup_id=backup_id,
            root=root,
            parent=parent,
            changes=None,
            pages_before=None,
            level=request.compression_level,
            workers=workers,
            bytes_per_s=request.bytes_per_s,
        )
        return _copy_files(request, facts, tree, job, surroundings.clock)


def _copy_files(
    request: BackupRequest, facts: ClusterFacts, tree: TreeWriter, job: ReadJob, clock: Clock
) -> _Copied:
    parent = job.parent
    with backup_mode(request.address, f"processpilot {tree.backup_id}") as mode:
        changes = _changes(request.address, mode, parent, clock)
        scan = scan_data_directory(job.root)
        pages_before = mode.start_lsn if facts.data_checksums else None
        job = replace(job, changes=changes, pages_before=pages_before)
        processes = request.in_processes
        if processes is None:
            processes = _bytes_to_read(scan, changes, tree.chunk_bytes) >= PROCESSES_FROM_BYTES
        collected = collect(scan, tree, job, processes=processes)
        stop_lsn, stop_at, backup_label, tablespace_map = mode.stop()
    return _Copied(
        collected,
        scan.tablespaces,
        mode.timeline,
        mode.start_lsn,
        stop_lsn,
        stop_at,
        backup_label,
        tablespace_map,
        "files",
        0 if changes is None or parent is None else parent.partly_read + 1,
    )


def _bytes_to_read(scan: Scan, changes: Changes | None, chunk_bytes: int) -> int:
    """Return about how much of the data directory has to be read."""
    if changes is None:
        return scan.source_bytes
    total = 0
    for folder in scan.directories:
        for file in folder.files:
            count = -(-file.size_bytes // chunk_bytes)
            keep = changes.unchanged_chunks(file.path, 0, count, chunk_bytes)
            unread = 0 if keep is None else int(keep.sum())
            total += max(0, file.size_bytes - unread * chunk_bytes)
    return total


def _changes(
    address: ServerAddress, mode: BackupMode, parent: Manifest | None, clock: Clock
) -> Changes | None:
    """Return what changed since `parent`, or None when everything is to be read.

    That is so every few backups in any case: a page that rotted on disk is in no summary.
    """
    if parent is None or parent.timeline != mode.timeline or parent.partly_read >= MOST_PARTLY_READ:
        return None
    with address.session(limit_s=None) as connection:
        return read_changes(connection, mode.timeline, parent.start_lsn, mode.start_lsn, clock)


def wait_for_wal(
    repository: Repository, facts: ClusterFacts, copied: _Copied, surroundings: Surroundings
) -> None:
    """Return when all log from the backup's start to its stop is in the repository."""
    archive = WalArchive(repository, facts.wal_segment_bytes)
    deadline = surroundings.clock.monotonic() + WAL_WAIT_S
    while True:
        surroundings.ship()
        history = archive.history(copied.timeline)
        chain = resolve_chain(archive.inventory(), history, copied.start_lsn)
        if chain.covers(copied.stop_lsn):
            return
        surroundings.progress("wait for log", int(chain.end), int(copied.stop_lsn))
        if surroundings.clock.monotonic() > deadline:
            stuck = Segment.containing(chain.end, copied.timeline, facts.wal_segment_bytes)
            raise GapError(
                f"the log reached {chain.end} of {copied.stop_lsn} within {WAL_WAIT_S:.0f} s",
                segment=stuck.name,
                hint="Run `processpilot check` to see whether the log is being received.",
            )
        surroundings.clock.sleep(0.2)


def _outside_config(facts: ClusterFacts) -> dict[str, str]:
    """Return the configuration files that live outside the data directory, by path."""
    found: dict[str, str] = {}
    for key in ("config_file", "hba_file", "ident_file"):
        path = Path(facts.settings.get(key, ""))
        if not path.is_absolute() or path.is_relative_to(facts.data_directory):
            continue
        try:
            found[str(path)] = path.read_text()
        except (OSError, UnicodeDecodeError):
            continue
    return found
