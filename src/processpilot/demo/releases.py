"""The application's releases: a git work tree with tags, two good ones, a broken one, its repair.

The tree holds what starts the application; the application itself is the installed package.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from enum import StrEnum
from pathlib import Path
from typing import Final

from processpilot.demo.places import PYTHON
from processpilot.errors import NotFoundError, UnavailableError

GOOD: Final = ("v1.0", "v1.1")
BROKEN: Final = "v1.2"
REPAIRED: Final = "v1.3"

_SOURCES: Final = Path(__file__).with_name("release")
_FILES: Final = ("serve.py", "build.py", "migrate.py")
_IGNORED: Final = "built/\n__pycache__/\ncache.json\n"
_PLAIN_MAIN: Final = "return main()"
_BROKEN_MAIN: Final = "return main(extend=remembering)"
_IMPORT: Final = "from processpilot.demo.application.main import main\n"


class Fault(StrEnum):
    """What is wrong with the broken release, once there is load."""

    DIES = "dies"
    ANSWERS_500 = "answers-500"


class Releases:
    """One work tree; its newest release is the last one that was made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def create(self) -> None:
        """Make the tree with the good releases; the newest is checked out, none is built."""
        if shutil.which("git") is None:
            raise NotFoundError(
                "git is not installed, and the releases of this scenario are tags of a work tree",
                hint="Run `apt install git`, then start the demo again.",
            )
        self.folder.mkdir(mode=0o700)
        self._git("init", "--quiet", "--initial-branch=main")
        for name in _FILES:
            shutil.copy(_SOURCES / name, self.folder / name)
        (self.folder / ".gitignore").write_text(_IGNORED)
        for tag in GOOD:
            self._commit(tag, f"Release {tag}")

    def release_broken(self, fault: Fault) -> None:
        """Add the release that has the fault, and check it out."""
        source = _SOURCES / f"fault_{fault.value.replace('-', '_')}.py"
        shutil.copy(source, self.folder / "cache.py")
        serve = self.folder / "serve.py"
        text = serve.read_text().replace(_PLAIN_MAIN, _BROKEN_MAIN)
        serve.write_text(text.replace(_IMPORT, f"from cache import remembering\n{_IMPORT}"))
        self._commit(BROKEN, "Remember the last request")

    def release_repaired(self) -> None:
        """Add the release without the fault after the broken one; what is checked out stays."""
        before = self._git("rev-parse", "HEAD")
        self._git("checkout", "--quiet", "--detach", BROKEN)
        (self.folder / "cache.py").unlink()
        shutil.copy(_SOURCES / "serve.py", self.folder / "serve.py")
        self._commit(REPAIRED, "Remember nothing")
        self._git("checkout", "--quiet", "--detach", before)

    def build(self, database_url: Path) -> None:
        """Build what is checked out and migrate the database, as every deployment does."""
        for argv in ([PYTHON, "build.py"], [PYTHON, "migrate.py", str(database_url)]):
            done = subprocess.run(
                argv, cwd=self.folder, capture_output=True, text=True, check=False
            )
            if done.returncode != 0:
                raise UnavailableError(f"{argv[1]} ended with {done.returncode}: {done.stderr}")

    def checked_out(self) -> str:
        """Return the tag of what is checked out."""
        return self._git("describe", "--tags", "--exact-match")

    def _commit(self, tag: str, message: str) -> None:
        (self.folder / "VERSION").write_text(f"{tag}\n")
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", message)
        self._git("tag", tag)

    def _git(self, *words: str) -> str:
        """Run git without anybody's settings; a work tree of the demo is nobody's."""
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        identity = ("-c", "user.name=Demo", "-c", "user.email=demo@localhost")
        done = subprocess.run(
            ["git", "-C", str(self.folder), *identity, *words],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise UnavailableError(f"git {words[0]} ended with {done.returncode}: {done.stderr}")
        return done.stdout.strip()
