"""The sample application on real parts, protected and watched, with the familiar names installed.

PostgreSQL, API, workers, nginx and the agent run under one supervisord, as in the demo.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from protected_site import one_of, processes_in

from processpilot.clock import SystemClock
from processpilot.demo import stage
from processpilot.demo.nginx import require_nginx
from processpilot.demo.places import Places, free_ports
from processpilot.demo.programs import Cast, programs_of
from processpilot.demo.releases import Releases
from processpilot.demo.supervisor import Supervisor
from processpilot.progress import silent

SEED_BYTES = 3_000_000
PROGRAMS = Path(sys.executable).parent


@dataclass(frozen=True)
class FamiliarSite:
    """The places, what runs there, and the folder where people type."""

    places: Places
    supervisor: Supervisor

    @property
    def backend(self) -> Path:
        """The folder with the five scripts and package.json."""
        return self.places.folder / "backend"

    def line(self, text: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a line as a person types it, standard input not being a terminal."""
        return subprocess.run(
            ["bash", "-c", text],
            cwd=folder or self.backend,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )

    @property
    def environment(self) -> dict[str, str]:
        """What the person's shell has, with the program in its PATH."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("npm_")}
        return {
            **kept,
            "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
            "PROCESSPILOT_PLAN": str(self.places.plan),
            "npm_config_update_notifier": "false",
            "npm_config_cache": str(self.places.folder / "npm"),
        }


@contextmanager
def familiar_site() -> Iterator[FamiliarSite]:
    """Give the whole site, running; nothing of it is left afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="pp-f-", dir="/tmp"))
    places = Places(folder, *free_ports(4))
    stage.make_folders(places)
    cast = Cast(one_of(18), 20.0, require_nginx(), has_releases=True)
    supervisor = Supervisor(places, programs_of(places, cast))
    try:
        _set_up(places, supervisor, cast)
        site = FamiliarSite(places, supervisor)
        done = site.line(f"processpilot names install {site.backend}", folder)
        assert done.returncode == 0, done.stderr
        yield site
    finally:
        supervisor.end()
        shutil.rmtree(folder, ignore_errors=True)
        assert processes_in(folder) == []


def _set_up(places: Places, supervisor: Supervisor, cast: Cast) -> None:
    clock = SystemClock()
    stage.create_cluster(places, cast.installation)
    supervisor.start()
    stage.start_database(places, supervisor, clock)
    stage.seed_application(places, SEED_BYTES, silent)
    releases = Releases(places.releases)
    releases.create()
    releases.build(places.database_url)
    stage.start_application(places, supervisor, clock)
    stage.set_up_protection(places, supervisor)
    stage.take_first_backup(places, silent)
    stage.start_agent(places, supervisor, clock)
