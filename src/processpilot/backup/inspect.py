"""What a server says of itself: the facts a backup records and a restore relies on."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from processpilot.errors import RefusedError, UnavailableError
from processpilot.postgres.connection import ServerAddress
from processpilot.postgres.control import SUPPORTED_MAJORS
from processpilot.repository.manifest import BadPage, ClusterFacts, Collation

# Settings that recovery refuses to start below (manual, "Hot Standby", Administrator's Overview),
# and those that say how the server was laid out.
RECOVERY_SETTINGS = (
    "max_connections",
    "max_worker_processes",
    "max_wal_senders",
    "max_prepared_transactions",
    "max_locks_per_transaction",
)
_OTHER_SETTINGS = (
    "wal_level",
    "port",
    "archive_mode",
    "lc_messages",
    "shared_buffers",
    "max_slot_wal_keep_size",
    "synchronous_commit",
    "synchronous_standby_names",
    "config_file",
    "hba_file",
    "ident_file",
    "summarize_wal",
)

# What a file's name has behind its relation's main file (manual, "Database File Layout").
_FORK_OR_SEGMENT = re.compile(r"(_(fsm|vm|init))?(\.\d+)?$")


@dataclass(frozen=True, slots=True)
class ServerRole:
    """What the login may do, and whether the server is in recovery."""

    name: str
    superuser: bool
    replication: bool
    in_recovery: bool


def read_facts(connection: psycopg.Connection) -> ClusterFacts:
    """Return the cluster's facts; RefusedError for a server this program does not support."""
    major = connection.info.server_version // 10000
    if major not in SUPPORTED_MAJORS:
        supported = f"{min(SUPPORTED_MAJORS)} to {max(SUPPORTED_MAJORS)}"
        raise RefusedError(f"the server is PostgreSQL {major}, supported are {supported}")
    settings = _settings(connection)
    system_identifier = _scalar(connection, "select system_identifier from pg_control_system()")
    preload = settings.pop("shared_preload_libraries", "")
    return ClusterFacts(
        system_identifier=int(system_identifier),
        major=major,
        server_version=settings.pop("server_version"),
        wal_segment_bytes=int(
            _scalar(connection, "select bytes_per_wal_segment from pg_control_init()")
        ),
        block_bytes=int(settings.pop("block_size")),
        data_checksums=settings.pop("data_checksums") == "on",
        data_directory=settings.pop("data_directory", ""),
        settings=settings,
        preload_libraries=tuple(part.strip() for part in preload.split(",") if part.strip()),
        extensions=_extensions(connection),
        collations=_collations(connection, major),
        databases=_column(connection, "select datname from pg_database order by oid"),
        superuser=_superuser(connection),
    )


def read_role(connection: psycopg.Connection) -> ServerRole:
    """Return what the login of `connection` may do."""
    row = connection.execute(
        "select current_user, rolsuper, rolreplication, pg_is_in_recovery()"
        " from pg_roles where rolname = current_user"
    ).fetchone()
    assert row is not None
    return ServerRole(str(row[0]), bool(row[1]), bool(row[2]), bool(row[3]))


def readable_data_directory(facts: ClusterFacts, configured: Path | None) -> Path | None:
    """Return the data directory when this process can read it here, otherwise None.

    Its control file must carry the server's own system identifier: a folder of the same name on
    another machine is not it.
    """
    folder = configured or (Path(facts.data_directory) if facts.data_directory else None)
    if folder is None:
        return None
    try:
        control = (folder / "global" / "pg_control").read_bytes()
        list(folder.iterdir())
    except OSError:
        return None
    identifier = int.from_bytes(control[:8], "little")
    return folder if identifier == facts.system_identifier else None


