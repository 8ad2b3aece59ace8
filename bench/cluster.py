"""The cluster that is backed up: pgbench's tables, rows of JSON that compress badly, and the sample
application's tables."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from processpilot.demo.application.seed import seed
from processpilot.postgres.account import launch_for
from processpilot.postgres.binaries import Installation
from processpilot.postgres.cluster import Postmaster, initialise, start
from processpilot.postgres.connection import ServerAddress

_BYTES_PER_EVENT = 700

SCATTERED = (
    "update pgbench_accounts set abalance = abalance + 1"
    " where (ctid::text::point)[0]::bigint % 100 = {turn} and (ctid::text::point)[1]::int = 1",
    "update events set turn = turn + 1"
    " where (ctid::text::point)[0]::bigint % 100 = {turn} and (ctid::text::point)[1]::int = 1",
)
CLUSTERED = (
    "update pgbench_accounts set abalance = abalance + 1"
    " where aid between {turn} * {accounts} / 100 + 1 and ({turn} + 1) * {accounts} / 100",
    "update events set turn = turn + 1"
    " where id between {turn} * {events} / 100 + 1 and ({turn} + 1) * {events} / 100",
)


@dataclass(frozen=True, slots=True)
class Size:
    """How much of what: pgbench's scale (15 MB each), JSON and application tables in bytes."""

    scale: int
    json_bytes: int
    app_bytes: int


@dataclass
class Cluster:
    """A running server under `folder`, filled."""

    folder: Path
    installation: Installation
    server: Postmaster
    size: Size
    turn: int = 0

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.folder / "data"

    @property
    def host(self) -> str:
        """The folder of the server's socket."""
        return str(self.server.socket_dir)

    @property
    def dsn(self) -> str:
        """How to reach the server."""
        return f"postgresql://postgres@/postgres?host={self.host}&port=5432"

    @property
    def events(self) -> int:
        """How many rows of JSON there are."""
        return self.size.json_bytes // _BYTES_PER_EVENT

    def sql(self, statement: str) -> object:
        """Execute one statement; return the first value of its first row, if it has any."""
        with ServerAddress.parse(self.dsn).session(limit_s=None) as connection:
            cursor = connection.execute(statement.encode())
            row = cursor.fetchone() if cursor.description else None
            return None if row is None else row[0]

    def change(self, statements: tuple[str, ...]) -> None:
        """Change about one page in a hundred, another one each time, and have it written out."""
        self.turn += 1
        for statement in statements:
            values = {
                "turn": self.turn % 100,
                "accounts": self.size.scale * 100_000,
                "events": self.events,
            }
            self.sql(statement.format(**values))
        self.sql("checkpoint")

    def pgbench(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run pgbench on the cluster and return what it said."""
        program = str(self.installation.bin_dir / "pgbench")
        prefix = launch_for(self.data).prefix
        return subprocess.run(
            [*prefix, program, "-h", self.host, "-U", "postgres", *words, "postgres"],
            check=True,
            capture_output=True,
            text=True,
        )

    def fill(self) -> None:
        """Make the tables."""
        self.pgbench("-i", "-q", "-s", str(self.size.scale))
        self.sql("create table events (id bigint primary key, turn int, body jsonb)")
        self.sql(
            "insert into events select g, 0, jsonb_build_object('id', g, 'kind', g % 17,"
            " 'at', now(), 'parts', to_jsonb(array(select md5(random()::text || g || n)"
            f" from generate_series(1, 15) n))) from generate_series(1, {self.events}) g"
        )
        if self.size.app_bytes:
            self._fill_application()
        self.sql("vacuum analyze")
        self.sql("checkpoint")

    def _fill_application(self) -> None:
        self.sql("create database application")
        url = f"postgresql://postgres@/application?host={self.host}&port=5432"
        subprocess.run(
            [sys.executable, "-m", "processpilot.demo.application", "--migrate"],
            env={"DATABASE_URL": url, "PATH": "/usr/bin:/bin"},
            check=True,
        )
        source = random.Random(1)
        size = self.size.app_bytes
        seed(url, size, lambda _done, _total: None, password="bench-only", source=source)

    def data_bytes(self) -> int:
        """Return the size of the data directory's files, the log left out."""
        return folder_bytes(self.data) - folder_bytes(self.data / "pg_wal")


def folder_bytes(folder: Path) -> int:
    """Return the size of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@contextmanager
def running(
    folder: Path, installation: Installation, size: Size, settings: dict[str, str]
) -> Iterator[Cluster]:
    """Yield a filled cluster and remove everything afterwards."""
    initialise(installation, folder / "data", superuser="postgres")
    everything = {
        "port": "5432",
        "listen_addresses": "",
        "max_wal_size": "8GB",
        "shared_buffers": "512MB",
        **settings,
    }
    server = start(
        installation,
        folder / "data",
        settings=everything,
        log_path=folder / "server.log",
        timeout_s=30,
        superuser="postgres",
    )
    try:
        cluster = Cluster(folder, installation, server, size)
        cluster.fill()
        yield cluster
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
