"""A real pm2 with a home of the test's own; its daemon and processes end with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from processpilot.services.pm2 import Pm2Driver


def find_pm2() -> str | None:
    """Return the program pm2 below PROCESSPILOT_TEST_PM2 or on PATH, where node runs it."""
    if shutil.which("node") is None:
        return None
    folder = os.environ.get("PROCESSPILOT_TEST_PM2")
    places = [folder, f"{folder}/bin", f"{folder}/node_modules/.bin"] if folder else []
    return shutil.which("pm2", path=os.pathsep.join(places)) if folder else shutil.which("pm2")


PM2 = find_pm2()


class Pm2Home:
    """A PM2_HOME; the daemon runs from the first program on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def pm2(self, *arguments: str) -> str:
        """Run one pm2 command and return its output."""
        assert PM2 is not None
        done = subprocess.run(
            [PM2, *arguments],
            cwd=self.folder,
            env={**os.environ, "PM2_HOME": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def run(self, name: str, code: str, *options: str) -> None:
        """Start a Python program under pm2."""
        script = self.folder / f"{name}.py"
        script.write_text(code)
        self.pm2(
            "start", str(script), "--name", name, "--interpreter", sys.executable, *options,
            "--no-vizion",
        )  # fmt: skip

    def run_node(self, name: str, code: str, *options: str) -> None:
        """Start a Node.js program under pm2."""
        script = self.folder / f"{name}.js"
        script.write_text(code)
        self.pm2("start", str(script), "--name", name, "--no-vizion", *options)

    def entries(self, name: str) -> list[dict[str, Any]]:
        """Return pm2's own list of the processes with this name."""
        entries = json.loads(self.pm2("jlist").splitlines()[-1])
        return [entry for entry in entries if entry["name"] == name]

    def driver(self, name: str, timeout_s: float = 30) -> Pm2Driver:
        assert PM2 is not None
        return Pm2Driver(name, timeout_s=timeout_s, home=self.folder, program=PM2)


@contextmanager
def pm2_home() -> Iterator[Pm2Home]:
    """Yield a home in a short path, because it holds sockets; `pm2 kill` ends everything."""
    home = Pm2Home(Path(tempfile.mkdtemp(prefix="pp", dir="/tmp")))
    try:
        yield home
    finally:
        try:
            if (home.folder / "rpc.sock").exists():
                home.pm2("kill")
        finally:
            shutil.rmtree(home.folder)
