"""Setting the stage: cluster, application, data, repository, first backup, agent, load."""

from __future__ import annotations

import random
import secrets
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import httpx
from psycopg import sql

from processpilot.agent.backups import take_backup
from processpilot.agent.examine import Examination, Finding
from processpilot.agent.keys import prove_key
from processpilot.agent.overview import agent_status
from processpilot.agent.setup import ESCROW_FILE, SetupRequest, set_up
from processpilot.clock import Clock
from processpilot.demo.application.seed import seed
from processpilot.demo.nginx import write_config
from processpilot.demo.places import DATABASE, PYTHON, SUPERUSER, Places
from processpilot.demo.supervisor import Supervisor, write_settings
from processpilot.errors import UnavailableError
from processpilot.parallel import run_all
from processpilot.plan.builtin import (
    ApplicationPlaces,
    Basics,
    FrontPlaces,
    ReleasePlaces,
    application_plan,
)
from processpilot.plan.secrets import write_secret
from processpilot.postgres.binaries import Installation
from processpilot.postgres.cluster import initialise
from processpilot.postgres.connection import ServerAddress
from processpilot.progress import Progress
from processpilot.repository.keys import Identity
from processpilot.repository.manifest import Manifest
from processpilot.wiring.wired import open_plan

_WAIT_S = 60.0
# What is normal is measured before the load begins, and compared while it goes on.
_PERFORMANCE_FACTOR = 12.0
_APPLICATION = frozenset({"mail-sink", "api", "email", "analytics", "frontend"})
_BOTH_CAME = "select count(*) = 2 and (select watermark > 0 from rollup_progress) from workers"


def make_folders(places: Places) -> None:
    """Create the demo's folders, which only this account can read, nginx's among them."""
    for folder in (places.sockets, places.logs, places.site):
        folder.mkdir(mode=0o700)
    write_config(places.front)


def create_cluster(places: Places, installation: Installation) -> None:
    """Create the cluster that is going to be destroyed."""
    initialise(installation, places.data_dir, superuser=SUPERUSER)
    write_settings(places)


def start_database(places: Places, supervisor: Supervisor, clock: Clock) -> None:
    """Start PostgreSQL under supervisord, with a password and the application's database."""
    supervisor.driver("postgres").start()
    password = secrets.token_urlsafe(18)
    local = ServerAddress.parse("").with_options(
        host=str(places.sockets), port=places.database_port, user=SUPERUSER, dbname="postgres"
    )
    _wait_for(lambda: _answers(local), "PostgreSQL", clock)
    with local.session(limit_s=None) as connection:
        # CREATE and ALTER take no parameters, so the password is quoted by psycopg.
        statement = sql.SQL("alter role {} password {}").format(
            sql.Identifier(SUPERUSER), sql.Literal(password)
        )
        connection.execute(statement)
        connection.execute(f"create database {DATABASE}".encode())
    write_secret(places.database_password, password)
    write_secret(
        places.database_url,
        f"postgresql://{SUPERUSER}:{quote(password, safe='')}@127.0.0.1:"
        f"{places.database_port}/{DATABASE}",
    )


def _answers(address: ServerAddress) -> bool:
    try:
        with address.session(limit_s=None) as connection:
            connection.execute("select 1")
    except UnavailableError:
        return False
    return True


def seed_application(places: Places, size_bytes: int, progress: Progress) -> None:
    """Create the application's tables and fill them."""
    subprocess.run(
        [PYTHON, "-m", "processpilot.demo.application", "--migrate"],
        env={"DATABASE_URL_FILE": str(places.database_url), "PATH": "/usr/bin:/bin"},
        check=True,
    )
    write_secret(places.user_password, secrets.token_urlsafe(12))
    seed(
        places.database_url.read_text().strip(),
        size_bytes,
        lambda done, total: progress("seed", done, total),
        password=places.user_password.read_text().strip(),
        source=random.Random(1),  # noqa: S311 - plausible data, not secrets
    )


