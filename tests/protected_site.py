"""Real clusters for the tests: small, on a private socket, in a folder of their own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from processpilot.agent.backups import take_backup
from processpilot.agent.setup import SetupRequest, set_up
from processpilot.plan.builtin import Basics, starter_plan
from processpilot.postgres.account import launch_for
from processpilot.postgres.binaries import Installation, find_installations
from processpilot.postgres.cluster import server_processes
from processpilot.postgres.connection import ServerAddress
from processpilot.progress import silent
from processpilot.repository.manifest import Manifest
from processpilot.wiring.wired import Wired, open_plan

SUPERUSER = "postgres"
MAJORS = sorted({installation.major for installation in find_installations()})


def one_of(major: int) -> Installation:
    """Return the installation of a major that was found."""
    return next(i for i in find_installations() if i.major == major)


@dataclass
class Site:
    """A cluster, and the plan and repository that protect it."""

    folder: Path
    installation: Installation
    sockets: Path
    synchronous: bool = False
    autonomy: str = "act"
    repository: str | None = None
    storage: dict[str, str | bool] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def plan(self) -> Path:
        return self.folder / "site" / "processpilot.yaml"

    @property
    def address(self) -> ServerAddress:
        return ServerAddress.parse("").with_options(
            host=str(self.sockets), port=5432, user=SUPERUSER, dbname="postgres"
        )

    def pg_ctl(self, *words: str) -> list[str]:
        launch = launch_for(self.data if self.data.exists() else self.folder)
        options = f"-k {self.sockets} -c listen_addresses= -c fsync=off"
        log = str(self.folder / "server.log")
        program = str(self.installation.bin_dir / "pg_ctl")
        return [
            *launch.prefix,
            program,
            "-D",
            str(self.data),
            "-w",
            "-o",
            options,
            "-l",
            log,
            *words,
        ]

    def start(self) -> None:
        subprocess.run(self.pg_ctl("start"), check=True, capture_output=True)

    def stop(self) -> None:
        if server_processes(self.data):
            subprocess.run(self.pg_ctl("-m", "immediate", "stop"), check=True, capture_output=True)

    def destroy(self) -> None:
        """Kill the server without warning and delete its data directory."""
        pid = int((self.data / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        while self.data.exists():
            shutil.rmtree(self.data, ignore_errors=True)

    def run(self, *statements: str) -> list[tuple[object, ...]]:
        """Execute statements, each in a transaction of its own; return the last one's rows."""
        rows: list[tuple[object, ...]] = []
        with self.address.session() as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def protect(self, write_plan: Callable[[Basics], str] = starter_plan) -> None:
        """Do what `processpilot init` does, and let the plan start and stop the server."""
        self.plan.parent.mkdir(exist_ok=True)
        dsn = f"postgresql://{SUPERUSER}@/postgres?host={self.sockets}&port=5432"
        request = SetupRequest(
            self.plan,
            dsn,
            self.repository or str(self.folder / "repository"),
            "site",
            self.data,
            self.synchronous,
            heartbeat=True,
            storage=self.storage,
            autonomy=self.autonomy,
        )
        set_up(request, write_plan)
        document = yaml.safe_load(self.plan.read_text())
        document["components"][0]["service"] = {
            "kind": "command",
            "start": self.pg_ctl("start"),
            "stop": self.pg_ctl("-m", "fast", "stop"),
        }
        document["components"][0]["probes"][0] |= {"every": "500ms", "fail_after": 2}
        document["protection"]["tail_interval"] = "300ms"
        self.plan.write_text(yaml.safe_dump(document))

    def wired(self) -> Wired:
        return open_plan(self.plan)

    def back_up(self, *, through_protocol: bool = False) -> Manifest:
        with closing(self.wired()) as wired:
            return take_backup(wired, silent, through_protocol=through_protocol)


SiteMaker = Callable[..., Site]


def processes_in(folder: Path) -> list[int]:
    """Return processes that still work in, or were started with a path in, `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes()
            if str(folder).encode() in words:
                found.append(int(entry.name))
    return found


def wait_until(holds: Callable[[], bool], what: str, limit_s: float = 60.0) -> None:
    """Return once `holds`; fails the test after `limit_s`."""
    deadline = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)
