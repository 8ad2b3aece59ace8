"""What `init` does: inspect, make repository and keys, write the plan. All of it or nothing."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from processpilot.backup.inspect import (
    ServerRole,
    read_facts,
    read_role,
    readable_data_directory,
)
from processpilot.backup.synchronous import check_synchronous
from processpilot.errors import RefusedError
from processpilot.plan.builtin import Basics, starter_plan
from processpilot.plan.load import parse_plan
from processpilot.plan.secrets import write_secret
from processpilot.postgres.binaries import installation_for
from processpilot.postgres.connection import ServerAddress, database_of
from processpilot.repository.keys import new_identity
from processpilot.repository.manifest import ClusterFacts
from processpilot.repository.repository import DEFAULT_CHUNK_BYTES, Settings, create_repository
from processpilot.wiring.drivers import store_for

ESCROW_FILE = "processpilot-escrow.key"


@dataclass(frozen=True, slots=True)
class SetupRequest:
    """What `init` is asked for."""

    plan: Path
    dsn: str
    repository: str
    name: str | None
    data_dir: Path | None
    synchronous: bool
    heartbeat: bool
    storage: Mapping[str, str | bool]
    autonomy: str = "approve"


@dataclass(frozen=True, slots=True)
class SetupDone:
    """What `init` found and made."""

    plan: str
    repository: str
    operator_key: str
    escrow_key: str
    found: tuple[str, ...]
    unknown: tuple[str, ...]


def set_up(request: SetupRequest, write_plan: Callable[[Basics], str] = starter_plan) -> SetupDone:
    """Inspect the server and make everything; on failure nothing is left behind.

    `write_plan` turns what was found into the plan's text.
    """
    base = request.plan.parent
    _must_be_new(request.plan, base)
    address = ServerAddress.parse(request.dsn)
    with address.session() as connection:
        facts = read_facts(connection)
        role = read_role(connection)
        _refuse_unfit(facts, role)
        if request.synchronous:
            check_synchronous(connection)
        superuser = _superuser(connection, facts)
    _refuse_inside(request.repository, Path(facts.data_directory))
    installation = installation_for(facts.major)
    data_dir = readable_data_directory(facts, request.data_dir)
    if request.data_dir is not None and data_dir is None:
        raise RefusedError(
            f"{request.data_dir} is not the server's data directory, or cannot be read",
            hint="Leave --data-dir out to back up through the replication protocol.",
        )
    operator, escrow = new_identity(), new_identity()
    settings = Settings(secrets.token_bytes(16), facts.system_identifier, DEFAULT_CHUNK_BYTES)
    basics = Basics(
        name=request.name or database_of(address),
        dsn=address.conninfo,
        repository_url=_absolute(request.repository),
        password=None if address.password is None else "file:.processpilot/secrets/database",
        data_dir=None if data_dir is None else str(data_dir),
        bin_dir=str(installation.bin_dir),
        superuser=superuser,
        repository_id=settings.repository_id.hex(),
        storage=request.storage,
        mode="synchronous" if request.synchronous else "asynchronous",
        heartbeat=request.heartbeat,
        autonomy=request.autonomy,
    )
    text = write_plan(basics)
    loaded = parse_plan(text, request.plan)
    state = loaded.state_dir
    with _undone_on_failure(state, base / ESCROW_FILE, _new_folder(basics.repository_url)):
        write_secret(state / "secrets" / "operator.key", operator.secret)
        if address.password is not None:
            write_secret(state / "secrets" / "database", address.password)
        store = store_for(loaded, create=True)
        create_repository(store, settings, [("operator", operator), ("escrow", escrow)])
        write_secret(base / ESCROW_FILE, escrow.secret)
        _write_plan(request.plan, text)
    return SetupDone(
        str(request.plan),
        store.location,
        str(state / "secrets" / "operator.key"),
        str(base / ESCROW_FILE),
        tuple(_found(facts, role, data_dir)),
        tuple(_unknown(data_dir)),
    )


def _refuse_inside(repository: str, data_dir: Path) -> None:
    """Refuse a repository that would be lost, or backed up, together with the database."""
    if "://" in repository:
        return
    place, data = Path(repository).resolve(), data_dir.resolve()
    if place.is_relative_to(data):
        raise RefusedError(
            f"the repository {place} lies inside the data directory {data}",
            hint="Choose a folder on another disk, or an s3:// address; it would be lost with it.",
        )
    if data.is_relative_to(place):
        raise RefusedError(
            f"the data directory {data} lies inside the repository {place}",
            hint="Choose an empty folder on another disk, or an s3:// address.",
        )


def _must_be_new(plan: Path, base: Path) -> None:
    for path in (plan, base / ".processpilot", base / ESCROW_FILE):
        if path.exists():
            raise RefusedError(f"{path} exists", hint="Run `processpilot init` in another folder.")
    if not os.access(base, os.W_OK):
        raise RefusedError(f"cannot write in {base}")


def _refuse_unfit(facts: ClusterFacts, role: ServerRole) -> None:
    if facts.settings.get("wal_level") == "minimal":
        raise RefusedError(
            "wal_level is minimal, which leaves out what recovery needs",
            hint="Run ALTER SYSTEM SET wal_level = replica; and restart the server.",
        )
    if role.in_recovery:
        raise RefusedError("the server is a standby", hint="Give the primary's address.")
    if not (role.superuser or role.replication):
        raise RefusedError(
            f"the login {role.name} may not replicate",
            hint=f"Run ALTER ROLE {role.name} REPLICATION; and let pg_hba.conf admit it for "
            "replication.",
        )


def _superuser(connection: psycopg.Connection, facts: ClusterFacts) -> str:
    """Return a superuser that may log in: a restored copy is asked as that role."""
    role = read_role(connection)
    return role.name if role.superuser else facts.superuser or "postgres"


def _absolute(repository: str) -> str:
    return repository if "://" in repository else str(Path(repository).absolute())


def _new_folder(url: str) -> Path | None:
    """Return the repository's folder when nothing is there yet, so that undoing may remove it."""
    path = Path(url)
    return None if "://" in url or path.exists() else path


@contextmanager
def _undone_on_failure(state: Path, escrow: Path, repository: Path | None) -> Iterator[None]:
    try:
        yield
    except BaseException:
        shutil.rmtree(state, ignore_errors=True)
        escrow.unlink(missing_ok=True)
        if repository is not None:
            shutil.rmtree(repository, ignore_errors=True)
        raise


def _write_plan(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text)
    temporary.rename(path)


def _found(facts: ClusterFacts, role: ServerRole, data_dir: Path | None) -> Iterator[str]:
    yield f"PostgreSQL {facts.server_version}, cluster {facts.system_identifier}"
    yield f"databases: {', '.join(facts.databases)}"
    yield f"login {role.name}: {'superuser' if role.superuser else 'may replicate'}"
    yield f"segments of {facts.wal_segment_bytes >> 20} MiB"
    yield f"data checksums are {'on' if facts.data_checksums else 'off'}"
    if data_dir is not None:
        yield f"the data directory {data_dir} is readable: files are read directly"
    else:
        yield "the data directory is not readable here: backups use the replication protocol"


def _unknown(data_dir: Path | None) -> Iterator[str]:
    yield "what starts and stops the database: see components in the plan"
    yield "your application's probes and what must work after a recovery: see validation"
    if data_dir is None:
        yield "where a recovered cluster is to live: set database.data_dir before a recovery"
