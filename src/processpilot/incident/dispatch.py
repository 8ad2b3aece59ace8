"""Work that takes time, in threads of its own: one piece at a time for each key.

A key is free again only after the next `reap`: whoever decides what is due reaps first and reads
the journal then, so that what a finished piece wrote is seen before its key can be used again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from processpilot.errors import ProcessPilotError

_AT_ONCE = 16


class Dispatch:
    """Carries pieces of work out; what goes wrong with one is kept in `trouble`."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="duty")
        self._lock = threading.Lock()
        self._busy: dict[Hashable, Future[None]] = {}
        self.trouble: str | None = None

    def reap(self) -> None:
        """Let go of the keys whose work is done."""
        with self._lock:
            self._busy = {key: one for key, one in self._busy.items() if not one.done()}

    def start(self, key: Hashable, work: Callable[[], None]) -> bool:
        """Have a piece of work done; return False when one of that key is under way."""
        with self._lock:
            if key in self._busy:
                return False
            self._busy[key] = self._pool.submit(self._done, work)
            return True

    def wait(self) -> None:
        """Return when everything that was started is done."""
        with self._lock:
            pending = list(self._busy.values())
        wait(pending)

    def close(self) -> None:
        """Drop what has not begun, and return when the rest is done."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _done(self, work: Callable[[], None]) -> None:
        try:
            work()
        except ProcessPilotError as error:
            self.trouble = error.message
        except Exception as error:  # noqa: BLE001 - the edge of a thread: it must not go unnoticed
            self.trouble = f"a delivery broke: {type(error).__name__}: {error}"
        else:
            self.trouble = None
