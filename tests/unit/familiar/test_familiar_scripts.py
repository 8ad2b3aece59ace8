"""Thin executables of the familiar names: written, called, left alone, taken away."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from processpilot.errors import NotFoundError, RefusedError
from processpilot.familiar.names import Name
from processpilot.familiar.scripts import MARK, PACKAGE, files_for, install, remove
from processpilot.plan.builtin import Basics, starter_plan

SCRIPTS = [str(name) for name in Name if name.is_script]
# Everything that a shell could take for something else.
AWKWARD = 'it\'s a "place" with $HOME, `id`, $(id), {a}, \\ and &; ümlaut'


def tried(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command; nobody is at its standard input."""
    return subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """Give a plan in a folder with an awkward name."""
    folder = tmp_path / AWKWARD
    folder.mkdir()
    path = folder / "processpilot.yaml"
    path.write_text(starter_plan(Basics("x", "postgresql://u@h/x", "/nowhere")))
    return path


def test_scripts_call_their_name_with_the_plan_and_every_word(plan: Path, tmp_path: Path) -> None:
    """From any folder; neither the plan's path nor an argument is taken apart by the shell."""
    folder = tmp_path / "names"
    written = install(folder, plan)
    assert [path.name for path in written] == [*SCRIPTS, PACKAGE]
    for name in SCRIPTS:
        assert os.access(folder / name, os.X_OK)
    done = tried([str(folder / "restore.sh"), "postgresql", "latest", "a 'b' $c"], Path("/"))
    assert done.returncode == 2
    assert "restore.sh: \"a 'b' $c\" is not expected here" in done.stderr
    assert "hint: Write it as: restore.sh postgresql|auto" in done.stderr


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_npm_runs_the_names_with_and_without_dashes(plan: Path, tmp_path: Path) -> None:
    """What npm keeps for itself before the two dashes reaches the name all the same."""
    folder = tmp_path / "names"
    install(folder, plan)
    for words in (["--", "--env=moon"], ["--env=moon"]):
        done = tried(["npm", "run", "test:data-integrity", *words], folder)
        assert done.returncode == 2, done.stderr
        assert "test:data-integrity: moon is no place we know" in done.stderr


def test_a_strangers_file_is_never_overwritten_nor_removed(plan: Path, tmp_path: Path) -> None:
    """Whatever has one of the names and not our mark stops the installation before it begins."""
    ours = tmp_path / "ours"
    install(ours, plan)
    for number, make in enumerate(
        (
            lambda path: path.write_text("#!/bin/sh\n# mine\n"),
            lambda path: path.write_bytes(b"\xff\xfe"),
            lambda path: path.symlink_to(plan),
            lambda path: path.symlink_to("/nowhere"),
            lambda path: path.symlink_to(ours / "restore.sh"),
            lambda path: path.mkdir(),
        )
    ):
        folder = tmp_path / f"names-{number}"
        folder.mkdir()
        make(folder / "restore.sh")
        with pytest.raises(RefusedError, match=r"restore\.sh is there and not ours"):
            install(folder, plan)
        assert [path.name for path in folder.iterdir()] == ["restore.sh"]
        with pytest.raises(NotFoundError):
            remove(folder)
    package = tmp_path / "app"
    package.mkdir()
    (package / PACKAGE).write_text(json.dumps({"name": "app", "description": MARK}))
    with pytest.raises(RefusedError):
        install(package, plan)


def test_what_we_wrote_is_renewed_and_taken_away(plan: Path, tmp_path: Path) -> None:
    """Installing again replaces ours; removing leaves everything else."""
    folder = tmp_path / "names"
    install(folder, plan)
    (folder / "backup.sh").write_text(f"#!/bin/sh\n# {MARK}\necho old\n")
    (folder / "mine.sh").write_text("mine")
    install(folder, plan)
    assert "echo old" not in (folder / "backup.sh").read_text()
    (folder / "backup.sh").write_text("#!/bin/sh\necho replaced by a person\n")
    done = remove(folder)
    assert [path.name for path in done.left] == ["backup.sh"]
    assert sorted(path.name for path in folder.iterdir()) == ["backup.sh", "mine.sh"]


def test_every_name_has_its_executable() -> None:
    """Scripts are files, the others are scripts of package.json; none is in both."""
    files = files_for(Path("/plan.yaml"))
    package = json.loads(files[PACKAGE])["scripts"]
    assert set(files) - {PACKAGE} | set(package) == {str(name) for name in Name}
    assert not set(files) & set(package)
