"""From bytes of a file to references: cut, compare with the last backup, compress, encrypt, pack.

One `ChunkWriter` belongs to one thread and fills packs of its own, so that neighbouring chunks
lie side by side and nothing is locked on the way.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from processpilot.postgres.lsn import Lsn
from processpilot.postgres.pages import find_bad_pages
from processpilot.repository.blob import REF, Refs
from processpilot.repository.manifest import BadPage
from processpilot.repository.pack import PackWriter

# Large enough for page checksums to be vectorised, small enough for the caches; measured
# (docs/architecture.md, "Decisions").
WINDOW_BYTES = 2 * 1024 * 1024
PAGE_BYTES = 8192
_REREAD_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class PageRule:
    """How to check the pages of one file: its first block's number, and which LSNs to trust.

    Pages newer than `skip_after` may be torn by a concurrent write; replay overwrites them.
    """

    path: str
    first_block: int
    skip_after: Lsn


@dataclass(frozen=True, slots=True, eq=False)
class KnownChunks:
    """The chunk references that the previous backup has for the same stretch of the same file."""

    rows: bytes
    names: bytes
    raw_bytes: tuple[int, ...]

    @classmethod
    def of(cls, refs: Refs) -> KnownChunks:
        """Return `refs` laid out for comparison chunk by chunk."""
        names = np.ascontiguousarray(refs["name"]).tobytes()
        return cls(refs.tobytes(), names, tuple(refs["raw_bytes"].tolist()))

    def kept(self, begin: int, end: int) -> bytes:
        """Return the references `begin` to `end` as they are."""
        return self.rows[begin * REF.itemsize : end * REF.itemsize]

    def matching(self, index: int, name: bytes, size: int) -> bytes | None:
        """Return the reference at `index` when it names the same content."""
        if index >= len(self.raw_bytes) or self.raw_bytes[index] != size:
            return None
        if self.names[index * 32 : index * 32 + 32] != name:
            return None
        return self.rows[index * REF.itemsize : (index + 1) * REF.itemsize]


class ChunkWriter:
    """Turns stretches of files into references; not safe to share between threads."""

    def __init__(
        self,
        packs: PackWriter,
        chunk_name: Callable[[memoryview], bytes],
        chunk_bytes: int,
        on_bytes: Callable[[int], None],
    ) -> None:
        self.packs = packs
        self.bad_pages: list[BadPage] = []
        self._chunk_name = chunk_name
        self._chunk_bytes = chunk_bytes
        self._on_bytes = on_bytes
        self._window = bytearray(WINDOW_BYTES)

    def write_stretch(
        self,
        descriptor: int,
        begin: int,
        end: int,
        known: KnownChunks | None,
        rule: PageRule | None,
    ) -> bytes:
        """Return the references of bytes `begin` to `end` of an open file, 56 bytes each.

        Fewer come back when the file has become shorter since it was looked at.
        """
        rows: list[bytes] = []
        offset = begin
        while offset < end:
            view = memoryview(self._window)[: min(WINDOW_BYTES, end - offset)]
            filled = _read_fully(descriptor, view, offset)
            if rule is not None:
                self._check_pages(descriptor, view[:filled], offset, rule)
            rows.extend(self.write_window(view[:filled], len(rows), known))
            offset += filled
            if filled < len(view):
                break
        return b"".join(rows)

    def write_changed(
        self,
        descriptor: int,
        begin: int,
        end: int,
        known: KnownChunks,
        keep: NDArray[np.bool_],
        rule: PageRule | None,
    ) -> bytes:
        """Return the references of bytes `begin` to `end`, reading only chunks not to `keep`."""
        rows: list[bytes] = []
        most = WINDOW_BYTES // self._chunk_bytes
        first = 0
        while first < len(keep):
            last = _run_end(keep, first, most)
            offset = begin + first * self._chunk_bytes
            size = min(begin + last * self._chunk_bytes, end) - offset
            if keep[first]:
                rows.append(known.kept(first, last))
            else:
                view = memoryview(self._window)[:size]
                filled = _read_fully(descriptor, view, offset)
                if rule is not None:
                    self._check_pages(descriptor, view[:filled], offset, rule)
                rows.extend(self.write_window(view[:filled], first, known))
                if filled < size:
                    break
            first = last
        return b"".join(rows)

    def write_window(
        self, window: memoryview, first: int, known: KnownChunks | None
    ) -> list[bytes]:
        """Return the references of the chunks in `window`, whose first one is number `first`.

        `on_bytes` hears of it: progress, or whoever slows the reading down.
        """
        rows = []
        for begin in range(0, len(window), self._chunk_bytes):
            chunk = window[begin : begin + self._chunk_bytes]
            name = self._chunk_name(chunk)
            row = None
            if known is not None:
                row = known.matching(first + begin // self._chunk_bytes, name, len(chunk))
            rows.append(self.packs.add(chunk, name) if row is None else row)
        self._on_bytes(len(window))
        return rows

    def _check_pages(
        self, descriptor: int, window: memoryview, offset: int, rule: PageRule
    ) -> None:
        whole = window[: len(window) - len(window) % PAGE_BYTES]
        first = rule.first_block + offset // PAGE_BYTES
        for index in find_bad_pages(whole, first, skip_after=rule.skip_after):
            page = whole[index * PAGE_BYTES : (index + 1) * PAGE_BYTES]
            if not self._reread(descriptor, page, offset + index * PAGE_BYTES, first + index, rule):
                self.bad_pages.append(BadPage(path=rule.path, block=first + index))

    def _reread(
        self, descriptor: int, page: memoryview, offset: int, block: int, rule: PageRule
    ) -> bool:
        """Read a suspicious page again into its place; return whether it is good now."""
        for _ in range(3):
            time.sleep(_REREAD_PAUSE_S)
            if _read_fully(descriptor, page, offset) < PAGE_BYTES:
                return True
            if not find_bad_pages(page, block, skip_after=rule.skip_after):
                return True
        return False


def _run_end(keep: NDArray[np.bool_], first: int, most: int) -> int:
    """Return the end of the run of equal answers that begins at `first`; at most `most` if read."""
    differs = np.flatnonzero(keep[first:] != keep[first])
    end = first + int(differs[0]) if len(differs) else len(keep)
    return end if keep[first] else min(end, first + most)


def _read_fully(descriptor: int, view: memoryview, offset: int) -> int:
    """Fill `view` from `offset` of a file; return how many bytes there were."""
    filled = 0
    while filled < len(view):
        count = os.preadv(descriptor, [view[filled:]], offset + filled)
        if count == 0:
            break
        filled += count
    return filled
