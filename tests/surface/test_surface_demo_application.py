"""`processpilot demo --scenario application-failure`: the whole of it, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from protected_site import processes_in

from processpilot.demo.nginx import find_nginx
from processpilot.demo.releases import Fault

DEMO = [sys.executable, "-m", "processpilot", "demo"]
SMALL = ["--size", "20", "--rate", "20"]
NIGHTLY = bool(os.environ.get("PROCESSPILOT_NIGHTLY"))
FAULTS = list(Fault) if NIGHTLY else [Fault.DIES]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder with a short name, because the paths of sockets are short."""
    made = Path(tempfile.mkdtemp(prefix="pp-", dir="/tmp"))
    yield made
    shutil.rmtree(made)


def shown(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the demo with its folders below one of ours."""
    return subprocess.run(
        [*DEMO, "--report", str(folder / "report"), *words],
        env={**os.environ, "TMPDIR": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


@pytest.mark.skipif(find_nginx() is None, reason="nginx is not installed")
@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_rollback_helps_where_a_restart_does_not(folder: Path, fault: Fault) -> None:
    """The product leads out of it: nothing is lost, doubled or wrong, and the repair serves."""
    ended = shown(folder, "--scenario", "application-failure", "--fault", fault, *SMALL)
    said = ended.stdout + ended.stderr
    assert ended.returncode == 0, said
    assert "not the restart, but the rollback to v1.1" in ended.stdout
    assert "lost          0 of" in ended.stdout
    assert "0 of them twice" in ended.stdout
    assert "equal to the requests" in ended.stdout
    assert "Release v1.3 serves: passed." in ended.stdout
    assert (folder / "report" / "report.html").exists()
    assert list(folder.glob("processpilot-demo-*")) == []
    assert processes_in(folder) == []


@pytest.mark.skipif(find_nginx() is not None, reason="nginx is installed")
def test_without_nginx_the_scenario_says_what_to_install(folder: Path) -> None:
    """What is missing is told before anything is started, with the command that gets it."""
    ended = shown(folder, "--scenario", "application-failure")
    assert ended.returncode == 1
    assert "apt install nginx-light" in ended.stdout
    assert list(folder.glob("processpilot-demo-*")) == []