def _settings(connection: psycopg.Connection) -> dict[str, str]:
    wanted = [
        *RECOVERY_SETTINGS,
        *_OTHER_SETTINGS,
        "server_version",
        "block_size",
        "data_checksums",
        "data_directory",
        "shared_preload_libraries",
    ]
    rows = connection.execute(
        "select name, setting from pg_settings where name = any(%s)", [wanted]
    ).fetchall()
    return {str(name): str(value) for name, value in rows if value is not None}


def _scalar(connection: psycopg.Connection, query: str) -> str:
    row = connection.execute(query.encode()).fetchone()
    if row is None or row[0] is None:
        raise UnavailableError(f"the server gave no answer to: {query}")
    return str(row[0])


def _column(connection: psycopg.Connection, query: str) -> tuple[str, ...]:
    return tuple(str(row[0]) for row in connection.execute(query.encode()).fetchall())


def _superuser(connection: psycopg.Connection) -> str | None:
    names = _column(
        connection, "select rolname from pg_roles where rolsuper and rolcanlogin order by oid"
    )
    return names[0] if names else None


def _extensions(connection: psycopg.Connection) -> tuple[str, ...]:
    return _column(connection, "select extname || ' ' || extversion from pg_extension order by 1")


def _collations(connection: psycopg.Connection, major: int) -> tuple[Collation, ...]:
    assert major >= min(SUPPORTED_MAJORS)
    rows = connection.execute(
        "select datname, datlocprovider, datcollversion from pg_database"
        " where datallowconn order by oid"
    ).fetchall()
    return tuple(
        Collation(
            database=str(name),
            provider=str(provider),
            version=None if version is None else str(version),
        )
        for name, provider, version in rows
    )


def every_extension(address: ServerAddress, databases: tuple[str, ...]) -> tuple[str, ...]:
    """Return the extensions of all connectable databases, as "name version", sorted."""
    return tuple(sorted(_everywhere(address, databases, _extensions)))


def relation_files(address: ServerAddress, databases: tuple[str, ...]) -> frozenset[str]:
    """Return the main file of every permanent relation, relative to the data directory.

    A file that the catalogs name before and after a backup has to be in it.
    """
    return frozenset(_everywhere(address, databases, _relation_files))


def _relation_files(connection: psycopg.Connection) -> tuple[str, ...]:
    return _column(
        connection,
        "select path from (select pg_relation_filepath(oid) as path from pg_class"
        " where relpersistence = 'p' and relkind in ('r', 'i', 'S', 't', 'm')) files"
        " where path is not null",
    )


def name_relations(
    address: ServerAddress, databases: tuple[str, ...], pages: Sequence[BadPage]
) -> tuple[BadPage, ...]:
    """Return the pages with the names of the relations they belong to, where catalogs tell."""
    if not pages:
        return ()
    files = sorted({_FORK_OR_SEGMENT.sub("", page.path) for page in pages})

    def ask(connection: psycopg.Connection) -> tuple[str, ...]:
        rows = connection.execute(
            "select pg_relation_filepath(oid) || ' ' || current_database() || ': ' || "
            "relnamespace::regnamespace || '.' || quote_ident(relname) from pg_class"
            " where pg_relation_filepath(oid) = any(%s)",
            [files],
        )
        return tuple(str(row[0]) for row in rows)

    found = (line.partition(" ") for line in sorted(_everywhere(address, databases, ask)))
    names = {path: name for path, _, name in found}
    return tuple(
        page.model_copy(update={"relation": names.get(_FORK_OR_SEGMENT.sub("", page.path))})
        for page in pages
    )


def _everywhere(
    address: ServerAddress,
    databases: tuple[str, ...],
    ask: Callable[[psycopg.Connection], tuple[str, ...]],
) -> set[str]:
    """Return what all databases answer together; those that admit nobody are left out."""
    found: set[str] = set()
    for database in databases:
        if database == "template0":
            continue
        other = address.with_options(dbname=database)
        try:
            with other.session(limit_s=None) as connection:
                found.update(ask(connection))
        except (UnavailableError, RefusedError):
            continue
    return found
