"""What git work trees and release folders have in common: forth, back, failing, killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from release_site import FolderSite, GitSite

from processpilot.errors import LockedError, NotFoundError, RefusedError, UnavailableError
from processpilot.services.release import Change

VERSIONS = ("v1", "v2", "v10")


@pytest.fixture(params=[GitSite, FolderSite])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> GitSite | FolderSite:
    """Three releases, the newest in place."""
    made: GitSite | FolderSite = request.param(tmp_path / "site", *VERSIONS)
    return made


def test_rollback_and_the_way_forward(site: GitSite | FolderSite) -> None:
    """One back, one more, then to the newest at once; each is installed, built and migrated."""
    releases = site.releases()
    assert (releases.current(), releases.previous(), releases.newest()) == ("v10", "v2", "v10")

    assert releases.roll_back() == Change("v10", "v2")
    assert (site.version(), site.ran()) == ("v2", site.everything("v2"))
    assert (releases.current(), releases.previous(), releases.newest()) == ("v2", "v1", "v10")
    assert releases.roll_back() == Change("v2", "v1")
    assert releases.previous() is None
    site.ran()

    assert releases.roll_forward() == Change("v1", "v10")
    assert (site.version(), site.ran()) == ("v10", site.everything("v10"))
    assert releases.unfinished() is None


def test_forward_from_the_newest_does_nothing(site: GitSite | FolderSite) -> None:
    """Already there is before == after, and no step runs."""
    assert site.releases().roll_forward() == Change("v10", "v10")
    assert site.ran() == []


def test_before_the_first_release_there_is_nothing(site: GitSite | FolderSite) -> None:
    """Without a previous release a rollback is refused and nothing changes."""
    releases = site.releases()
    releases.roll_back()
    releases.roll_back()
    site.ran()
    with pytest.raises(RefusedError, match="no release before v1") as caught:
        releases.roll_back()
    assert caught.value.hint is not None
    assert (site.version(), site.ran()) == ("v1", [])


def test_a_repeated_rollback_that_names_what_it_leaves_goes_back_once(
    site: GitSite | FolderSite,
) -> None:
    """`leaving` makes the call harmless when it was already carried out."""
    releases = site.releases()
    assert releases.roll_back(leaving="v10") == Change("v10", "v2")
    assert releases.roll_back(leaving="v10") == Change("v2", "v2")
    assert site.version() == "v2"


@pytest.mark.parametrize("step", ["install", "build", "migrate"])
def test_a_step_that_fails_leaves_the_former_release(site: GitSite | FolderSite, step: str) -> None:
    """The error names what failed and what is in place; the cause removed, the same call works."""
    trap = site.break_step(step, "v2")
    releases = site.releases()
    with pytest.raises(UnavailableError) as caught:
        releases.roll_back()
    assert f"{step} of release v2 ended with exit code 1: {step} of v2 broke" in str(caught.value)
    assert caught.value.message.endswith("v10 is in place")
    assert (site.version(), releases.unfinished()) == ("v10", None)
    rebuilt = ["install v10", "build v10"] if isinstance(site, GitSite) else []
    assert [line for line in site.ran() if line.endswith("v10")] == rebuilt

    trap.unlink()
    assert releases.roll_back() == Change("v10", "v2")


def test_a_former_release_that_cannot_be_built_again_is_told(tmp_path: Path) -> None:
    """Both failures are named, the change stays unfinished, and either way can be tried again."""
    site = GitSite(tmp_path / "site", *VERSIONS)
    first, second = site.break_step("build", "v2"), site.break_step("install", "v10")
    releases = site.releases()
    with pytest.raises(UnavailableError) as caught:
        releases.roll_back()
    assert "build of v2 broke" in caught.value.message
    assert "putting v10 back failed too: install of release v10" in caught.value.message
    assert caught.value.message.endswith("what is in place is v10 and not ready")
    assert releases.unfinished() == Change("v2", "v10")
    with pytest.raises(RefusedError, match="unfinished"):
        releases.migrate()

    first.unlink()
    site.ran()
    assert releases.roll_back() == Change("v10", "v2")
    assert site.ran() == site.everything("v2")
    second.unlink()
    assert releases.roll_forward() == Change("v2", "v10")


def test_a_missing_program_is_named_before_anything_changes(site: GitSite | FolderSite) -> None:
    """A program that is not on PATH is found out first, and the hint says what to install."""
    releases = site.releases(install=site.step("install"), build=["no-such-npm", "run", "build"])
    with pytest.raises(UnavailableError, match="no-such-npm.*nothing was changed") as caught:
        releases.roll_back()
    assert "Install no-such-npm" in (caught.value.hint or "")
    assert (site.version(), site.ran(), releases.unfinished()) == ("v10", [], None)


def test_a_program_missing_in_the_release_leaves_the_former(site: GitSite | FolderSite) -> None:
    """A path is only known in the release's folder; what ran before it is made good again."""
    with pytest.raises(UnavailableError, match="./make-it cannot be run") as caught:
        site.releases(migrate=["./make-it"], install=site.step("install")).roll_back()
    assert caught.value.message.endswith("v10 is in place")
    assert site.version() == "v10"


