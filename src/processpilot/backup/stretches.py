"""Reading a data directory a stretch at a time: what one worker of a backup does.

A stretch is what one leaf of a file's tree holds (64 MiB at the default chunk size). Workers share
nothing: each opens the repository and the previous backup's tree for itself, fills packs of its
own, and reports references.
"""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from processpilot.backup.changes import Changes
from processpilot.backup.chunks import ChunkWriter, KnownChunks, PageRule
from processpilot.backup.pace import Pace
from processpilot.backup.parent import ParentTree
from processpilot.backup.upload import Uploads
from processpilot.errors import UnavailableError
from processpilot.postgres.control import CONTROL_PATH, read_control_file
from processpilot.postgres.lsn import Lsn
from processpilot.postgres.pages import first_block_of, has_checksums
from processpilot.repository.blob import BackupId, PackId
from processpilot.repository.manifest import BadPage, Manifest
from processpilot.repository.pack import PackWriter
from processpilot.repository.repository import Repository


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bytes `begin` to `end` of a file, which are its leaf number `leaf`."""

    path: str
    leaf: int
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Stored:
    """What a worker stored in all."""

    stored_bytes: int
    bad_pages: tuple[BadPage, ...]


@dataclass(frozen=True)
class ReadJob:
    """Everything a worker has to know; picklable where the repository's store is.

    `pages_before` is the LSN up to which page checksums are checked; None: not at all.
    """

    repository: Repository
    backup_id: BackupId
    root: Path
    parent: Manifest | None
    changes: Changes | None
    pages_before: Lsn | None
    level: int
    workers: int
    bytes_per_s: float | None = None

    def begin(self, number: int) -> StretchReader:
        """Return worker `number`, from 0."""
        return StretchReader(self, number)


class StretchReader:
    """One worker: stores stretches and answers their references, 56 bytes a chunk."""

    def __init__(self, job: ReadJob, number: int) -> None:
        self._job = job
        repository = job.repository
        self._chunk_bytes = repository.settings.chunk_bytes
        self._parent = None if job.parent is None else ParentTree(repository, job.parent)
        self._uploads = Uploads(repository.store)
        # Number 0 and its multiples belong to whoever writes the nodes.
        numbers = itertools.count(number + 1, job.workers + 1)
        packs = PackWriter(
            repository.keyring,
            lambda: PackId(job.backup_id, next(numbers)),
            self._uploads.put,
            level=job.level,
        )
        share = None if job.bytes_per_s is None else job.bytes_per_s / job.workers
        name = repository.keyring.chunk_name
        self._writer = ChunkWriter(packs, name, self._chunk_bytes, Pace(share))

    def do(self, task: Stretch) -> bytes | None:
        """Return the references of a stretch; fewer when the file became shorter, None when it
        vanished.
        """
        known = None if self._parent is None else self._parent.stretch(task.path, task.leaf)
        if task.path == CONTROL_PATH:
            # Half of what the server is just writing would start nowhere.
            control = memoryview(read_control_file(self._job.root))
            return b"".join(self._writer.write_window(control, 0, known))
        keep = self._unchanged(task, known)
        if known is not None and keep.all():
            return known.kept(0, len(keep))
        try:
            descriptor = os.open(self._job.root / task.path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UnavailableError(
                f"cannot read {task.path} of the data directory: {error.strerror}",
                hint="Run as the account that owns the data directory, or as root.",
            ) from error
        try:
            return self._read(descriptor, task, known, keep)
        finally:
            os.close(descriptor)

    def _read(
        self,
        descriptor: int,
        task: Stretch,
        known: KnownChunks | None,
        keep: NDArray[np.bool_],
    ) -> bytes:
        rule = None
        if self._job.pages_before is not None and has_checksums(task.path):
            rule = PageRule(task.path, first_block_of(task.path), self._job.pages_before)
        if known is None or not keep.any():
            return self._writer.write_stretch(descriptor, task.begin, task.end, known, rule)
        return self._writer.write_changed(descriptor, task.begin, task.end, known, keep, rule)

    def finish(self) -> Stored:
        """Return what was stored, all of it durable."""
        self._writer.packs.flush()
        self._uploads.wait()
        return Stored(self._writer.packs.stored_bytes, tuple(self._writer.bad_pages))

    def close(self) -> None:
        """End the uploads."""
        self._uploads.close()

    def _unchanged(self, task: Stretch, known: KnownChunks | None) -> NDArray[np.bool_]:
        """Return which chunks of a stretch the previous backup certainly has as they are."""
        chunk = self._chunk_bytes
        size = task.end - task.begin
        count = -(-size // chunk)
        nothing = np.zeros(count, np.bool_)
        if self._job.changes is None or known is None:
            return nothing
        keep = self._job.changes.unchanged_chunks(task.path, task.begin, count, chunk)
        if keep is None:
            return nothing
        sizes = np.full(count, chunk)
        sizes[-1:] = size - (count - 1) * chunk
        held = np.zeros(count, np.int64)
        before = known.raw_bytes[:count]
        held[: len(before)] = before
        same: NDArray[np.bool_] = held == sizes
        return keep & same
