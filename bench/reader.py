"""A worker that opens blobs and forgets them: a restore to nowhere."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass

from processpilot.repository.blob import BlobRef, PackId, decode_refs, refs_in
from processpilot.repository.repository import Repository


class Reader:
    """Opens every blob of a batch of references, and forgets it."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def do(self, rows: bytes) -> None:
        """Read what `rows` refer to, pack by pack."""
        by_pack: dict[PackId, list[BlobRef]] = defaultdict(list)
        for ref in refs_in(decode_refs(rows)):
            by_pack[ref.pack].append(ref)
        for refs in by_pack.values():
            deque(self._repository.read_blobs(refs), maxlen=0)

    def finish(self) -> None:
        """Nothing is open."""

    def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True)
class Start:
    """Makes readers."""

    repository: Repository

    def __call__(self, number: int) -> Reader:
        """Return a reader."""
        return Reader(self.repository)
