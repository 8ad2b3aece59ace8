"""Uploading packs beside the work that fills them, bounded in memory."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from processpilot.storage.store import ObjectStore

# One on its way and one waiting, while the next pack is being filled.
_PARALLEL = 1
_WAITING = 1


class Uploads:
    """Stores objects in the background; as a context, leaving it waits for all of them.

    The first failure is raised by the next `put`, by `wait`, or on leaving.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._pool = ThreadPoolExecutor(_PARALLEL, thread_name_prefix="upload")
        self._room = threading.BoundedSemaphore(_PARALLEL + _WAITING)
        self._pending: list[Future[None]] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.wait()
        finally:
            self.close()

    def close(self) -> None:
        """End the thread; what was not begun is given up."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def put(self, name: str, data: bytes | memoryview) -> None:
        """Queue one object; blocks while too many are waiting."""
        self._raise_first_failure()
        self._room.acquire()
        future = self._pool.submit(self._store_one, name, data)
        with self._lock:
            self._pending.append(future)

    def _store_one(self, name: str, data: bytes | memoryview) -> None:
        try:
            self._store.put(name, data)
        finally:
            self._room.release()

    def _raise_first_failure(self) -> None:
        with self._lock:
            done = [future for future in self._pending if future.done()]
            self._pending = [future for future in self._pending if not future.done()]
        for future in done:
            future.result()

    def wait(self) -> None:
        """Return once everything queued so far is durable; raises the first failure."""
        with self._lock:
            pending, self._pending = self._pending, []
        for future in pending:
            future.result()
