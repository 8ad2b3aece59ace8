"""Writing a backup's files: chunks go in parallel straight to their places.

The control file is written last and everything is flushed before it, so a restore that was
interrupted leaves a folder in which no server can start. Every chunk is authenticated and its
content compared with its name before it is written.
"""

from __future__ import annotations

import grp
import os
import pwd
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from processpilot.errors import IntegrityError, UnavailableError
from processpilot.parallel import run_all
from processpilot.progress import Progress
from processpilot.repository.blob import BlobRef, PackId, refs_in
from processpilot.repository.manifest import UNKNOWN_ID, DirectoryEntry, Manifest
from processpilot.repository.repository import Repository
from processpilot.repository.tree import (
    CHUNKS_PER_LEAF,
    Directory,
    FileEntry,
    check_file,
    file_chunks,
)

CONTROL_FILE = "global/pg_control"
# More threads than cores, because they wait for the disk in turn.
_WORKERS = 4

# Blobs of one pack are read in one request, up to this many bytes of plaintext.
_RUN_BYTES = 4 * 1024 * 1024
_CHUNKS_PER_WRITE = 64


@dataclass(frozen=True, slots=True)
class ChunkPlace:
    """One chunk and where it goes: what a single touch of a page would need to be served."""

    ref: BlobRef
    path: Path
    offset: int


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    entry: FileEntry
    owner: tuple[int, int]


