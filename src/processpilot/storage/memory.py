"""A dictionary as an object store: for tests, and gone with the process."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from processpilot.clock import Clock, SystemClock
from processpilot.errors import NotFoundError
from processpilot.storage.store import (
    MOST_BYTES,
    Capabilities,
    ExistsError,
    ObjectInfo,
    check_name,
    check_size,
    short_object,
)


class MemoryStore:
    """Objects in this process's memory, dated by `clock`."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._objects: dict[str, tuple[bytes, ObjectInfo]] = {}

    @property
    def location(self) -> str:
        """The word "memory"."""
        return "memory"

    @property
    def capabilities(self) -> Capabilities:
        """Creation holds a lock; nothing is a file."""
        return Capabilities(atomic_create=True, local_path=False)

    def put(self, name: str, data: bytes | bytearray | memoryview) -> None:
        """Create an object, which lasts as long as the process."""
        check_name(name)
        content = bytes(data)
        with self._lock:
            info = ObjectInfo(name, len(content), self._clock.now())
            present, _ = self._objects.setdefault(name, (content, info))
        if present != content:
            raise ExistsError(f"{name} exists with other content")

    def get(self, name: str, *, limit_bytes: int = MOST_BYTES) -> bytes:
        """Return a whole object."""
        check_name(name)
        with self._lock:
            if name not in self._objects:
                raise NotFoundError(f"no object at {self.location}:{name}")
            content = self._objects[name][0]
        check_size(name, len(content), limit_bytes)
        return content

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes from `offset`."""
        return self.get_ranges(name, [(offset, length)])[0]

    def get_ranges(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return several ranges of one object, in order."""
        content = self.get(name)
        found = []
        for offset, length in ranges:
            data = content[offset : offset + length]
            if len(data) != length:
                raise short_object(name, offset, length, len(data))
            found.append(data)
        return found

    def size(self, name: str) -> int:
        """Return an object's size in bytes."""
        return len(self.get(name))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield every object whose name begins with `prefix`, sorted by name."""
        with self._lock:
            found = sorted(name for name in self._objects if name.startswith(prefix))
            infos = [self._objects[name][1] for name in found]
        yield from infos

    def delete(self, name: str) -> None:
        """Remove an object; nothing happens when there is none."""
        check_name(name)
        with self._lock:
            self._objects.pop(name, None)
