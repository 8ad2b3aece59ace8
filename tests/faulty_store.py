"""A store whose n-th call goes wrong in one of the ways stores go wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import TypeVar

from processpilot.errors import UnavailableError
from processpilot.storage.store import (
    MOST_BYTES,
    Capabilities,
    ObjectInfo,
    ObjectStore,
    short_object,
)

Answer = TypeVar("Answer")


class Fault(Enum):
    """What goes wrong.

    REFUSED: nothing was done. LOST: it was done, and the answer got lost. SHORT: fewer bytes come
    back than are stored; a change is as with REFUSED.
    """

    REFUSED = "refused"
    LOST = "lost"
    SHORT = "short"


class FaultyStore:
    """Another store, of which call number `at` (from 1) goes wrong; 0: none."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self.at = 0
        self.fault = Fault.REFUSED
        self.calls = 0
        self.hit = ""
        self._lock = threading.Lock()

    def arm(self, at: int, fault: Fault) -> None:
        """Let the `at`-th call from now on go wrong."""
        self.at, self.fault, self.calls, self.hit = at, fault, 0, ""

    @property
    def location(self) -> str:
        return self.store.location

    @property
    def capabilities(self) -> Capabilities:
        return self.store.capabilities

    def _goes_wrong(self, what: str) -> bool:
        with self._lock:
            self.calls += 1
            if self.calls != self.at:
                return False
            self.hit = what
            return True

    def _change(self, what: str, change: Callable[[], None]) -> None:
        wrong = self._goes_wrong(what)
        if not wrong or self.fault is Fault.LOST:
            change()
        if wrong:
            raise UnavailableError(f"{what}: the store is away", transient=True)

    def put(self, name: str, data: bytes | bytearray | memoryview) -> None:
        self._change(f"put {name}", lambda: self.store.put(name, data))

    def delete(self, name: str) -> None:
        self._change(f"delete {name}", lambda: self.store.delete(name))

    def _read(self, what: str, read: Callable[[], Answer]) -> tuple[Answer, bool]:
        wrong = self._goes_wrong(what)
        if wrong and self.fault is not Fault.SHORT:
            raise UnavailableError(f"{what}: the store is away", transient=True)
        return read(), wrong

    def get(self, name: str, *, limit_bytes: int = MOST_BYTES) -> bytes:
        data, wrong = self._read(
            f"get {name}", lambda: self.store.get(name, limit_bytes=limit_bytes)
        )
        return data[: len(data) // 2] if wrong else data

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        return self.get_ranges(name, [(offset, length)])[0]

    def get_ranges(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        data, wrong = self._read(f"read {name}", lambda: self.store.get_ranges(name, ranges))
        if wrong:
            raise short_object(name, ranges[0][0], ranges[0][1], 0)
        return data

    def size(self, name: str) -> int:
        return self._read(f"size {name}", lambda: self.store.size(name))[0]

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        found, wrong = self._read(f"list {prefix}", lambda: list(self.store.list(prefix)))
        if wrong:
            # A listing that ends early is an error of the driver's, never a shorter answer.
            raise UnavailableError(f"list {prefix}: the answer ended early", transient=True)
        return iter(found)
