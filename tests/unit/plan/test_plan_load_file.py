"""A plan as a file: where its paths start, its hash, and files that cannot be read."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from plan_text import PLAN, load

from processpilot.errors import NotFoundError, UsageError
from processpilot.plan.load import FILE_NAME, load_plan


def test_paths_start_from_the_plan_s_folder(tmp_path: Path) -> None:
    """Relative ones from the file, absolute ones stay, ~ is the home directory."""
    (tmp_path / FILE_NAME).write_text(PLAN)
    loaded = load_plan(tmp_path / FILE_NAME)
    assert loaded.base == tmp_path
    assert loaded.state_dir == tmp_path / ".processpilot"
    assert loaded.resolve("a/b") == tmp_path / "a/b"
    assert loaded.resolve("/a/b") == Path("/a/b")
    assert loaded.resolve("~/b") == Path.home() / "b"


def test_a_plan_named_relatively_resolves_absolutely(tmp_path: Path) -> None:
    """Paths do not change their meaning when the program changes its folder later."""
    (tmp_path / FILE_NAME).write_text(PLAN)
    relative = Path("/proc/self/cwd").resolve()
    loaded = load_plan(Path(*[".."] * (len(relative.parts) - 1), *tmp_path.parts[1:], FILE_NAME))
    assert loaded.resolve("x").is_absolute()


def test_the_hash_is_that_of_the_bytes(tmp_path: Path) -> None:
    """Another byte gives another hash, so a run can tell which plan it followed."""
    (tmp_path / FILE_NAME).write_text(PLAN)
    expected = hashlib.sha256((tmp_path / FILE_NAME).read_bytes()).hexdigest()
    assert load_plan(tmp_path / FILE_NAME).hash == expected
    assert load(PLAN + "# more\n").hash != expected


def test_the_hash_is_that_of_the_bytes_whatever_ends_a_line(tmp_path: Path) -> None:
    """sha256sum of a file with CRLF line ends gives the recorded hash."""
    path = tmp_path / FILE_NAME
    path.write_bytes(PLAN.replace("\n", "\r\n").encode())
    assert load_plan(path).hash == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_plan_that_is_not_there_says_how_to_make_one(tmp_path: Path) -> None:
    """A missing file is told apart from one that cannot be used."""
    with pytest.raises(NotFoundError, match="there is no plan at") as caught:
        load_plan(tmp_path / FILE_NAME)
    assert "processpilot init" in str(caught.value.hint)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_plan_that_cannot_be_read_is_told_so(tmp_path: Path, content: bytes | None) -> None:
    """A folder in its place and bytes that are no text are refused."""
    path = tmp_path / FILE_NAME
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(UsageError, match="cannot read the plan"):
        load_plan(path)
