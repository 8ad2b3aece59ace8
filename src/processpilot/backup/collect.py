"""Storing the files of a scan: workers read stretches, one tree comes out.

A file that became shorter or vanished meanwhile is stored as far as it went: its truncation is in
the write-ahead log, which replay applies.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from processpilot.backup.chunks import ChunkWriter
from processpilot.backup.parent import ParentTree
from processpilot.backup.scan import FoundDirectory, FoundFile, Scan
from processpilot.backup.stretches import ReadJob, Stored, Stretch
from processpilot.backup.upload import Uploads
from processpilot.crew import Crew, open_crew
from processpilot.errors import IntegrityError
from processpilot.postgres.control import CONTROL_PATH
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

ReadCrew = Crew[Stretch, bytes | None, Stored]


@dataclass(frozen=True, slots=True)
class Collected:
    """What was stored: the tree's folders and the figures of the backup."""

    directories: tuple[DirectoryEntry, ...]
    file_count: int
    source_bytes: int
    stored_bytes: int
    bad_pages: tuple[BadPage, ...]
    paths: frozenset[str]


class TreeWriter:
    """Stores the folders and leaves of one backup. Used by one thread.

    Its packs are numbered 0, `number_step`, and so on; the numbers between are the workers'.
    """

    def __init__(
        self,
        repository: Repository,
        backup_id: BackupId,
        parent: ParentTree | None,
        uploads: Uploads,
        progress: Progress,
        *,
        level: int = 1,
        number_step: int = 1,
    ) -> None:
        self._repository = repository
        self._parent = parent
        self._progress = progress
        self.chunk_bytes = repository.settings.chunk_bytes
        self.backup_id = backup_id
        self._done_bytes = 0
        self._total_bytes = 0
        self._paths: set[str] = set()
        self._uploads = uploads
        numbers = itertools.count(0, number_step)
        self._nodes = PackWriter(
            repository.keyring,
            lambda: PackId(backup_id, next(numbers)),
            uploads.put,
            level=level,
        )

    def expect(self, total_bytes: int) -> None:
        """Say how many bytes are coming, for progress."""
        self._total_bytes = total_bytes

    def count(self, size_bytes: int) -> None:
        """Note that so many bytes more were read."""
        self._done_bytes += size_bytes
        self._progress("read", self._done_bytes, self._total_bytes)

    def chunk_writer(self) -> ChunkWriter:
        """Return what stores chunks in the same packs as the nodes."""
        name = self._repository.keyring.chunk_name
        return ChunkWriter(self._nodes, name, self.chunk_bytes, self.count)

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
        return self._nodes.add(rows, name) if known is None else known

    def add_directory(self, folder: FoundDirectory, files: list[FileEntry]) -> DirectoryEntry:
        """Return the manifest entry of a folder, storing its node unless nothing changed."""
        links = tuple(LinkEntry(name, target) for name, target in folder.links)
        data = Directory(tuple(files), links).to_json()
        name = self._repository.keyring.chunk_name(data)
        before = None if self._parent is None else self._parent.directory(folder.path)
        if before is not None and before.node.name == name:
            node = before.node
        else:
            node = ref_of(self._nodes.add(data, name))
        return DirectoryEntry(
            path=folder.path,
            mode=folder.mode,
            uid=folder.uid,
            gid=folder.gid,
            owner=folder.owner,
            group=folder.group,
            node=node,
        )

    def finish(
        self, directories: tuple[DirectoryEntry, ...], workers: tuple[Stored, ...] = ()
    ) -> Collected:
        """Flush every pack, wait until all are durable, and return the figures.

        IntegrityError when the control file is not among the files: nothing could start then.
        """
        if CONTROL_PATH not in self._paths:
            raise IntegrityError(f"the data directory gave no {CONTROL_PATH}")
        self._nodes.flush()
        self._uploads.wait()
        bad = [page for stored in workers for page in stored.bad_pages]
        return Collected(
            directories,
            len(self._paths),
            self._done_bytes,
            self._nodes.stored_bytes + sum(stored.stored_bytes for stored in workers),
            tuple(sorted(bad, key=lambda page: (page.path, page.block))),
            frozenset(self._paths),
        )


def collect(scan: Scan, tree: TreeWriter, job: ReadJob, *, processes: bool) -> Collected:
    """Store every file of `scan`, the control file last; return the tree and its figures.

    With changes since the previous backup, what they do not name is taken over from it unread.
    """
    tree.expect(scan.source_bytes)
    with open_crew(job.begin, job.workers, processes=processes) as crew:
        entries = _store_files(scan, tree, crew, control=False)
        entries |= _store_files(scan, tree, crew, control=True)
        stored = tuple(crew.finish())
    directories = []
    for folder in scan.directories:
        files = [entries[file.path] for file in folder.files if file.path in entries]
        directories.append(tree.add_directory(folder, files))
    return tree.finish(tuple(directories), stored)


def _store_files(
    scan: Scan, tree: TreeWriter, crew: ReadCrew, *, control: bool
) -> dict[str, FileEntry]:
    """Return the entries of all files but the control file, or of that one; by path."""
    found = {
        file.path: (file, folder)
        for folder in scan.directories
        for file in folder.files
        if (file.path == CONTROL_PATH) is control
    }
    files = [file for file, _ in found.values()]
    parts: dict[str, dict[int, tuple[Stretch, bytes | None]]] = defaultdict(dict)
    entries: dict[str, FileEntry] = {}
    for stretch, rows in crew.results(_stretches(files, tree.chunk_bytes)):
        tree.count(stretch.end - stretch.begin)
        file, folder = found[stretch.path]
        leaves = parts[stretch.path]
        leaves[stretch.leaf] = (stretch, rows)
        if len(leaves) == _leaf_count(file, tree.chunk_bytes):
            del parts[stretch.path]
            joined = _join(leaves)
            if joined is not None:
                entries[file.path] = tree.add_file(file, joined, _owner(file, folder))
    return entries


def _owner(file: FoundFile, folder: FoundDirectory) -> tuple[int, int] | None:
    same = (file.uid, file.gid) == (folder.uid, folder.gid)
    return None if same else (file.uid, file.gid)


def _leaf_count(file: FoundFile, chunk_bytes: int) -> int:
    return max(1, -(-file.size_bytes // (CHUNKS_PER_LEAF * chunk_bytes)))


def _stretches(files: list[FoundFile], chunk_bytes: int) -> Iterator[Stretch]:
    step = CHUNKS_PER_LEAF * chunk_bytes
    for file in files:
        for leaf in range(_leaf_count(file, chunk_bytes)):
            begin = leaf * step
            yield Stretch(file.path, leaf, begin, min(begin + step, file.size_bytes))


def _join(leaves: dict[int, tuple[Stretch, bytes | None]]) -> bytes | None:
    """Return a file's references up to the first stretch that came back short.

    None when the file had vanished before its beginning was read.
    """
    parts = []
    for number in range(len(leaves)):
        stretch, rows = leaves[number]
        if rows is None:
            break
        parts.append(rows)
        if int(decode_refs(rows)["raw_bytes"].sum()) < stretch.end - stretch.begin:
            break
    return b"".join(parts) if parts else None