def start_application(places: Places, supervisor: Supervisor, clock: Clock) -> None:
    """Start the application, its workers and nginx; returns when all say that they are well."""
    programs = [name for name in supervisor.programs if name in _APPLICATION]
    run_all(lambda name: supervisor.driver(name).start(), programs, len(programs))
    _wait_for(lambda: _is_well(places), "the application", clock)


def _is_well(places: Places) -> bool:
    """Whether the API answers and both workers have come round."""
    try:
        answer = httpx.get(f"{places.url}/health/detailed", timeout=2, trust_env=False)
    except httpx.HTTPError:
        return False
    if answer.status_code != httpx.codes.OK:
        return False
    with ServerAddress.parse(places.database_url.read_text().strip()).session() as connection:
        row = connection.execute(_BOTH_CAME).fetchone()
    return row is not None and bool(row[0])


def set_up_protection(places: Places, supervisor: Supervisor) -> None:
    """Do what a person does with `processpilot init`, with the plan of the application."""
    application = ApplicationPlaces(
        places.url,
        supervisor.address,
        f"file:{places.user_password}",
        str(places.ledger),
        probe_every="1s",
        front=_front_places(places, supervisor),
        releases=_release_places(places),
        performance_factor=_PERFORMANCE_FACTOR,
    )

    def write_plan(basics: Basics) -> str:
        return application_plan(basics, application)

    dsn = places.database_url.read_text().strip()
    request = SetupRequest(
        places.plan,
        dsn,
        str(places.repository),
        "ProcessPilot",
        places.data_dir,
        synchronous=True,
        heartbeat=True,
        storage={},
        autonomy="act",
    )
    places.ledger.touch(mode=0o600)
    set_up(request, write_plan)


def _front_places(places: Places, supervisor: Supervisor) -> FrontPlaces | None:
    if "frontend" not in supervisor.programs:
        return None
    return FrontPlaces(places.front.url, str(places.front.maintenance))


def _release_places(places: Places) -> ReleasePlaces | None:
    if not places.releases.exists():
        return None
    return ReleasePlaces(str(places.releases), PYTHON, str(places.database_url))


def take_first_backup(places: Places, progress: Progress) -> tuple[Manifest, float]:
    """Take the first base backup and prove the escrow key on it; return it and its seconds."""
    with closing(open_plan(places.plan)) as wired:
        begun = wired.clock.monotonic()
        manifest = take_backup(wired, progress)
        took = wired.clock.monotonic() - begun
        prove_key(wired, Identity((places.site / ESCROW_FILE).read_text().strip()))
    return manifest, took


def start_agent(places: Places, supervisor: Supervisor, clock: Clock) -> list[Finding]:
    """Start `processpilot up`; returns what `check` says once commits wait for the receiver."""
    supervisor.driver("processpilot").start()
    with closing(open_plan(places.plan)) as wired:

        def protected() -> bool:
            status = agent_status(wired)
            return status is not None and bool(status["stream"]["commits_wait"])

        _wait_for(protected, "the log stream", clock)
        return Examination(wired).run()


def start_load(places: Places, supervisor: Supervisor, clock: Clock) -> None:
    """Start the steady load; returns once writes are acknowledged."""
    supervisor.driver("load").start()
    _wait_for(lambda: acknowledged(places) > 0, "the load", clock)


def acknowledged(places: Places) -> int:
    """Return how many writes the application has acknowledged so far."""
    return places.ledger.read_bytes().count(b"\n")


def _wait_for(holds: Callable[[], bool], what: str, clock: Clock) -> None:
    deadline = clock.monotonic() + _WAIT_S
    while not holds():
        if clock.monotonic() > deadline:
            raise UnavailableError(f"{what} did not come up within {_WAIT_S:.0f} s")
        clock.sleep(0.1)


def postmaster_pid(places: Places) -> int:
    """Return the pid of the server that is going to be killed."""
    return int((places.data_dir / "postmaster.pid").read_text().split()[0])


def log_of(places: Places, program: str) -> Path:
    """Return where a program's output went."""
    return places.logs / f"{program}.log"
