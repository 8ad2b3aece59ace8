"""Reading no faster than asked for, so that a backup leaves the disk to the database."""

from __future__ import annotations

from processpilot.clock import Clock, SystemClock

# A pause longer than this many seconds' worth of reading is never made up for.
_MEMORY_S = 1.0


class Pace:
    """Lets at most `bytes_per_s` pass, on average; None: as many as come."""

    def __init__(self, bytes_per_s: float | None, clock: Clock | None = None) -> None:
        self._bytes_per_s = bytes_per_s
        self._clock = clock or SystemClock()
        self._free_at = self._clock.monotonic()

    def __call__(self, size_bytes: int) -> None:
        """Return when `size_bytes` more may be read."""
        if self._bytes_per_s is None:
            return
        now = self._clock.monotonic()
        self._free_at = max(self._free_at, now - _MEMORY_S) + size_bytes / self._bytes_per_s
        if self._free_at > now:
            self._clock.sleep(self._free_at - now)
