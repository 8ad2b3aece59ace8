"""Names of write-ahead log files (src/include/access/xlog_internal.h, PostgreSQL 15 to 18)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from processpilot.errors import UsageError
from processpilot.postgres.lsn import Lsn

MIN_SEGMENT_BYTES = 1 << 20
MAX_SEGMENT_BYTES = 1 << 30
_SEGMENT = re.compile(r"[0-9A-F]{24}")
_HISTORY = re.compile(r"[0-9A-F]{8}\.history")


def is_segment_name(name: str) -> bool:
    """Whether `name` has the form of a segment's file name."""
    return _SEGMENT.fullmatch(name) is not None


def is_history_name(name: str) -> bool:
    """Whether `name` has the form of a timeline history file's name."""
    return _HISTORY.fullmatch(name) is not None


def history_name(timeline: int) -> str:
    """Return the file name of a timeline's history."""
    return f"{timeline:08X}.history"


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """One segment file: its timeline, its number counted from LSN 0, and its size."""

    timeline: int
    number: int
    size_bytes: int

    def __post_init__(self) -> None:
        size = self.size_bytes
        if not MIN_SEGMENT_BYTES <= size <= MAX_SEGMENT_BYTES or size & (size - 1):
            raise UsageError(f"{size} is not a segment size: a power of two from 1 MiB to 1 GiB")

    @classmethod
    def parse(cls, name: str, size_bytes: int) -> Segment:
        """Return the segment called `name` (24 hexadecimal digits)."""
        if not is_segment_name(name):
            raise UsageError(f'"{name}" is not a segment name')
        per_id = (1 << 32) // size_bytes
        low = int(name[16:], 16)
        if low >= per_id:
            raise UsageError(f'"{name}" is not a segment name for segments of {size_bytes} bytes')
        return cls(int(name[:8], 16), int(name[8:16], 16) * per_id + low, size_bytes)

    @classmethod
    def containing(cls, lsn: Lsn, timeline: int, size_bytes: int) -> Segment:
        """Return the segment that holds the byte at `lsn`."""
        return cls(timeline, lsn // size_bytes, size_bytes)

    @property
    def name(self) -> str:
        """The file name: timeline, high and low part, eight hexadecimal digits each."""
        high, low = divmod(self.number, (1 << 32) // self.size_bytes)
        return f"{self.timeline:08X}{high:08X}{low:08X}"

    @property
    def begin(self) -> Lsn:
        """The position of its first byte."""
        return Lsn(self.number * self.size_bytes)

    @property
    def end(self) -> Lsn:
        """The position behind its last byte."""
        return Lsn((self.number + 1) * self.size_bytes)

    def next(self) -> Segment:
        """Return the following segment on the same timeline."""
        return Segment(self.timeline, self.number + 1, self.size_bytes)
