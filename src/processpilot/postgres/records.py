"""Records of write-ahead log as they lie in its files: where each begins and ends, what it is.

Only the header is read, never the content (src/include/access/xlogrecord.h, xlog_internal.h,
rmgrlist.h, PostgreSQL 15 to 18). Whether a record is whole is left to pg_waldump.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from processpilot.postgres.lsn import Lsn
from processpilot.postgres.wal import Segment

_PAGE_BYTES = 8192
_SHORT_HEADER_BYTES = 24
_LONG_HEADER_BYTES = 40
_ALIGNMENT = 8

# xlp_info, bytes 2 and 3 of a page header.
_FIRST_IS_OVERWRITE_CONTRECORD = 0x0008

# xl_tot_len, xl_xid, xl_prev, xl_info, xl_rmid; padding and CRC follow.
_RECORD = struct.Struct("<IIQBB")
_RM_XLOG, _RM_XACT = 0, 1
_XLOG_SWITCH = 0x40
# XLOG_XACT_COMMIT and XLOG_XACT_COMMIT_PREPARED, within XLOG_XACT_OPMASK.
_COMMITS = (0x00, 0x30)


@dataclass(frozen=True, slots=True)
class RecordHeader:
    """A record's length, page headers within it not counted, the one before it, and its kind."""

    total_bytes: int
    previous: Lsn
    rmgr: int
    info: int

    @property
    def is_commit(self) -> bool:
        """Whether it commits a transaction, prepared or not."""
        return self.rmgr == _RM_XACT and self.info & 0x70 in _COMMITS

    @property
    def is_switch(self) -> bool:
        """Whether the rest of its segment is unused."""
        return self.rmgr == _RM_XLOG and self.info & 0xF0 == _XLOG_SWITCH


class LogFiles:
    """Segments of one timeline's log in a folder, under their own names."""

    def __init__(self, folder: Path, timeline: int, segment_bytes: int) -> None:
        self._folder = folder
        self._timeline = timeline
        self._segment_bytes = segment_bytes
        self._page: tuple[int, bytes] = (-1, b"")

    def header_at(self, begin: Lsn) -> RecordHeader | None:
        """Return the header of the record at `begin`; None where no record can begin."""
        if begin % _ALIGNMENT or begin % _PAGE_BYTES < self._header_bytes(begin):
            return None
        data = b""
        position = int(begin)
        while len(data) < _RECORD.size:
            page = self._read_page(position // _PAGE_BYTES)
            part = page[position % _PAGE_BYTES :][: _RECORD.size - len(data)]
            if not part:
                return None
            data += part
            position = (position // _PAGE_BYTES + 1) * _PAGE_BYTES
            position += self._header_bytes(position)
        total, _, previous, info, rmgr = _RECORD.unpack(data)
        return RecordHeader(total, Lsn(previous), rmgr, info)

    def follows(self, begin: Lsn, previous: Lsn, end: Lsn) -> bool:
        """Whether the record at `begin` is the next one behind that from `previous` to `end`.

        It lies right behind it, or first on a page of which the server says that it takes the place
        of a record that was never finished.
        """
        if begin == (end if end % _PAGE_BYTES else end + self._header_bytes(end)):
            return True
        if begin < end or begin % _PAGE_BYTES != self._header_bytes(begin):
            return False
        flags = int.from_bytes(self._read_page(begin // _PAGE_BYTES)[2:4], "little")
        header = self.header_at(begin)
        overwrites = bool(flags & _FIRST_IS_OVERWRITE_CONTRECORD)
        return overwrites and header is not None and header.previous == previous

    def _header_bytes(self, position: int) -> int:
        """Return the length of the header of the page that holds `position`."""
        is_first = position % self._segment_bytes < _PAGE_BYTES
        return _LONG_HEADER_BYTES if is_first else _SHORT_HEADER_BYTES

    def _read_page(self, number: int) -> bytes:
        if self._page[0] != number:
            position = Lsn(number * _PAGE_BYTES)
            segment = Segment.containing(position, self._timeline, self._segment_bytes)
            try:
                with (self._folder / segment.name).open("rb") as file:
                    file.seek(position - segment.begin)
                    self._page = (number, file.read(_PAGE_BYTES))
            except FileNotFoundError:
                self._page = (number, b"")
        return self._page[1]


def record_end(start: Lsn, total_bytes: int, segment_bytes: int) -> Lsn:
    """Return where the record after one at `start` begins, before any page header.

    A record runs on across page headers and is padded to eight bytes.
    """
    position = int(start)
    left = total_bytes
    while True:
        room = _PAGE_BYTES - position % _PAGE_BYTES
        if left <= room:
            position += left
            break
        left -= room
        position += room
        long_header = position % segment_bytes == 0
        position += _LONG_HEADER_BYTES if long_header else _SHORT_HEADER_BYTES
    return Lsn(-(-position // 8) * 8)
