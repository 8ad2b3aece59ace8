"""Writing a backup's files: chunks go in parallel straight to their places.

The control file is written last and everything is flushed before it, so a restore that was
interrupted leaves a folder in which no server can start. Every chunk is authenticated and its
content compared with its name before it is written.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from processpilot.crew import PROCESSES_FROM_BYTES, open_crew, worker_count
from processpilot.errors import IntegrityError
from processpilot.postgres.control import CONTROL_PATH
from processpilot.progress import Progress
from processpilot.repository.manifest import UNKNOWN_ID, DirectoryEntry, Manifest
from processpilot.repository.repository import Repository
from processpilot.repository.tree import Directory, FileEntry, check_leaf_count
from processpilot.restore.pieces import (
    Piece,
    TargetFile,
    WriteJob,
    create_file,
    finish_file,
    open_file,
    write_all,
)

# What one worker is given at a time, unless a file's leaf is longer.
_BATCH_BYTES = 32 * 1024 * 1024
# Eight workers of a process hold them open together, below the usual limit of 1024.
_BATCH_FILES = 96


@dataclass(frozen=True, slots=True)
class _File:
    target: TargetFile
    entry: FileEntry


class FileWriter:
    """Writes one backup's files below `root`; tablespaces go to the folders given by OID.

    Whether the workers are processes is chosen by the size, when `in_processes` does not say.
    """

    def __init__(
        self,
        repository: Repository,
        manifest: Manifest,
        root: Path,
        tablespaces: Mapping[int, Path],
        progress: Progress,
        *,
        in_processes: bool | None = None,
    ) -> None:
        self._repository = repository
        self._manifest = manifest
        self._root = root
        self._tablespaces = tablespaces
        self._progress = progress
        self._in_processes = in_processes
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
                self.place(self._within(entry, link.name)).symlink_to(link.target)
            for file in node.files:
                path = self._within(entry, file.name)
                effective = _effective(file.owner or owner, owner)
                target = TargetFile(self.place(path), file.size_bytes, file.mode, effective)
                found = _File(target, file)
                (control if path == CONTROL_PATH else files).append(found)
        if not control:
            raise IntegrityError(f"backup {self._manifest.backup_id} holds no control file")
        self._write_files(files)
        self._write_extras(folders[0][1])
        for entry, owner in folders:
            self._finish_folder(entry, owner)
        self._write_files(control)
        _sync_folder(self.place("global"))

    def place(self, path: str) -> Path:
        """Return where a path of the backup goes, following the tablespaces' new places.

        IntegrityError for one that leads out of the cluster: whoever ruled the source when it was
        backed up must not rule this machine.
        """
        parts = path.split("/") if path else []
        if any(part in ("", ".", "..") for part in parts):
            raise IntegrityError(f"the backup names a path outside the cluster: {path}")
        if parts[:1] == ["pg_tblspc"] and len(parts) > 1 and parts[1].isdigit():
            moved = self._tablespaces.get(int(parts[1]))
            if moved is not None:
                return moved.joinpath(*parts[2:])
        return self._root / path

    def _within(self, entry: DirectoryEntry, name: str) -> str:
        """Return the path of a file or link of a folder, which must lie directly in it."""
        if "/" in name:
            raise IntegrityError(f"{entry.path or 'the data directory'} names a file {name}")
        return f"{entry.path}/{name}" if entry.path else name

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
        content = self._manifest.backup_label.encode()
        target = TargetFile(self._root / "backup_label", len(content), 0o600, owner)
        descriptor = create_file(target)
        try:
            write_all(descriptor, target.path, 0, content)
            finish_file(descriptor, target)
        finally:
            os.close(descriptor)

    def _write_files(self, files: Sequence[_File]) -> None:
        """Make and fill the files by several workers, durable on return."""
        for file in files:
            check_leaf_count(file.entry, self._manifest.chunk_bytes)
        long = [file.target for file in files if not _is_whole(file)]
        for target in long:
            os.close(create_file(target))
        job = WriteJob(self._repository, self._manifest.chunk_bytes)
        processes = self._in_processes
        if processes is None:
            size = sum(file.target.size_bytes for file in files)
            processes = size >= PROCESSES_FROM_BYTES
        with open_crew(job.begin, worker_count(), processes=processes) as crew:
            for _, written in crew.results(_batches(files)):
                self._done += written
                self._progress("restore", self._done, self._manifest.source_bytes)
        for target in long:
            descriptor = open_file(target.path)
            try:
                finish_file(descriptor, target)
            finally:
                os.close(descriptor)


def _is_whole(file: _File) -> bool:
    return file.entry.leaves is None or len(file.entry.leaves) == 1


def _batches(files: Sequence[_File]) -> Iterator[tuple[Piece, ...]]:
    """Yield pieces in the order of the files: long ones alone, short ones together."""
    batch: list[Piece] = []
    size = 0
    for file in files:
        for piece in _pieces(file):
            batch.append(piece)
            size += file.target.size_bytes
            if size >= _BATCH_BYTES or len(batch) >= _BATCH_FILES:
                yield tuple(batch)
                batch, size = [], 0
    if batch:
        yield tuple(batch)


def _pieces(file: _File) -> Iterator[Piece]:
    whole = _is_whole(file)
    if file.entry.leaves is None:
        assert file.entry.chunks is not None
        yield Piece(file.target, 0, file.entry.chunks.tobytes(), is_leaf=False, whole=whole)
        return
    for number in range(len(file.entry.leaves)):
        row = file.entry.leaves[number : number + 1].tobytes()
        yield Piece(file.target, number, row, is_leaf=True, whole=whole)


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
