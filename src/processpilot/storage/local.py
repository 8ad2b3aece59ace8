"""A folder as an object store: written aside, flushed, then linked to its name."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from processpilot.errors import IntegrityError, NotFoundError, UnavailableError
from processpilot.storage.store import (
    MOST_BYTES,
    Capabilities,
    ExistsError,
    ObjectInfo,
    check_name,
    check_size,
    short_object,
)

# Not an object name, so nothing stored can meet it.
_ASIDE = "tmp~"
# Writing one object never takes this long: a file older than that was left by a killed process.
_LEFTOVER_S = 24 * 3600.0
_FULL = (errno.ENOSPC, errno.EDQUOT)


class LocalStore:
    """Objects as files below `root`, which only its owner can read."""

    def __init__(self, root: Path, *, create: bool = False) -> None:
        self._root = root.absolute()
        with _translated(self._root, self._root):
            if create:
                made = [path for path in (self._root, *self._root.parents) if not path.exists()]
                self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
                for path in made:
                    _sync(path.parent)
            _check_root(self._root)
            _remove_leftovers(self._root / _ASIDE)

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
        temporary = aside / uuid4().hex
        folders = _up_to(path.parent, self._root)
        with _translated(path, self._root, len(data)):
            for folder in (*reversed(folders), aside):
                if folder != self._root:
                    _make(folder)
            try:
                _write(temporary, data)
                try:
                    os.link(temporary, path)
                except FileExistsError:
                    if _read(name, path, MOST_BYTES) != bytes(data):
                        raise ExistsError(f"{name} exists with other content") from None
            finally:
                temporary.unlink(missing_ok=True)
            # All of them: another put may have made a folder and not flushed its parent yet.
            for folder in folders:
                _sync(folder)

    def get(self, name: str, *, limit_bytes: int = MOST_BYTES) -> bytes:
        """Return a whole object."""
        path = self._root / check_name(name)
        with _translated(path, self._root):
            return _read(name, path, limit_bytes)

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes from `offset`."""
        return self.get_ranges(name, [(offset, length)])[0]

    def get_ranges(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return several ranges of one object, in order."""
        path = self._root / check_name(name)
        found = []
        with _translated(path, self._root), _opened(name, path) as (descriptor, _):
            for offset, length in ranges:
                data = os.pread(descriptor, length, offset)
                if len(data) != length:
                    raise short_object(name, offset, length, len(data))
                found.append(data)
        return found

    def size(self, name: str) -> int:
        """Return an object's size in bytes."""
        path = self._root / check_name(name)
        with _translated(path, self._root), _opened(name, path) as (_, size):
            return size

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield every object whose name begins with `prefix`, sorted by name."""
        folder = prefix.rpartition("/")[0]
        base = self._root / folder if folder else self._root
        with _translated(base, self._root):
            _check_root(self._root)
            found = sorted(self._walk(base), key=lambda info: info.name)
        yield from (info for info in found if info.name.startswith(prefix))

    def _walk(self, folder: Path) -> Iterator[ObjectInfo]:
        if folder == self._root / _ASIDE:
            return
        try:
            entries = list(os.scandir(folder))
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(path)
            else:
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                name = path.relative_to(self._root).as_posix()
                moment = datetime.fromtimestamp(status.st_mtime, UTC)
                yield ObjectInfo(name, status.st_size, moment)

    def delete(self, name: str) -> None:
        """Remove an object; nothing happens when there is none."""
        path = self._root / check_name(name)
        try:
            with _translated(path, self._root):
                path.unlink()
                _sync(path.parent)
        except NotFoundError:
            return


@contextmanager
def _opened(name: str, path: Path) -> Iterator[tuple[int, int]]:
    """Yield an object's descriptor and size; IntegrityError when it is no regular file.

    Whoever may write into the folder could put a pipe there, which never ends, or a link.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _no_object(name) from error
        raise
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _no_object(name)
        yield descriptor, status.st_size
    finally:
        os.close(descriptor)


def _no_object(name: str) -> IntegrityError:
    return IntegrityError(
        f"{name} is no regular file", hint="Find out who put it there, then remove it."
    )


def _read(name: str, path: Path, limit_bytes: int) -> bytes:
    with _opened(name, path) as (descriptor, size):
        check_size(name, size, limit_bytes)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read()


def _make(folder: Path) -> None:
    """Make a folder of the store, unless it is there; a link in its place is refused."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if folder.is_symlink():
            raise UnavailableError(
                f"{folder} is a link", hint="Find out who put it there, then remove it."
            ) from None


def _write(path: Path, data: bytes | bytearray | memoryview) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_root(root: Path) -> None:
    if not root.is_dir():
        raise UnavailableError(
            f"the repository folder {root} is not there",
            hint="Mount it, or correct repository.url in the plan.",
        )


def _remove_leftovers(aside: Path) -> None:
    """Remove what killed processes left half-written; what may still be written stays."""
    with suppress(OSError):
        # A link in its place could lead to files that are none of ours.
        folder = os.open(aside, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            for name in os.listdir(folder):  # noqa: PTH208 - of a descriptor, not of a path
                status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if time.time() - status.st_mtime > _LEFTOVER_S:
                    os.unlink(name, dir_fd=folder)
        finally:
            os.close(folder)


def _up_to(folder: Path, root: Path) -> list[Path]:
    """Return `folder` and its parents, `root` last."""
    folders = [folder, *folder.parents]
    return folders[: folders.index(root) + 1]


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _translated(path: Path, root: Path, wanted_bytes: int | None = None) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        _check_root(root)
        raise NotFoundError(f"no object at {path}") from error
    except OSError as error:
        if error.errno in _FULL:
            free = os.statvfs(root)
            raise UnavailableError(
                f"{root} is full: {wanted_bytes} bytes wanted, "
                f"{free.f_bavail * free.f_frsize} free",
                hint="Free space there, or run `processpilot backup expire`.",
            ) from error
        raise UnavailableError(f"{path}: {error.strerror}", transient=False) from error