class FileWriter:
    """Writes one backup's files below `root`; tablespaces go to the folders given by OID."""

    def __init__(
        self,
        repository: Repository,
        manifest: Manifest,
        root: Path,
        tablespaces: Mapping[int, Path],
        progress: Progress,
    ) -> None:
        self._repository = repository
        self._manifest = manifest
        self._root = root
        self._tablespaces = tablespaces
        self._progress = progress
        self._lock = threading.Lock()
        self._done = 0

    def write(self) -> None:
        """Write everything, durable on return; the control file comes last."""
        folders = [(entry, self._owner(entry)) for entry in self._manifest.directories]
        for entry, _ in folders:
            self._make_folder(entry)
        files: list[_File] = []
        control: list[_File] = []
        for entry, owner in folders:
            node = Directory.from_json(self._repository.read_blob(entry.node))
            for link in node.links:
                (self.place(entry.path) / link.name).symlink_to(link.target)
            for file in node.files:
                path = f"{entry.path}/{file.name}" if entry.path else file.name
                found = _File(self.place(path), file, _effective(file.owner or owner, owner))
                (control if path == CONTROL_FILE else files).append(found)
        if not control:
            raise IntegrityError(f"backup {self._manifest.backup_id} holds no control file")
        self._write_files(files)
        self._write_extras(folders[0][1])
        for entry, owner in folders:
            self._finish_folder(entry, owner)
        self._write_files(control)
        _sync_folder(self.place("global"))

    def place(self, path: str) -> Path:
        """Return where a path of the backup goes, following the tablespaces' new places."""
        parts = path.split("/")
        if parts[0] == "pg_tblspc" and len(parts) > 1 and parts[1].isdigit():
            moved = self._tablespaces.get(int(parts[1]))
            if moved is not None:
                return moved.joinpath(*parts[2:])
        if ".." in parts:
            raise IntegrityError(f"the manifest names a path outside the cluster: {path}")
        return self._root / path

    def chunk_places(self, entry: FileEntry, path: Path) -> Iterator[ChunkPlace]:
        """Yield where each chunk of one file goes."""
        offset = 0
        parts = list(file_chunks(self._repository, entry))
        check_file(entry, parts, self._manifest.chunk_bytes)
        for part in parts:
            for ref in refs_in(part):
                yield ChunkPlace(ref, path, offset)
                offset += ref.raw_bytes

    def _owner(self, entry: DirectoryEntry) -> tuple[int, int]:
        """Return who owns a folder here.

        The recorded names if this machine knows them, otherwise the recorded numbers, otherwise
        whoever owns the folder in which the target lies.
        """
        if entry.uid == UNKNOWN_ID:
            status = self._root.parent.stat()
            return status.st_uid, status.st_gid
        return _user(entry.owner, entry.uid), _group(entry.group, entry.gid)

    def _make_folder(self, entry: DirectoryEntry) -> None:
        path = self.place(entry.path)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        parts = entry.path.split("/")
        if len(parts) == 2 and parts[0] == "pg_tblspc" and int(parts[1]) in self._tablespaces:
            link = self._root / entry.path
            link.parent.mkdir(mode=0o700, exist_ok=True)
            link.symlink_to(path)

    def _finish_folder(self, entry: DirectoryEntry, owner: tuple[int, int]) -> None:
        descriptor = os.open(self.place(entry.path), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            os.fchmod(descriptor, entry.mode)
            if os.geteuid() == 0:
                os.fchown(descriptor, *owner)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        link = self._root / entry.path
        if os.geteuid() == 0 and link.is_symlink():
            os.chown(link, *owner, follow_symlinks=False)

    def _write_extras(self, owner: tuple[int, int]) -> None:
        """Write backup_label as `pg_backup_stop` returned it; links replace tablespace_map."""
        path = self._root / "backup_label"
        path.write_text(self._manifest.backup_label)
        _finish_file(path, 0o600, owner)

    def _write_files(self, files: Sequence[_File]) -> None:
        """Create the files, fill them by several threads, then flush them."""
        run_all(self._fill, self._batches(files), _WORKERS)
        run_all(_finish, files, _WORKERS)

    def _batches(self, files: Sequence[_File]) -> Iterator[list[ChunkPlace]]:
        """Yield chunks in the order of the files, a leaf's worth at a time."""
        batch: list[ChunkPlace] = []
        for file in files:
            _create(file)
            for place in self.chunk_places(file.entry, file.path):
                batch.append(place)
                if len(batch) >= CHUNKS_PER_LEAF:
                    yield batch
                    batch = []
        if batch:
            yield batch

    def _fill(self, batch: Sequence[ChunkPlace]) -> None:
        """Read, check and write a batch of chunks, a run of neighbours at a time."""
        by_pack: dict[PackId, list[ChunkPlace]] = defaultdict(list)
        for place in batch:
            by_pack[place.ref.pack].append(place)
        for places in by_pack.values():
            for run in _runs(places):
                self._fill_run(run)

    def _fill_run(self, run: Sequence[ChunkPlace]) -> None:
        data = self._repository.read_blobs([place.ref for place in run])
        for stretch in _stretches(run, data):
            _write_stretch(*stretch)
        with self._lock:
            self._done += sum(len(chunk) for chunk in data)
            done = self._done
        self._progress("restore", done, self._manifest.source_bytes)


def _create(file: _File) -> None:
    try:
        descriptor = os.open(file.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.truncate(descriptor, file.entry.size_bytes)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UnavailableError(f"cannot create {file.path}: {error.strerror}") from error


def _runs(places: list[ChunkPlace]) -> Iterator[list[ChunkPlace]]:
    """Yield chunks of one pack in its order, as many at a time as one request should read."""
    run: list[ChunkPlace] = []
    size = 0
    for place in sorted(places, key=lambda place: place.ref.offset):
        if run and size + place.ref.raw_bytes > _RUN_BYTES:
            yield run
            run, size = [], 0
        run.append(place)
        size += place.ref.raw_bytes
    if run:
        yield run


def _stretches(
    run: Sequence[ChunkPlace], data: Sequence[bytes]
) -> Iterator[tuple[Path, int, list[bytes]]]:
    """Yield path, offset and chunks of what lies side by side in one file, for one write."""
    path, begin, end = run[0].path, run[0].offset, run[0].offset
    chunks: list[bytes] = []
    for place, chunk in zip(run, data, strict=True):
        if place.path != path or place.offset != end or len(chunks) == _CHUNKS_PER_WRITE:
            yield path, begin, chunks
            path, begin, end, chunks = place.path, place.offset, place.offset, []
        chunks.append(chunk)
        end += len(chunk)
    yield path, begin, chunks


def _write_stretch(path: Path, offset: int, chunks: Sequence[bytes]) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
        try:
            written = os.pwritev(descriptor, chunks, offset)
            rest = memoryview(b"".join(chunks))[written:] if written < _size(chunks) else b""
            while rest:
                done = os.pwrite(descriptor, rest, offset + written)
                rest, written = rest[done:], written + done
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UnavailableError(f"cannot write {path}: {error.strerror}") from error


def _size(chunks: Sequence[bytes]) -> int:
    return sum(len(chunk) for chunk in chunks)


def _finish(file: _File) -> None:
    _finish_file(file.path, file.entry.mode, file.owner)


def _finish_file(path: Path, mode: int, owner: tuple[int, int]) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fchmod(descriptor, mode)
        if os.geteuid() == 0:
            os.fchown(descriptor, *owner)
        os.fsync(descriptor)
    except OSError as error:
        raise UnavailableError(f"cannot flush {path}: {error.strerror}") from error
    finally:
        os.close(descriptor)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _effective(recorded: tuple[int, int], folder: tuple[int, int]) -> tuple[int, int]:
    """Return who gets a file: PostgreSQL insists that all of a cluster has one owner."""
    return folder if recorded[0] == folder[0] else recorded


def _user(name: str | None, uid: int) -> int:
    try:
        return uid if name is None else pwd.getpwnam(name).pw_uid
    except KeyError:
        return uid


def _group(name: str | None, gid: int) -> int:
    try:
        return gid if name is None else grp.getgrnam(name).gr_gid
    except KeyError:
        return gid
