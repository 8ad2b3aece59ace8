"""The contract of an object store, which every driver passes the same suite for.

Objects are created once and never changed. `put` is durable on return; a repeated `put` of the same
bytes succeeds, because the first acknowledgement may have been lost, and `put` of other bytes under
a taken name raises ExistsError and changes nothing. Reads see every completed `put` at once.
Drivers retry what is transient themselves; what they raise is final for the caller:
NotFoundError, ExistsError, IntegrityError (short object), UnavailableError (everything outside).
All methods may be called from many threads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from processpilot.errors import IntegrityError, UsageError

# No object of any format is larger: a log segment has at most 1 GiB, a manifest at most 2.
MOST_BYTES = (2 << 30) + (16 << 20)

_NAME = re.compile(r"[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*")


class ExistsError(IntegrityError):
    """An object of that name exists with other content; objects are never overwritten."""

    code = "exists"


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One stored object as listed."""

    name: str
    size_bytes: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a driver can promise.

    `atomic_create`: two different puts of one name cannot both succeed. `local_path`: objects are
    files on this machine.
    """

    atomic_create: bool
    local_path: bool


class ObjectStore(Protocol):
    """A place for objects; see the module's contract."""

    @property
    def location(self) -> str:
        """Where the store is, as people read it, without secrets."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What the driver can promise."""
        ...

    def put(self, name: str, data: bytes | bytearray | memoryview) -> None:
        """Create an object; durable on return."""
        ...

    def get(self, name: str, *, limit_bytes: int = MOST_BYTES) -> bytes:
        """Return a whole object; IntegrityError, before memory is taken, when it is larger."""
        ...

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes from `offset`; IntegrityError when there are fewer."""
        ...

    def get_ranges(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return several (offset, length) ranges of one object, in order."""
        ...

    def size(self, name: str) -> int:
        """Return an object's size in bytes."""
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield every object whose name begins with `prefix`, sorted by name."""
        ...

    def delete(self, name: str) -> None:
        """Remove an object; nothing happens when there is none."""
        ...


def check_name(name: str) -> str:
    """Return `name`; UsageError unless it is relative, plain, and without dot folders."""
    if not _NAME.fullmatch(name) or any(part in (".", "..") for part in name.split("/")):
        raise UsageError(f'"{name}" is not an object name')
    return name


def check_size(name: str, size_bytes: int, limit_bytes: int) -> None:
    """Raise IntegrityError for an object that is larger than its reader allows."""
    if size_bytes > limit_bytes:
        raise IntegrityError(f"{name} has {size_bytes} bytes, it can have at most {limit_bytes}")


def short_object(name: str, offset: int, expected: int, actual: int) -> IntegrityError:
    """Return the error for an object that ends before a range does."""
    return IntegrityError(f"{name} gave {actual} bytes at offset {offset}, expected {expected}")
