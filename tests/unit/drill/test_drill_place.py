"""A drill's place: known by name and owner, held while it is used, and its removal proven."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from protected_site import wait_until

from processpilot.checks.result import CheckResult, Outcome
from processpilot.drill.place import clear, left_places, made_place
from processpilot.errors import RefusedError
from processpilot.postgres.cluster import server_processes


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have drills of this test in a place of their own."""
    monkeypatch.setenv("PROCESSPILOT_STAGING_DIR", str(tmp_path))
    return tmp_path / f"processpilot-{os.geteuid()}"


def bad(checks: list[CheckResult]) -> set[str]:
    """Return the names of checks that did not pass."""
    return {check.name for check in checks if check.outcome is not Outcome.PASSED}


def test_nobody_else_looks_into_it(base: Path) -> None:
    """Its folder is ours alone; what the server's account needs is shown inside only."""
    with made_place("1") as place:
        assert place.root == base / "drill-1"
        assert place.root.stat().st_mode & 0o777 == 0o700
        with pytest.raises(RefusedError, match="exists"), made_place("1"):
            pass
        assert bad(clear(place, None)) == set()
    assert list(base.iterdir()) == []


def test_a_place_that_is_used_is_no_leftover(base: Path) -> None:
    """Once whoever holds it is gone, it is one; what has another name never is."""
    (base / "other").mkdir(parents=True)
    (base / "drill-link").symlink_to(base / "other")
    with made_place("1") as place:
        assert list(left_places()) == []
    assert list(left_places()) == [place]


def test_processes_that_work_in_it_are_ended(base: Path) -> None:
    """Those of a copy's server, for example."""
    with made_place("1") as place:
        place.cluster.mkdir()
        process = subprocess.Popen(
            [sys.executable, "-c", "input()"], cwd=place.cluster, stdin=subprocess.PIPE
        )
        wait_until(lambda: bool(server_processes(place.cluster)), "the process")
        assert bad(clear(place, None)) == set()
        process.communicate()
        assert process.returncode != 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_what_could_not_be_removed_is_told(tmp_path: Path) -> None:
    """A mount that is left fails the cleanup, by folder and by mount."""
    (tmp_path / "elsewhere").mkdir()
    with made_place("1") as place:
        target = place.inner / "mounted"
        target.mkdir()
        subprocess.run(["mount", "--bind", tmp_path / "elsewhere", target], check=True)
        try:
            assert bad(clear(place, None)) == {"cleanup: folders", "cleanup: mounts"}
        finally:
            subprocess.run(["umount", target], check=True)
        assert bad(clear(place, None)) == set()


def test_processes_left_in_the_namespace_fail_the_cleanup() -> None:
    """This very process is one in the namespace that is asked about."""
    with made_place("1") as place:
        mine = str(Path("/proc/self/ns/net").readlink())
        assert bad(clear(place, mine)) == {"cleanup: namespaces"}
