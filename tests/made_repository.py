"""Repositories in memory, with backups of small made-up folders instead of a server's."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from processpilot.backup.collect import TreeWriter, collect
from processpilot.backup.parent import ParentTree
from processpilot.backup.scan import scan_data_directory
from processpilot.backup.stretches import ReadJob
from processpilot.backup.upload import Uploads
from processpilot.postgres.control import crc32c
from processpilot.postgres.lsn import Lsn
from processpilot.postgres.wal import Segment
from processpilot.progress import silent
from processpilot.repository.blob import BackupId
from processpilot.repository.keys import new_identity
from processpilot.repository.manifest import ClusterFacts, Manifest
from processpilot.repository.repository import Repository, Settings, create_repository
from processpilot.repository.wal import WalArchive
from processpilot.storage.memory import MemoryStore
from processpilot.storage.store import ObjectStore

SEGMENT_BYTES = 1 << 20
SYSTEM = 7_300_000_000_000_000_000
BEGIN = datetime(2026, 3, 1, 3, tzinfo=UTC)

OPERATOR = new_identity()

FACTS = ClusterFacts(
    system_identifier=SYSTEM,
    major=18,
    server_version="18.4",
    wal_segment_bytes=SEGMENT_BYTES,
    block_bytes=8192,
    data_checksums=False,
    settings={},
    preload_libraries=(),
    extensions=(),
    collations=(),
    data_directory="/var/lib/postgresql/18/main",
    databases=("postgres",),
    superuser="postgres",
)


def new_repository(store: ObjectStore | None = None, *, chunk_bytes: int = 8192) -> Repository:
    """Return an empty repository, in memory unless a store is given."""
    settings = Settings(b"\x01" * 16, SYSTEM, chunk_bytes)
    return create_repository(store or MemoryStore(), settings, [("operator", OPERATOR)])


def control_file(source: random.Random) -> bytes:
    """Return what passes for a control file of PostgreSQL 15 to 17; most of it is random."""
    data = bytearray(source.randbytes(8192))
    struct.pack_into("<QIII", data, 0, SYSTEM, 1300, 202209061, 6)
    struct.pack_into("<I", data, 288, crc32c(bytes(data[:288])))
    return bytes(data)


@dataclass
class Folder:
    """A made-up data directory whose files change from backup to backup."""

    root: Path
    seed: int = 1
    source: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.source = random.Random(self.seed)
        for path in ("base/5", "global", "pg_tblspc", "pg_wal"):
            (self.root / path).mkdir(parents=True)
        self.write("base/5/1000", 40_000)
        self.write("base/5/1001", 20_000)
        self.write_control()

    def write_control(self) -> None:
        """Give the control file new content; its CRC holds."""
        (self.root / "global/pg_control").write_bytes(control_file(self.source))

    def write(self, path: str, size_bytes: int) -> None:
        """Give a file new random content."""
        (self.root / path).write_bytes(self.source.randbytes(size_bytes))


def written_tree(
    repository: Repository,
    root: Path,
    backup: BackupId,
    parent: Manifest | None,
    *,
    processes: bool = False,
    workers: int = 1,
) -> Manifest:
    """Return the manifest of `root` with all its packs stored; it is not committed."""
    known = None if parent is None else ParentTree(repository, parent)
    job = ReadJob(repository, backup, root, parent, None, None, 1, workers)
    with Uploads(repository.store) as uploads:
        tree = TreeWriter(repository, backup, known, uploads, silent, number_step=workers + 1)
        collected = collect(scan_data_directory(root), tree, job, processes=processes)
    number = (backup.began_at - BEGIN).days
    return Manifest(
        backup_id=backup,
        parent=None if parent is None else parent.backup_id,
        method="files",
        begin_at=backup.began_at,
        end_at=backup.began_at,
        timeline=1,
        start_lsn=Lsn((number + 1) * SEGMENT_BYTES + 40),
        stop_lsn=Lsn((number + 1) * SEGMENT_BYTES + 400),
        stop_at=backup.began_at,
        cluster=FACTS,
        directories=collected.directories,
        tablespaces=(),
        backup_label="",
        tablespace_map="",
        file_count=collected.file_count,
        source_bytes=collected.source_bytes,
        stored_bytes=collected.stored_bytes,
        chunk_bytes=repository.settings.chunk_bytes,
        program="processpilot test",
    )


def backup_on(day: int, tag: int = 7) -> BackupId:
    """Return the identity of a backup that begins `day` days after the first."""
    return BackupId.new(BEGIN + timedelta(days=day), tag)


def take(repository: Repository, folder: Folder, day: int, tag: int = 7) -> Manifest:
    """Back `folder` up on a day, referring to the newest backup there is; store a day's log."""
    ids = repository.backup_ids()
    parent = repository.manifest(ids[-1]) if ids else None
    manifest = written_tree(repository, folder.root, backup_on(day, tag), parent)
    archive = WalArchive(repository, SEGMENT_BYTES)
    archive.put_segment(Segment(1, day + 1, SEGMENT_BYTES), b"\x05" * SEGMENT_BYTES)
    repository.commit(manifest)
    return manifest
