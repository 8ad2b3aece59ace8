"""What summaries say of a file's chunks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processpilot.backup.changes import SEGMENT_BLOCKS, Changes, Fork, fork_of
from processpilot.backup.summary import covering
from processpilot.postgres.lsn import Lsn

CHUNK = 64 * 1024
T = Fork(1663, 5, 16384, 0)


def changes(*blocks: int, limit: int | None = None) -> Changes:
    """Return changes of the relation T."""
    return Changes({T: np.array(sorted(blocks), np.int64)}, {} if limit is None else {T: limit})


@pytest.mark.parametrize(
    ("path", "fork", "block"),
    [
        ("base/5/16384", T, 0),
        ("base/5/16384.2", T, 2 * SEGMENT_BLOCKS),
        ("base/5/16384_vm", Fork(1663, 5, 16384, 2), 0),
        ("base/5/16384_init", Fork(1663, 5, 16384, 3), 0),
        ("global/1262", Fork(1664, 0, 1262, 0), 0),
        ("pg_tblspc/16400/PG_18_202506291/5/16500.1", Fork(16400, 5, 16500, 0), SEGMENT_BLOCKS),
    ],
)
def test_a_file_belongs_to_one_fork(path: str, fork: Fork, block: int) -> None:
    """The path alone tells tablespace, database, relation, fork and first block."""
    assert fork_of(path) == (fork, block)


@pytest.mark.parametrize(
    "path",
    ["base/5/16384_fsm", "base/5/PG_VERSION", "global/pg_control", "pg_xact/0000", "base/5/t3_99"],
)
def test_of_other_files_nothing_is_known(path: str) -> None:
    """Free space maps and what is no relation are read whole."""
    assert fork_of(path) is None
    assert changes().unchanged_chunks(path, 0, 4, CHUNK) is None


def test_a_changed_block_makes_its_chunk_be_read() -> None:
    """Eight blocks share a chunk of 64 KiB."""
    keep = changes(0, 7, 17).unchanged_chunks("base/5/16384", 0, 4, CHUNK)
    assert keep is not None
    assert keep.tolist() == [False, True, False, True]


def test_behind_a_limit_everything_is_read() -> None:
    """A relation cut to ten blocks is new from there on; a chunk across the limit is read."""
    keep = changes(limit=10).unchanged_chunks("base/5/16384", 0, 4, CHUNK)
    assert keep is not None
    assert keep.tolist() == [True, False, False, False]


def test_a_database_copied_by_files_is_read_whole() -> None:
    """Relation number 0 stands for all of them."""
    copied = Changes({}, {Fork(1663, 5, 0, 0): 0})
    assert copied.unchanged_chunks("base/5/16384", 0, 4, CHUNK) is None
    assert copied.unchanged_chunks("base/6/16384", 0, 4, CHUNK) is not None


@given(
    st.sets(st.integers(0, 400), max_size=30),
    st.integers(0, 3),
    st.one_of(st.none(), st.integers(0, 400)),
)
def test_no_chunk_with_a_changed_block_is_kept(
    blocks: set[int], leaf: int, limit: int | None
) -> None:
    """Whatever changed, every block of a kept chunk is unchanged and before the limit."""
    count = 10
    begin = leaf * count * CHUNK
    keep = changes(*blocks, limit=limit).unchanged_chunks("base/5/16384", begin, count, CHUNK)
    assert keep is not None
    for number in np.flatnonzero(keep):
        first = begin // 8192 + int(number) * 8
        covered = set(range(first, first + 8))
        assert not covered & blocks
        assert limit is None or max(covered) < limit


@pytest.mark.parametrize(
    ("summaries", "wanted"),
    [
        ([(1, 0, 50), (1, 50, 90)], [(0, 50), (50, 90)]),
        ([(1, 50, 90), (1, 0, 50), (1, 90, 99)], [(0, 50), (50, 90)]),
        ([(1, 0, 49), (1, 50, 90)], None),
        ([(1, 20, 90)], None),
        ([(1, 0, 70)], None),
        ([(1, 0, 50), (2, 50, 90)], None),
        ([], None),
    ],
)
def test_summaries_count_only_without_a_hole(
    summaries: list[tuple[int, int, int]], wanted: list[tuple[int, int]] | None
) -> None:
    """From 10 to 80 on timeline 1, or nothing."""
    given_ = [(timeline, Lsn(begin), Lsn(end)) for timeline, begin, end in summaries]
    assert covering(given_, 1, Lsn(10), Lsn(80)) == wanted
