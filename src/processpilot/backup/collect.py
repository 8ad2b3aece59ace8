"""Storing the files of a scan: several threads read, one tree comes out.

The unit of work is a stretch of a file that fills one leaf (64 MiB at the default chunk size).
A file that became shorter or vanished meanwhile is stored as far as it went: its truncation is in
the write-ahead log, which replay applies.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from processpilot.backup.chunks import ChunkWriter, KnownChunks, PageRule
from processpilot.backup.parent import ParentTree
from processpilot.backup.scan import CONTROL_FILE, FoundDirectory, FoundFile, Scan
from processpilot.backup.summary import Changes
from processpilot.backup.upload import Uploads
from processpilot.errors import UnavailableError
from processpilot.parallel import run_all
from processpilot.postgres.lsn import Lsn
from processpilot.postgres.pages import first_block_of, has_checksums
from processpilot.progress import Progress
from processpilot.repository.blob import REF, BackupId, PackId, decode_refs, ref_of
from processpilot.repository.manifest import BadPage, DirectoryEntry
from processpilot.repository.pack import PackWriter
from processpilot.repository.repository import Repository
from processpilot.repository.tree import (
    CHUNKS_PER_LEAF,
    INLINE_CHUNKS,
    Directory,
    FileEntry,
    LinkEntry,
)


@dataclass(frozen=True, slots=True)
class Collected:
    """What was stored: the tree's folders and the figures of the backup."""

    directories: tuple[DirectoryEntry, ...]
    file_count: int
    source_bytes: int
    stored_bytes: int
    bad_pages: tuple[BadPage, ...]
    paths: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Stretch:
    file: FoundFile
    leaf: int
    begin: int
    end: int


class TreeWriter:
    """Stores the files and folders of one backup. Writers it hands out belong to one thread."""

    def __init__(
        self,
        repository: Repository,
        backup_id: BackupId,
        parent: ParentTree | None,
        uploads: Uploads,
        *,
        level: int,
        progress: Progress,
    ) -> None:
        self._repository = repository
        self._parent = parent
        self._uploads = uploads
        self._level = level
        self._progress = progress
        self.chunk_bytes = repository.settings.chunk_bytes
        self._numbers = itertools.count()
        self.backup_id = backup_id
        self._lock = threading.Lock()
        self._done_bytes = 0
        self._total_bytes = 0
        self._writers: list[ChunkWriter] = []
        self._paths: set[str] = set()
        self.nodes = self.new_packs()

    def expect(self, total_bytes: int) -> None:
        """Say how many bytes are coming, for progress."""
        self._total_bytes = total_bytes

    def new_packs(self) -> PackWriter:
        """Return a pack writer for one thread."""
        return PackWriter(
            self._repository.keyring, self._next_pack, self._uploads.put, level=self._level
        )

    def new_writer(self) -> ChunkWriter:
        """Return a chunk writer for one thread."""
        name = self._repository.keyring.chunk_name
        writer = ChunkWriter(self.new_packs(), name, self.chunk_bytes, self._count)
        with self._lock:
            self._writers.append(writer)
        return writer

    def _next_pack(self) -> PackId:
        return PackId(self.backup_id, next(self._numbers))

    def _count(self, size: int) -> None:
        with self._lock:
            self._done_bytes += size
            done = self._done_bytes
        self._progress("read", done, self._total_bytes)

    def add_file(self, file: FoundFile, rows: bytes, owner: tuple[int, int] | None) -> FileEntry:
        """Return the entry of a file whose chunk references are `rows`, storing leaves."""
        self._paths.add(file.path)
        refs = decode_refs(rows)
        size = int(refs["raw_bytes"].sum()) if len(refs) else 0
        name = file.path.rpartition("/")[2]
        if len(refs) <= INLINE_CHUNKS:
            return FileEntry(name, file.mode, size, owner, refs, None)
        step = CHUNKS_PER_LEAF * REF.itemsize
        leaves = b"".join(
            self._add_leaf(file.path, number, rows[begin : begin + step])
            for number, begin in enumerate(range(0, len(rows), step))
        )
        return FileEntry(name, file.mode, size, owner, None, decode_refs(leaves))

    def _add_leaf(self, path: str, number: int, rows: bytes) -> bytes:
        name = self._repository.keyring.chunk_name(rows)
        known = None if self._parent is None else self._parent.leaf_row(path, number, name)
        return self.nodes.add(rows, name) if known is None else known

    def add_directory(self, folder: FoundDirectory, files: list[FileEntry]) -> DirectoryEntry:
        """Return the manifest entry of a folder, storing its node unless nothing changed."""
        links = tuple(LinkEntry(name, target) for name, target in folder.links)
        data = Directory(tuple(files), links).to_json()
        name = self._repository.keyring.chunk_name(data)
        before = None if self._parent is None else self._parent.directory(folder.path)
        if before is not None and before.node.name == name:
            node = before.node
        else:
            node = ref_of(self.nodes.add(data, name))
        return DirectoryEntry(
            path=folder.path,
            mode=folder.mode,
            uid=folder.uid,
            gid=folder.gid,
            owner=folder.owner,
            group=folder.group,
            node=node,
        )

    def finish(self, directories: tuple[DirectoryEntry, ...], file_count: int) -> Collected:
        """Flush every pack, wait until all are durable, and return the figures."""
        for writer in self._writers:
            writer.packs.flush()
        self.nodes.flush()
        self._uploads.wait()
        packs = [self.nodes, *(writer.packs for writer in self._writers)]
        bad = [page for writer in self._writers for page in writer.bad_pages]
        return Collected(
            directories,
            file_count,
            self._done_bytes,
            sum(pack.stored_bytes for pack in packs),
            tuple(sorted(bad, key=lambda page: (page.path, page.block))),
            frozenset(self._paths),
        )


