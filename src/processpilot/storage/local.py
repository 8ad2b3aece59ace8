"""A folder as an object store: written aside, flushed, then linked to its name."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from processpilot.errors import NotFoundError, UnavailableError
from processpilot.storage.store import (
    Capabilities,
    ExistsError,
    ObjectInfo,
    check_name,
    short_object,
)

_ASIDE = "tmp"
_FULL = (errno.ENOSPC, errno.EDQUOT)


class LocalStore:
    """Objects as files below `root`, which only its owner can read."""

    def __init__(self, root: Path, *, create: bool = False) -> None:
        self._root = root.absolute()
        self._numbers = itertools.count()
        with _translated(self._root):
            if create:
                self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._root.is_dir():
                raise UnavailableError(
                    f"the repository folder {self._root} is not there",
                    hint="Mount it, or correct repository.url in the plan.",
                )

    @property
    def location(self) -> str:
        """The folder."""
        return str(self._root)

    @property
    def capabilities(self) -> Capabilities:
        """Creation by link is atomic; objects are local files."""
        return Capabilities(atomic_create=True, local_path=True)

    def put(self, name: str, data: bytes | bytearray | memoryview) -> None:
        """Create an object; durable on return."""
        path = self._root / check_name(name)
        aside = self._root / _ASIDE
        temporary = aside / f"{os.getpid()}-{next(self._numbers)}"
        with _translated(path, len(data)):
            aside.mkdir(mode=0o700, exist_ok=True)
            made = _make_folders(path.parent, self._root)
            try:
                _write(temporary, data)
                try:
                    os.link(temporary, path)
                except FileExistsError:
                    if path.read_bytes() != bytes(data):
                        raise ExistsError(f"{name} exists with other content") from None
            finally:
                temporary.unlink(missing_ok=True)
            for folder in (path.parent, *made):
                _sync(folder)

    def get(self, name: str) -> bytes:
        """Return a whole object."""
        path = self._root / check_name(name)
        with _translated(path):
            return path.read_bytes()

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes from `offset`."""
        return self.get_ranges(name, [(offset, length)])[0]

    def get_ranges(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return several ranges of one object, in order."""
        path = self._root / check_name(name)
        found = []
        with _translated(path):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                for offset, length in ranges:
                    data = os.pread(descriptor, length, offset)
                    if len(data) != length:
                        raise short_object(name, offset, length, len(data))
                    found.append(data)
            finally:
                os.close(descriptor)
        return found

    def size(self, name: str) -> int:
        """Return an object's size in bytes."""
        path = self._root / check_name(name)
        with _translated(path):
            return path.stat().st_size

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield every object whose name begins with `prefix`, sorted by name."""
        folder = prefix.rpartition("/")[0]
        base = self._root / folder if folder else self._root
        with _translated(base):
            found = sorted(self._walk(base), key=lambda info: info.name)
        yield from (info for info in found if info.name.startswith(prefix))

    def _walk(self, folder: Path) -> Iterator[ObjectInfo]:
        try:
            entries = list(os.scandir(folder))
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                if path != self._root / _ASIDE:
                    yield from self._walk(path)
            else:
                try:
                    status = entry.stat()
                except FileNotFoundError:
                    continue
                name = path.relative_to(self._root).as_posix()
                moment = datetime.fromtimestamp(status.st_mtime, UTC)
                yield ObjectInfo(name, status.st_size, moment)

    def delete(self, name: str) -> None:
        """Remove an object; nothing happens when there is none."""
        path = self._root / check_name(name)
        try:
            with _translated(path):
                path.unlink()
        except NotFoundError:
            return
        _sync(path.parent)


def _write(path: Path, data: bytes | bytearray | memoryview) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_folders(folder: Path, root: Path) -> list[Path]:
    """Create `folder` below `root`; return the parents that got a new entry."""
    missing = []
    while folder != root and not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
    return [path.parent for path in missing]


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _translated(path: Path, wanted_bytes: int | None = None) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(f"no object at {path}") from error
    except OSError as error:
        if error.errno in _FULL:
            free = os.statvfs(path.parent if path.parent.exists() else "/")
            raise UnavailableError(
                f"{path.parent} is full: {wanted_bytes} bytes wanted, "
                f"{free.f_bavail * free.f_frsize} free",
                hint="Free space there, or run `processpilot backup expire`.",
            ) from error
        raise UnavailableError(f"{path}: {error.strerror}", transient=False) from error
