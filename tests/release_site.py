"""Releases to roll back and forward: a git work tree or folders, with steps that leave records.

A step is a Python program that appends `step version` to a log, where version is what it found in
the file VERSION of the folder it ran in. It fails when a file of that name lies beside the log, and
sleeps when that file says so.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from processpilot.plan.component import FolderRelease, GitRelease
from processpilot.services.release import Releases, releases_of

STEP = """
import pathlib, sys, time
step, beside = sys.argv[1], pathlib.Path(sys.argv[2])
version = pathlib.Path("VERSION").read_text().strip()
with (beside / "log").open("a") as log:
    log.write(f"{step} {version}\\n")
trap = beside / f"{step}-{version}"
if trap.exists():
    time.sleep(float(trap.read_text() or "0"))
    sys.exit(f"{step} of {version} broke")
pathlib.Path(f"{step}.done").write_text(version)
"""


class ReleaseSite:
    """Where releases lie, and beside them what their steps recorded."""

    def __init__(self, folder: Path) -> None:
        self.beside = folder
        self.folder = folder / "app"
        self.folder.mkdir(parents=True)

    def step(self, name: str) -> list[str]:
        return [sys.executable, "-c", STEP, name, str(self.beside)]

    def steps(self) -> dict[str, list[str]]:
        return {name: self.step(name) for name in ("install", "build", "migrate")}

    def ran(self) -> list[str]:
        """Return what ran since the last time this was asked."""
        log = self.beside / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines

    def break_step(self, step: str, version: str, after_s: float = 0) -> Path:
        trap = self.beside / f"{step}-{version}"
        trap.write_text(str(after_s) if after_s else "")
        return trap

    def everything(self, version: str) -> list[str]:
        return [f"{step} {version}" for step in ("install", "build", "migrate")]


class GitSite(ReleaseSite):
    """A work tree with a tag for each version; the file VERSION says which is checked out."""

    def __init__(self, folder: Path, *versions: str) -> None:
        super().__init__(folder)
        self.git("init", "--quiet", "--initial-branch=main")
        (self.folder / ".gitignore").write_text("*.done\nsecrets\n")
        for version in versions:
            self.commit(version)
            self.git("tag", version)

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=Test", "-c", "user.email=test@localhost"]
        done = subprocess.run(
            ["git", *identity, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            env={**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, version: str, **files: str) -> None:
        (self.folder / "VERSION").write_text(f"{version}\n")
        for name, text in files.items():
            (self.folder / name).write_text(text)
        self.git("add", "--force", "VERSION", ".gitignore", *files)
        self.git("commit", "--quiet", "--message", version)

    def releases(self, tags: str = "v*", **steps: list[str]) -> Releases:
        given = {"kind": "git", "folder": "app", "tags": tags, **(steps or self.steps())}
        return releases_of(GitRelease.model_validate(given), self.beside)

    def version(self) -> str:
        return (self.folder / "VERSION").read_text().strip()


class FolderSite(ReleaseSite):
    """A folder for each version, the link `current` to the last one."""

    def __init__(self, folder: Path, *versions: str) -> None:
        super().__init__(folder)
        for version in versions:
            (self.folder / version).mkdir()
            (self.folder / version / "VERSION").write_text(version)
        self.link = self.folder / "current"
        self.link.symlink_to(versions[-1])

    def releases(self, current: str = "current", **steps: list[str]) -> Releases:
        given = {"kind": "folders", "folder": "app", "current": current}
        spec = FolderRelease.model_validate({**given, **(steps or self.steps())})
        return releases_of(spec, self.beside)

    def version(self) -> str:
        return (self.link / "VERSION").read_text().strip()
