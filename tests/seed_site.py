"""The live site that the seed's runbook is about: every part real, on loopback, none of it mended.

PostgreSQL, API, e-mail and analytics workers and nginx under supervisord, the API's releases in a
git work tree, and steady load. Its base plan is what `processpilot init` and a person's hour give:
the server, the repository, and for each component what runs it and how it is seen to be well.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
from protected_site import processes_in, wait_until

from processpilot.clock import SystemClock
from processpilot.demo import stage
from processpilot.demo.nginx import require_nginx
from processpilot.demo.outcome import Outcome, count_outcome
from processpilot.demo.places import Places, free_ports
from processpilot.demo.programs import Cast, programs_of
from processpilot.demo.releases import BROKEN, Fault, Releases
from processpilot.demo.supervisor import Supervisor
from processpilot.errors import ProcessPilotError
from processpilot.postgres.binaries import installation_for
from processpilot.progress import silent

MAJOR = 18
SIZE_BYTES = 2_000_000
WRITES_PER_S = 20.0
CLOCK = SystemClock()


class SeedSite:
    """One site, up and under load."""

    def __init__(self, places: Places, supervisor: Supervisor) -> None:
        self.places = places
        self.supervisor = supervisor
        self.releases = Releases(places.releases)
        self._agent: subprocess.Popen[bytes] | None = None

    @property
    def base(self) -> Path:
        """The plan of the site as `processpilot init` left it, beside the one that is imported."""
        return self.places.site / "base.yaml"

    @property
    def plan(self) -> Path:
        """The plan that is imported, mended and run."""
        return self.places.plan

    def protect(self) -> None:
        """Run `processpilot up`, so that it can die with the database; return once it protects."""
        if self._agent is not None:
            return
        argv = [sys.executable, "-m", "processpilot", "up", "--plan", str(self.plan)]
        with (self.places.logs / "up.log").open("ab") as log:
            self._agent = subprocess.Popen(argv, cwd=self.places.site, stdout=log, stderr=log)
        status = self.places.site / ".processpilot" / "agent.json"
        wait_until(lambda: status.exists() and '"commits_wait": true' in status.read_text(), "up")

    def kill_agent(self) -> None:
        """Kill the agent as a power failure does; idempotent."""
        if self._agent is not None:
            self._agent.kill()
            self._agent.wait()
            self._agent = None

    def destroy_database(self) -> int:
        """Kill the server, delete its data and the agent; return how many writes were promised."""
        os.kill(stage.postmaster_pid(self.places), signal.SIGKILL)
        while self.places.data_dir.exists():
            shutil.rmtree(self.places.data_dir, ignore_errors=True)
        self.kill_agent()
        return stage.acknowledged(self.places)

    def deploy_broken(self) -> None:
        """Deploy the release that dies under load, and at every start again; the agent dies too."""
        self.kill_agent()
        self.releases.release_broken(Fault.DIES)
        self.releases.build(self.places.database_url)
        api = self.supervisor.driver("api", timeout_s=5)
        api.stop()
        with suppress(ProcessPilotError):  # It may be dead before it counts as started.
            api.start()
        wait_until(lambda: not self._serves(), f"{BROKEN} to die")

    def outcome(self) -> Outcome:
        """Stop the load and count what became of everybody's work; then the load goes on."""
        self.supervisor.driver("load").stop()
        found = count_outcome(self.places, CLOCK)
        self.supervisor.driver("load").start()
        return found

    def _serves(self) -> bool:
        try:
            answer = httpx.get(f"{self.places.url}/health/detailed", timeout=2, trust_env=False)
        except httpx.HTTPError:
            return False
        return answer.status_code == httpx.codes.OK


@contextmanager
def seed_site() -> Iterator[SeedSite]:
    """Bring a site up; nothing of it is left afterwards."""
    # Paths of sockets are short.
    folder = Path(tempfile.mkdtemp(prefix="pp-", dir="/tmp"))
    places = Places(folder, *free_ports(4))
    stage.make_folders(places)
    installation = installation_for(MAJOR)
    cast = Cast(installation, WRITES_PER_S, require_nginx(), has_releases=True)
    site = SeedSite(places, Supervisor(places, programs_of(places, cast)))
    try:
        stage.create_cluster(places, installation)
        site.supervisor.start()
        stage.start_database(places, site.supervisor, CLOCK)
        stage.seed_application(places, SIZE_BYTES, silent)
        site.releases.create()
        site.releases.build(places.database_url)
        stage.start_application(places, site.supervisor, CLOCK)
        stage.set_up_protection(places, site.supervisor)
        text = places.plan.read_text().replace("autonomy: act", "autonomy: approve")
        site.base.write_text(text)
        places.plan.unlink()
        yield site
    finally:
        site.kill_agent()
        site.supervisor.end()
        for pid in processes_in(folder):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        while folder.exists():
            shutil.rmtree(folder, ignore_errors=True)
            time.sleep(0.05)
