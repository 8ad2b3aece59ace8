"""What a data directory contains: the files, folders and links a backup has to take.

Which of them may be left out is PostgreSQL's rule and lives in `postgres.layout`. Files come and
go while the server runs; one that vanished is not an error.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from processpilot.errors import RefusedError
from processpilot.postgres.layout import (
    excludes_file,
    keeps_contents,
    unlogged_forks,
)


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file, by its path relative to the data directory (tablespaces under pg_tblspc)."""

    path: str
    size_bytes: int
    mode: int
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class FoundDirectory:
    """A folder with the files and symbolic links directly in it."""

    path: str
    mode: int
    uid: int
    gid: int
    files: tuple[FoundFile, ...]
    links: tuple[tuple[str, str], ...]

    @property
    def owner(self) -> str | None:
        """The owner's name, where this machine knows it."""
        return user_name(self.uid)

    @property
    def group(self) -> str | None:
        """The group's name, where this machine knows it."""
        return group_name(self.gid)


@dataclass(frozen=True, slots=True)
class FoundTablespace:
    """A tablespace's OID and the folder its link in pg_tblspc leads to."""

    oid: int
    location: str
    inside: bool


@dataclass(frozen=True, slots=True)
class Scan:
    """A data directory as found, folders in an order in which they can be created."""

    root: Path
    directories: tuple[FoundDirectory, ...]
    tablespaces: tuple[FoundTablespace, ...]

    @property
    def source_bytes(self) -> int:
        """The size of all files together."""
        return sum(file.size_bytes for folder in self.directories for file in folder.files)


@lru_cache(maxsize=256)
def user_name(uid: int) -> str | None:
    """Return the name of a user id, or None."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None


@lru_cache(maxsize=256)
def group_name(gid: int) -> str | None:
    """Return the name of a group id, or None."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return None


def scan_data_directory(root: Path) -> Scan:
    """Return what a base backup of `root` has to take."""
    tablespaces = tuple(_tablespaces(root))
    links = {f"pg_tblspc/{space.oid}" for space in tablespaces}
    directories = list(_walk(root, "", links))
    for space in tablespaces:
        if not space.inside:
            directories.extend(_walk(root, f"pg_tblspc/{space.oid}", set()))
    return Scan(root, tuple(directories), tablespaces)


def require_text(path: str) -> str:
    """Return `path` when a manifest can hold it; RefusedError when it is not UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError:
        shown = path.encode(errors="surrogateescape").decode(errors="backslashreplace")
        raise RefusedError(
            f'the name "{shown}" is not UTF-8',
            hint="PostgreSQL makes no such folder itself: rename it, or move it elsewhere.",
        ) from None
    return path


def _tablespaces(root: Path) -> Iterator[FoundTablespace]:
    for entry in sorted(os.scandir(root / "pg_tblspc"), key=lambda entry: entry.name):
        if not entry.name.isdigit():
            continue
        if entry.is_symlink():
            target = str(Path(entry.path).readlink())
            yield FoundTablespace(int(entry.name), require_text(target), inside=False)
        elif entry.is_dir():
            yield FoundTablespace(int(entry.name), f"pg_tblspc/{entry.name}", inside=True)


def _walk(root: Path, path: str, tablespace_links: set[str]) -> Iterator[FoundDirectory]:
    """Yield `path` and every folder below it, tablespace links left to the caller."""
    try:
        status = (root / require_text(path)).stat()
        entries = sorted(os.scandir(root / path), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    if not keeps_contents(path):
        entries = [entry for entry in entries if entry.is_dir() and not entry.is_symlink()]
    folders, files, links = [], [], []
    for entry in entries:
        inner = f"{path}/{entry.name}" if path else entry.name
        if inner in tablespace_links and entry.is_symlink():
            continue
        if inner == "pg_wal" and entry.is_symlink():
            folders.append(inner)
        elif entry.is_symlink():
            links.append((entry.name, str(Path(entry.path).readlink())))
        elif entry.is_dir():
            folders.append(inner)
        elif not excludes_file(inner) and (found := _file(entry, inner)) is not None:
            files.append(found)
    dropped = unlogged_forks(file.path.rpartition("/")[2] for file in files)
    kept = tuple(file for file in files if file.path.rpartition("/")[2] not in dropped)
    mode = stat.S_IMODE(status.st_mode)
    yield FoundDirectory(path, mode, status.st_uid, status.st_gid, kept, tuple(links))
    for folder in folders:
        if _is_slot(path):
            continue
        yield from _walk(root, folder, tablespace_links)


def _is_slot(path: str) -> bool:
    """Whether subfolders of `path` are replication slots, which no backup carries."""
    return path == "pg_replslot"


def _file(entry: os.DirEntry[str], path: str) -> FoundFile | None:
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    mode = stat.S_IMODE(status.st_mode)
    return FoundFile(path, status.st_size, mode, status.st_uid, status.st_gid)
