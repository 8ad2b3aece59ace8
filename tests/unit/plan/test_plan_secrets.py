"""Secrets: read only from places that nobody else can read, never shown."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processpilot.errors import NotFoundError, RefusedError
from processpilot.plan.secrets import Secret, read_secret, write_secret

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"))


def secret_file(folder: Path, mode: int, text: str = "hunter2\n") -> Path:
    """Return a file of that mode which holds a secret."""
    path = folder / "secret"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_secret_is_read_from_a_file_of_the_owner(tmp_path: Path, mode: int) -> None:
    """Without the line break that editors leave at the end."""
    secret_file(tmp_path, mode)
    assert read_secret("file:secret", tmp_path) == Secret("hunter2")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o777])
def test_a_file_that_others_can_touch_is_refused(tmp_path: Path, mode: int) -> None:
    """Any right of group or others is one too many, and the message says what to run."""
    path = secret_file(tmp_path, mode)
    with pytest.raises(RefusedError, match=f"mode {mode:04o}") as caught:
        read_secret("file:secret", tmp_path)
    assert caught.value.hint == f"Run chmod 600 {path}"
    assert "hunter2" not in str(caught.value)


def test_a_link_is_judged_by_what_it_leads_to(tmp_path: Path) -> None:
    """A private link to a public file is public."""
    secret_file(tmp_path, 0o644)
    (tmp_path / "link").symlink_to("secret")
    with pytest.raises(RefusedError):
        read_secret("file:link", tmp_path)


@pytest.mark.parametrize(
    ("content", "text"),
    [("a\n", "a"), ("a", "a"), ("a\n\n", "a\n"), ("", ""), (" a ", " a "), ("ä€\n", "ä€")],
)
def test_only_one_line_break_is_dropped(tmp_path: Path, content: str, text: str) -> None:
    """Everything else, spaces too, belongs to the secret."""
    secret_file(tmp_path, 0o600, content)
    assert read_secret("file:secret", tmp_path).text == text


def test_relative_files_start_from_the_plan_and_absolute_ones_stay(tmp_path: Path) -> None:
    """The current folder plays no part."""
    path = secret_file(tmp_path, 0o600)
    assert read_secret(f"file:{path}", Path("/nowhere")).text == "hunter2"
    with pytest.raises(NotFoundError, match="/nowhere/secret"):
        read_secret("file:secret", Path("/nowhere"))


@pytest.mark.parametrize("name", ["missing", "folder", "secret/below"])
def test_a_file_that_cannot_be_read_is_told_with_what_to_do(tmp_path: Path, name: str) -> None:
    """Missing files, folders and paths through files are all not found."""
    secret_file(tmp_path, 0o600)
    (tmp_path / "folder").mkdir(mode=0o700)
    with pytest.raises(NotFoundError, match=f"cannot read the secret .*{name}") as caught:
        read_secret(f"file:{name}", tmp_path)
    assert "mode 0600" in str(caught.value.hint)


def test_a_file_that_is_no_text_is_told_like_others(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 end in an error for people and not in a traceback."""
    path = secret_file(tmp_path, 0o600)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises((NotFoundError, RefusedError)):
        read_secret("file:secret", tmp_path)


def test_an_unknown_home_directory_is_told_like_a_missing_file(tmp_path: Path) -> None:
    """A path below the home of an account that does not exist is not found."""
    with pytest.raises(NotFoundError):
        read_secret("file:~no-such-account/key", tmp_path)


def test_a_secret_is_read_from_the_environment_as_it_is(tmp_path: Path) -> None:
    """Nothing is dropped, and nothing set is told by the variable's name."""
    name = "PROCESSPILOT_TEST_SECRET"
    os.environ[name] = "hunter2\n"
    try:
        assert read_secret(f"env:{name}", tmp_path).text == "hunter2\n"
    finally:
        del os.environ[name]
    with pytest.raises(NotFoundError, match=f"environment variable {name} is not set") as caught:
        read_secret(f"env:{name}", tmp_path)
    assert f"env:{name}" in str(caught.value.hint)


def test_a_secret_is_never_shown() -> None:
    """Neither repr nor str nor a container's repr holds the text."""
    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret!r} {secret} {[secret]} {{'a': secret}}" + repr({"a": secret})


def test_a_written_secret_has_mode_0600_in_a_folder_of_mode_0700(tmp_path: Path) -> None:
    """Whatever the umask, only the owner can come near."""
    path = tmp_path / "secrets" / "key"
    before = os.umask(0)
    try:
        write_secret(path, "hunter2")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_secret_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    """The key of a repository cannot be lost by a second setup, not even through a link."""
    path = tmp_path / "key"
    write_secret(path, "first")
    with pytest.raises(RefusedError, match="exists"):
        write_secret(path, "second")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RefusedError, match="exists"):
        write_secret(tmp_path / "link", "second")
    assert read_secret("file:key", tmp_path).text == "first"
    assert not (tmp_path / "elsewhere").exists()


@settings(deadline=None, max_examples=50)
@given(TEXTS)
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Any text, line breaks included, comes back as it was."""
    folder = tmp_path_factory.mktemp("secret")
    write_secret(folder / "key", text)
    assert read_secret("file:key", folder).text == text