def collect(
    scan: Scan,
    tree: TreeWriter,
    parent: ParentTree | None,
    *,
    pages_before: Lsn | None,
    workers: int,
    chunk_bytes: int,
    changes: Changes | None = None,
) -> Collected:
    """Store every file of `scan`, the control file last; return the tree and its figures.

    With `changes` since `parent`, what they do not name is taken over from it unread.
    """
    tree.expect(scan.source_bytes)
    files = [file for folder in scan.directories for file in folder.files]
    ordinary = [file for file in files if file.path != CONTROL_FILE]
    reader = _StretchReader(scan.root, tree, parent, pages_before, changes)
    rows = reader.read_all(_stretches(ordinary, chunk_bytes), workers)
    control = [file for file in files if file.path == CONTROL_FILE]
    rows |= reader.read_all(_stretches(control, chunk_bytes), 1)
    directories = []
    for folder in scan.directories:
        entries = [
            tree.add_file(file, rows[file.path], _owner(file, folder))
            for file in folder.files
            if file.path in rows
        ]
        directories.append(tree.add_directory(folder, entries))
    return tree.finish(tuple(directories), len(rows))


def _owner(file: FoundFile, folder: FoundDirectory) -> tuple[int, int] | None:
    same = (file.uid, file.gid) == (folder.uid, folder.gid)
    return None if same else (file.uid, file.gid)


def _stretches(files: list[FoundFile], chunk_bytes: int) -> Iterator[_Stretch]:
    step = CHUNKS_PER_LEAF * chunk_bytes
    for file in files:
        if file.size_bytes == 0:
            yield _Stretch(file, 0, 0, 0)
        for leaf, begin in enumerate(range(0, file.size_bytes, step)):
            yield _Stretch(file, leaf, begin, min(begin + step, file.size_bytes))


class _StretchReader:
    """Reads stretches with several threads, each with a writer of its own."""

    def __init__(
        self,
        root: Path,
        tree: TreeWriter,
        parent: ParentTree | None,
        pages_before: Lsn | None,
        changes: Changes | None,
    ) -> None:
        self._root = root
        self._tree = tree
        self._parent = parent
        self._pages_before = pages_before
        self._changes = changes
        self._local = threading.local()

    def read_all(self, stretches: Iterator[_Stretch], workers: int) -> dict[str, bytes]:
        """Return each file's references in order, by path; vanished files are absent."""
        parts: dict[str, dict[int, tuple[_Stretch, bytes]]] = defaultdict(dict)
        lock = threading.Lock()

        def work(stretch: _Stretch) -> None:
            rows = self._read(self._writer(), stretch)
            if rows is not None:
                with lock:
                    parts[stretch.file.path][stretch.leaf] = (stretch, rows)

        run_all(work, stretches, workers)
        return {path: _join(leaves) for path, leaves in parts.items() if 0 in leaves}

    def _writer(self) -> ChunkWriter:
        writer: ChunkWriter | None = getattr(self._local, "writer", None)
        if writer is None:
            writer = self._local.writer = self._tree.new_writer()
        return writer

    def _read(self, writer: ChunkWriter, stretch: _Stretch) -> bytes | None:
        path = stretch.file.path
        rule = None
        if self._pages_before is not None and has_checksums(path):
            rule = PageRule(path, first_block_of(path), self._pages_before)
        known = None if self._parent is None else self._parent.stretch(path, stretch.leaf)
        keep = self._unchanged(stretch, known)
        if known is not None and keep.all():
            return writer.write_changed(-1, stretch.begin, stretch.end, known, keep, None)
        try:
            descriptor = os.open(self._root / path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UnavailableError(
                f"cannot read {path} of the data directory: {error.strerror}",
                hint="Run as the account that owns the data directory, or as root.",
            ) from error
        try:
            if known is None or not keep.any():
                return writer.write_stretch(descriptor, stretch.begin, stretch.end, known, rule)
            begin, end = stretch.begin, stretch.end
            return writer.write_changed(descriptor, begin, end, known, keep, rule)
        finally:
            os.close(descriptor)

    def _unchanged(self, stretch: _Stretch, known: KnownChunks | None) -> NDArray[np.bool_]:
        """Return which chunks of a stretch the previous backup certainly has as they are."""
        chunk = self._tree.chunk_bytes
        size = stretch.end - stretch.begin
        count = -(-size // chunk)
        nothing = np.zeros(count, np.bool_)
        if self._changes is None or known is None:
            return nothing
        keep = self._changes.unchanged_chunks(stretch.file.path, stretch.begin, count, chunk)
        if keep is None:
            return nothing
        sizes = np.full(count, chunk)
        sizes[-1:] = size - (count - 1) * chunk
        held = np.zeros(count, np.int64)
        before = known.raw_bytes[:count]
        held[: len(before)] = before
        same: NDArray[np.bool_] = held == sizes
        return keep & same


def _join(leaves: dict[int, tuple[_Stretch, bytes]]) -> bytes:
    """Return a file's references up to the first stretch that came back short."""
    parts = []
    for number in range(len(leaves)):
        if number not in leaves:
            break
        stretch, rows = leaves[number]
        parts.append(rows)
        refs = decode_refs(rows)
        if int(refs["raw_bytes"].sum()) < stretch.end - stretch.begin:
            break
    return b"".join(parts)
