"""A store that is only read: what a drill gets of production's repository."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from processpilot.errors import RefusedError
from processpilot.storage.store import MOST_BYTES, Capabilities, ObjectInfo, ObjectStore


class ReadOnlyStore:
    """Passes reading on to another store and refuses to write."""

    def __init__(self, inner: ObjectStore) -> None:
        self._inner = inner

    @property
    def location(self) -> str:
        """Where the store is."""
        return self._inner.location

    @property
    def capabilities(self) -> Capabilities:
        """What the driver can promise."""
        return self._inner.capabilities

    def put(self, name: str, data: bytes | bytearray | memoryview) -> None:
        """RefusedError, always."""
        raise RefusedError(f"a drill does not write {name} into {self.location}")

    def get(self, name: str, *, limit_bytes: int = MOST_BYTES) -> bytes:
        """Return a whole object."""
        return self._inner.get(name, limit_bytes=limit_bytes)

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """Return a range of an object."""
        return self._inner.get_range(name, offset, length)

    def get_ranges(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return several ranges of an object."""
        return self._inner.get_ranges(name, ranges)

    def size(self, name: str) -> int:
        """Return an object's size in bytes."""
        return self._inner.size(name)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects whose name begins with `prefix`."""
        return self._inner.list(prefix)

    def delete(self, name: str) -> None:
        """RefusedError, always."""
        raise RefusedError(f"a drill does not delete {name} from {self.location}")