def test_without_steps_only_the_place_changes(tmp_path: Path) -> None:
    """Steps the plan does not give are left out; migrate() alone then refuses."""
    releases = FolderSite(tmp_path / "site", *VERSIONS).releases(install=[])
    assert releases.roll_back() == Change("v10", "v2")
    with pytest.raises(RefusedError, match="no program that migrates"):
        releases.migrate()


def test_migrate_runs_in_the_release_in_place(site: GitSite | FolderSite) -> None:
    """migrate() runs that step only, and its failure is an error."""
    site.releases().migrate()
    assert site.ran() == ["migrate v10"]
    site.break_step("migrate", "v10")
    with pytest.raises(UnavailableError, match="migrate of v10 broke"):
        site.releases().migrate()


KILLED = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from release_site import FolderSite, GitSite
site = object.__new__({"GitSite": GitSite, "FolderSite": FolderSite}[sys.argv[2]])
site.beside = Path(sys.argv[3])
site.releases().roll_back()
"""


def kill_during(site: GitSite | FolderSite, step: str) -> int:
    """Kill a rollback with SIGKILL while a step runs; return the step's process, which lives on."""
    trap = site.break_step(step, "v2", after_s=600)
    helpers = str(Path(__file__).parents[2])
    argv = [sys.executable, "-c", KILLED, helpers, type(site).__name__, str(site.beside)]
    process = subprocess.Popen(argv)
    log = site.beside / "log"
    deadline = time.monotonic() + 60
    while not (log.exists() and f"{step} v2" in log.read_text()):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.wait()
    trap.unlink()
    site.ran()
    return next(
        int(p.parent.name)
        for p in Path("/proc").glob("[0-9]*/cmdline")
        if f"{step}\0{site.beside}".encode() in read(p)
    )


def read(path: Path) -> bytes:
    """Return a file's bytes, or none when its process is gone."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def end(pid: int) -> None:
    """End the surviving step and wait until it is gone."""
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while read(Path(f"/proc/{pid}/cmdline")):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("step", ["install", "build", "migrate"])
def test_a_rollback_that_was_killed_is_finished_by_the_next(
    site: GitSite | FolderSite, step: str
) -> None:
    """While the orphaned step runs nothing starts; then all steps run and one step back is made."""
    orphan = kill_during(site, step)
    releases = site.releases()
    try:
        assert releases.unfinished() == Change("v10", "v2")
        with pytest.raises(LockedError, match=f"still runs in .*process {orphan}"):
            releases.roll_back(leaving="v10")
    finally:
        end(orphan)
    assert site.version() == ("v2" if isinstance(site, GitSite) else "v10")

    assert releases.roll_back(leaving="v10") == Change("v10", "v2")
    assert (site.version(), site.ran()) == ("v2", site.everything("v2"))
    assert releases.unfinished() is None
    assert releases.roll_back(leaving="v10") == Change("v2", "v2")


def test_a_rollback_that_was_killed_can_be_taken_back(site: GitSite | FolderSite) -> None:
    """roll_forward() after a killed rollback makes the newest ready again."""
    end(kill_during(site, "build"))
    releases = site.releases()
    assert releases.roll_forward() == Change("v2", "v10")
    assert (site.version(), site.ran()) == ("v10", site.everything("v10"))
    assert releases.unfinished() is None


def test_a_note_that_cannot_be_read_stops_everything(tmp_path: Path) -> None:
    """Nothing is guessed from a broken note; the hint says what to look at."""
    site = FolderSite(tmp_path / "site", *VERSIONS)
    note = site.folder / ".processpilot-release.json"
    for text in ("", "[]", json.dumps({"direction": "up"}), json.dumps({"direction": "back"})):
        note.write_text(text)
        with pytest.raises(RefusedError, match="cannot be read") as caught:
            site.releases().roll_back()
        assert "remove the note" in (caught.value.hint or "")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Both kinds say which folder is missing and where to correct it."""
    for made in (GitSite(tmp_path / "a", "v1"), FolderSite(tmp_path / "b", "v1")):
        made.folder.rename(tmp_path / f"{made.beside.name}-moved")
        with pytest.raises(NotFoundError, match=str(made.folder)) as caught:
            made.releases().current()
        assert "plan" in (caught.value.hint or "")
