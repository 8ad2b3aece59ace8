"""Which blocks of a cluster changed since the last backup, and what of a file that leaves unread.

The answers come from the server's WAL summaries (`summary`). Of a file about which they say nothing
the answer is None, and it is read whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from processpilot.postgres.pages import PAGE_BYTES

# Blocks in one file of a relation, as PostgreSQL is built by everybody (RELSEG_SIZE).
SEGMENT_BLOCKS = 131_072
_FORKS = {"": 0, "_vm": 2, "_init": 3}
_GLOBAL_SPACE, _DEFAULT_SPACE = 1664, 1663
_FILE = re.compile(
    r"(?:global|base/(?P<base>\d+)|pg_tblspc/(?P<space>\d+)/PG_[^/]+/(?P<database>\d+))"
    r"/(?P<relation>\d+)(?P<fork>_vm|_init)?(?:\.(?P<segment>\d+))?"
)


@dataclass(frozen=True, slots=True, order=True)
class Fork:
    """One fork of one relation, as the server numbers them."""

    space: int
    database: int
    relation: int
    fork: int


@dataclass(frozen=True, slots=True)
class Changes:
    """Changed blocks per fork, sorted; and the block from which a fork counts as new."""

    blocks: Mapping[Fork, NDArray[np.int64]]
    limits: Mapping[Fork, int] = field(default_factory=dict)

    def unchanged_chunks(
        self, path: str, first_byte: int, count: int, chunk_bytes: int
    ) -> NDArray[np.bool_] | None:
        """Return which of `count` chunks from `first_byte` of a file certainly did not change.

        None when summaries say nothing of that file.
        """
        found = fork_of(path)
        if found is None:
            return None
        fork, first_block = found
        whole_database = Fork(fork.space, fork.database, 0, 0)
        if whole_database in self.limits:
            return None
        per_chunk = chunk_bytes // PAGE_BYTES
        begin = first_block + first_byte // PAGE_BYTES
        result = np.ones(count, np.bool_)
        limit = self.limits.get(fork)
        if limit is not None:
            result &= begin + np.arange(1, count + 1) * per_chunk <= limit
        blocks = self.blocks.get(fork)
        if blocks is not None:
            here = blocks[(blocks >= begin) & (blocks < begin + count * per_chunk)]
            result[(here - begin) // per_chunk] = False
        return result


def fork_of(path: str) -> tuple[Fork, int] | None:
    """Return the fork that a file of the data directory belongs to, and its first block's number.

    None for files of which summaries say nothing.
    """
    match = _FILE.fullmatch(path)
    if match is None:
        return None
    if match["space"] is not None:
        space, database = int(match["space"]), int(match["database"])
    elif match["base"] is not None:
        space, database = _DEFAULT_SPACE, int(match["base"])
    else:
        space, database = _GLOBAL_SPACE, 0
    fork = Fork(space, database, int(match["relation"]), _FORKS[match["fork"] or ""])
    return fork, int(match["segment"] or 0) * SEGMENT_BLOCKS
