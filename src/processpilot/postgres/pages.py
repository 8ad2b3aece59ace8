"""Data page checksums, vectorised (src/include/storage/checksum_impl.h, PostgreSQL 15 to 18).

Which pages count follows what the server does when it sends a base backup itself
(src/backend/backup/basebackup.c): new pages have no checksum, and pages written since the backup
began are replay's business.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from processpilot.errors import UsageError
from processpilot.postgres.lsn import Lsn

PAGE_BYTES = 8192
RELATION_SEGMENT_BLOCKS = 131_072
_LANES = 32
_ROWS = PAGE_BYTES // (4 * _LANES)
_PRIME = np.uint32(16777619)
_SHIFT = np.uint32(17)
_OFFSETS = np.array(
    [
        0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2,
        0x83E13D2C, 0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C,
        0xF718902A, 0x0B1C9CDB, 0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979,
        0xCCA6C0B2, 0x304A0979, 0x85AA43D4, 0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E,
        0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756,
    ],
    np.uint32,
)  # fmt: skip

# Pages per step, a window of 8 MiB. Smaller steps fit the nearer caches and yet are slower: each
# operation is then so short that two threads wait for the interpreter's lock (measured with two
# threads: 64 pages 930 MB/s, 256 1,900, 512 3,800, 1024 4,800).
_STEP_PAGES = 1024

_RELATION = re.compile(r"(?:\d+|t\d+_\d+)(?:_(?:fsm|vm|init))?(?:\.(\d+))?")
_RELATION_FOLDER = re.compile(r"global|base/\d+|pg_tblspc/\d+/PG_[^/]+/\d+")


def has_checksums(relative_path: str) -> bool:
    """Whether a file of the data directory consists of pages that carry checksums."""
    folder, _, name = relative_path.rpartition("/")
    return bool(_RELATION_FOLDER.fullmatch(folder) and _RELATION.fullmatch(name))


def first_block_of(relative_path: str) -> int:
    """Return the number, within its relation's fork, of a relation file's first block."""
    match = _RELATION.fullmatch(relative_path.rpartition("/")[2])
    if match is None:
        raise UsageError(f"{relative_path} is not a relation's file")
    return int(match[1] or 0) * RELATION_SEGMENT_BLOCKS


def find_bad_pages(
    window: bytes | bytearray | memoryview, first_block: int, *, skip_after: Lsn
) -> list[int]:
    """Return the indices of pages in `window` whose checksum is wrong.

    `window` holds whole pages, the first of which is block `first_block` of its relation's fork.
    Pages with an LSN at or behind `skip_after` are not looked at.
    """
    if len(window) % PAGE_BYTES:
        raise UsageError(f"a window of {len(window)} bytes is not whole pages")
    words = np.frombuffer(window, np.uint32).reshape(-1, _ROWS, _LANES)
    bad: list[int] = []
    for begin in range(0, len(words), _STEP_PAGES):
        step = words[begin : begin + _STEP_PAGES]
        wrong = _wrong(step, first_block + begin, int(skip_after))
        bad.extend((np.flatnonzero(wrong) + begin).tolist())
    return bad


def page_checksum(page: bytes | memoryview, block: int) -> int:
    """Return the checksum that a page at `block` has to carry in bytes 8 and 9."""
    words = np.frombuffer(page, np.uint32).reshape(1, _ROWS, _LANES)
    return int(_checksums(words, block)[0])


def _wrong(words: NDArray[np.uint32], first_block: int, skip_after: int) -> NDArray[np.bool_]:
    header = words[:, 0, :4]
    lsn = header[:, 0].astype(np.uint64) << np.uint64(32) | header[:, 1]
    stored = header[:, 2] & np.uint32(0xFFFF)
    # PageIsNew: pd_upper (bytes 14 and 15) is zero.
    new = header[:, 3] >> np.uint32(16) == 0
    differs = _checksums(words, first_block) != stored
    wrong: NDArray[np.bool_] = differs & ~new & (lsn < np.uint64(skip_after))
    return wrong


def _mix(value: NDArray[np.uint32], sums: NDArray[np.uint32]) -> None:
    """Set `sums` to one step of FNV-1a over `value`, which is used up."""
    np.multiply(value, _PRIME, out=sums)
    np.right_shift(value, _SHIFT, out=value)
    np.bitwise_xor(sums, value, out=sums)


def _checksums(words: NDArray[np.uint32], first_block: int) -> NDArray[np.uint32]:
    pages = len(words)
    sums = np.broadcast_to(_OFFSETS, (pages, _LANES)).copy()
    value = np.empty_like(sums)
    first = words[:, 0, :].copy()
    first[:, 2] &= np.uint32(0xFFFF0000)  # pd_checksum itself counts as zero
    for row in range(_ROWS):
        np.bitwise_xor(sums, words[:, row, :] if row else first, out=value)
        _mix(value, sums)
    for _ in range(2):
        np.copyto(value, sums)
        _mix(value, sums)
    folded = np.bitwise_xor.reduce(sums, axis=1)
    blocks = np.arange(first_block, first_block + pages, dtype=np.uint64).astype(np.uint32)
    result: NDArray[np.uint32] = (folded ^ blocks) % np.uint32(65535) + np.uint32(1)
    return result
