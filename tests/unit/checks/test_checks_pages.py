"""Page checksums of a data directory: every page of every relation file is looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from processpilot.checks.pages import check_pages
from processpilot.checks.result import CheckResult, Outcome
from processpilot.postgres.pages import PAGE_BYTES, RELATION_SEGMENT_BLOCKS, page_checksum
from processpilot.progress import silent

UPPER = (2048).to_bytes(2, "little")  # pd_upper: not a new page


def page(block: int, fill: int = 7) -> bytes:
    """Return a page with the right checksum for its block."""
    raw = bytearray(bytes([fill]) * PAGE_BYTES)
    raw[8:10] = b"\0\0"
    raw[14:16] = UPPER
    raw[8:10] = page_checksum(bytes(raw), block).to_bytes(2, "little")
    return bytes(raw)


def relation(data: Path, name: str, blocks: int, first: int = 0) -> Path:
    """Write a relation file of sound pages."""
    path = data / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(page(first + n) for n in range(blocks)))
    return path


def damage(path: Path, block: int, offset: int = 4000) -> None:
    """Change one byte of a page."""
    raw = bytearray(path.read_bytes())
    raw[block * PAGE_BYTES + offset] ^= 1
    path.write_bytes(raw)


def check(data: Path) -> CheckResult:
    """Return the result for a cluster with checksums."""
    return check_pages(data, enabled=True, progress=silent)


def test_sound_pages_pass_and_are_counted(tmp_path: Path) -> None:
    """In global, base and tablespaces, the forks too."""
    for name in ("global/1", "base/5/2", "base/5/2_fsm", "pg_tblspc/9/PG_18_x/5/3"):
        relation(tmp_path, name, 2)
    result = check(tmp_path)
    assert (result.outcome, result.actual) == (Outcome.PASSED, "0 bad of 8 pages")


@pytest.mark.parametrize("name", ["global/1", "base/5/2", "base/5/2_vm", "pg_tblspc/9/PG_18_x/5/3"])
@pytest.mark.parametrize("block", [0, 2])
@pytest.mark.parametrize("offset", [0, 9, 16, PAGE_BYTES - 1])
def test_one_changed_bit_is_found(tmp_path: Path, name: str, block: int, offset: int) -> None:
    """Wherever it is, its file and block are named."""
    damage(relation(tmp_path, name, 3), block, offset)
    result = check(tmp_path)
    assert (result.outcome, result.actual) == (Outcome.FAILED, "1 bad of 3 pages")
    assert result.detail == f"{name} block {block}"


def test_pages_in_another_s_place_are_found(tmp_path: Path) -> None:
    """The block number is part of the checksum, so swapped pages are both wrong."""
    path = relation(tmp_path, "base/5/2", 2)
    raw = path.read_bytes()
    path.write_bytes(raw[PAGE_BYTES:] + raw[:PAGE_BYTES])
    assert check(tmp_path).actual == "2 bad of 2 pages"


def test_later_segments_count_blocks_on(tmp_path: Path) -> None:
    """The second gigabyte of a relation begins where the first ends."""
    first = RELATION_SEGMENT_BLOCKS
    relation(tmp_path, "base/5/2.1", 2, first)
    assert check(tmp_path).outcome is Outcome.PASSED
    damage(tmp_path / "base/5/2.1", 1)
    assert check(tmp_path).detail == f"base/5/2.1 block {first + 1}"


def test_a_file_larger_than_one_window_is_read_to_its_end(tmp_path: Path) -> None:
    """Blocks are counted on from window to window."""
    path = relation(tmp_path, "base/5/2", 1030)
    damage(path, 1029)
    assert check(tmp_path).detail == "base/5/2 block 1029"


def test_a_file_that_ends_inside_a_page_is_found(tmp_path: Path) -> None:
    """A torn file is bad even when all of its whole pages are right."""
    path = relation(tmp_path, "base/5/2", 2)
    path.write_bytes(path.read_bytes()[:-1])
    result = check(tmp_path)
    assert result.outcome is Outcome.FAILED
    assert result.detail == "base/5/2 ends inside a page"


def test_new_pages_have_no_checksum(tmp_path: Path) -> None:
    """Pages of zeros, with which PostgreSQL extends files, pass."""
    (tmp_path / "base/5").mkdir(parents=True)
    (tmp_path / "base/5/2").write_bytes(bytes(3 * PAGE_BYTES))
    assert check(tmp_path).actual == "0 bad of 3 pages"


def test_other_files_have_no_pages(tmp_path: Path) -> None:
    """Control file, version and maps are not looked at."""
    for name in ("global/pg_control", "base/5/PG_VERSION", "base/5/pg_filenode.map", "pg_wal/1"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * 100)
    assert check(tmp_path).actual == "0 bad of 0 pages"


def test_tablespaces_are_followed_through_their_links(tmp_path: Path) -> None:
    """Where the files lie elsewhere, they are read there."""
    elsewhere = tmp_path / "elsewhere"
    damage(relation(elsewhere, "PG_18_x/5/3", 1), 0)
    data = tmp_path / "data"
    (data / "pg_tblspc").mkdir(parents=True)
    (data / "pg_tblspc/9").symlink_to(elsewhere)
    assert check(data).detail == "pg_tblspc/9/PG_18_x/5/3 block 0"


def test_only_the_first_bad_pages_are_named(tmp_path: Path) -> None:
    """The count is whole, the list short."""
    path = relation(tmp_path, "base/5/2", 9)
    for block in range(9):
        damage(path, block)
    result = check(tmp_path)
    assert result.actual == "9 bad of 9 pages"
    assert result.detail.count("block") == 5


def test_a_cluster_without_checksums_is_skipped(tmp_path: Path) -> None:
    """Not looked at is not green."""
    damage(relation(tmp_path, "base/5/2", 1), 0)
    result = check_pages(tmp_path, enabled=False, progress=silent)
    assert result.outcome is Outcome.SKIPPED


def test_progress_ends_at_the_total(tmp_path: Path) -> None:
    """Whoever watches sees the last byte."""
    relation(tmp_path, "base/5/2", 3)
    relation(tmp_path, "base/5/3", 2)
    seen: list[tuple[str, int, int | None]] = []
    check_pages(tmp_path, enabled=True, progress=lambda *now: seen.append(now))
    total = 5 * PAGE_BYTES
    assert max(done for _, done, _ in seen) == total
    assert {(phase, whole) for phase, _, whole in seen} == {("checksums", total)}
