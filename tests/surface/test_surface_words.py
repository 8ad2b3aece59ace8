"""Unknown input is refused, and what is said can be followed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from protected_site import Site
from site_acts import program


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--key", "/nowhere/key"], "--key is for --repo"),
        (["--exclusive"], "--exclusive says nothing about latest"),
        (["--immediate", "--exclusive"], "--exclusive says nothing about immediate"),
        (["--tablespace", "77=/nowhere"], "has no tablespace 77; it has: none"),
        (["--to-xid", "99999999999999999999999"], "is not a transaction id"),
    ],
)
def test_a_restore_refuses_what_it_would_ignore(
    site: Site, tmp_path: Path, words: list[str], said: str
) -> None:
    """An option without a meaning here is a mistake, and nothing is written."""
    site.back_up()
    done = program(site, "restore", "latest", "--target", str(tmp_path / "x"), *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "x").exists()


def test_latest_is_understood_wherever_a_backup_is_named(site: Site) -> None:
    """Show and verify take an id or latest; before there is one, both say how to make it."""
    for words in (["backup", "show", "latest"], ["backup", "verify", "--backup", "latest"]):
        missing = program(site, *words)
        assert missing.returncode == 4
        assert "backup create" in missing.stderr
    site.back_up()
    for words in (["backup", "show", "latest"], ["backup", "verify", "--backup", "latest"]):
        assert program(site, *words).returncode == 0


def test_a_key_that_nobody_gave_is_not_called_wrong(site: Site) -> None:
    """Without a terminal and without --key there is nothing to check."""
    argv = [sys.executable, "-m", "processpilot", "key", "check", "--plan", str(site.plan)]
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert "no key is given" in done.stderr


def test_a_second_agent_is_told_about_the_first(site: Site) -> None:
    """The message names the process and the command to look with."""
    argv = [sys.executable, "-m", "processpilot", "up", "--plan", str(site.plan)]
    first = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
    try:
        assert first.stderr is not None
        assert "protects" in first.stderr.readline()
        second = program(site, "up")
        assert second.returncode == 5
        assert f"process {first.pid}" in second.stderr
        assert "processpilot status" in second.stderr
    finally:
        first.terminate()
        first.wait(60)
