"""Full backup, backups after changes, and restore, beside pg_basebackup and cp -r, all synced.

    python -m bench [--scale 200] [--app-mb 1000] [--rounds 3] [--folder DIR]

Competitors run one after the other within each round, in turning order; medians and ratios are
printed. Everything lies in one folder, so all meet the same disk.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from processpilot.agent.backups import take_backup
from processpilot.agent.setup import SetupRequest, set_up
from processpilot.postgres.account import launch_for
from processpilot.postgres.binaries import Installation, installation_for
from processpilot.postgres.cluster import Postmaster, initialise, start
from processpilot.postgres.connection import ServerAddress
from processpilot.progress import silent
from processpilot.restore.files import FileWriter
from processpilot.restore.plan import RestoreRequest, plan_restore
from processpilot.restore.target import RecoveryTarget, TargetKind
from processpilot.wiring.wired import open_plan

OURS, BASEBACKUP, COPY = "processpilot", "pg_basebackup", "cp -r"
SCATTERED = (
    "update pgbench_accounts set abalance = abalance + 1"
    " where (ctid::text::point)[0]::bigint % 100 = {turn}"
    " and (ctid::text::point)[1]::int = 1"
)
CLUSTERED = (
    "update pgbench_accounts set abalance = abalance + 1"
    " where aid between {turn} * {step} + 1 and ({turn} + 1) * {step}"
)


@dataclass
class Bench:
    """One cluster, one folder, and everything measured so far in seconds."""

    folder: Path
    installation: Installation
    server: Postmaster
    scale: int
    times: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    turn: int = 0

    @property
    def data(self) -> Path:
        """The cluster's data directory."""
        return self.folder / "data"

    @property
    def plan(self) -> Path:
        """The plan of the repository in use."""
        return self.folder / "site" / "processpilot.yaml"

    @property
    def dsn(self) -> str:
        """How to reach the server."""
        return f"postgresql://postgres@/postgres?host={self.server.socket_dir}&port=5432"

    def psql(self, statement: str) -> None:
        """Execute one statement."""
        with ServerAddress.parse(self.dsn).session() as connection:
            connection.execute(statement.encode())

    def measure(self, what: str, who: str, work: Callable[[], None]) -> None:
        """Time `work` with the disk's caches written out before."""
        subprocess.run(["sync"], check=True)
        begun = time.monotonic()
        work()
        took = time.monotonic() - begun
        self.times.setdefault(what, {}).setdefault(who, []).append(took)
        sys.stderr.write(f"{what:<34} {who:<14} {took:8.2f} s\n")

    def round(self, what: str, number: int, work: dict[str, Callable[[], None]]) -> None:
        """Measure every competitor once, in an order that turns with the round."""
        names = list(work)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            self.measure(what, name, work[name])

    def new_repository(self) -> None:
        """Begin with an empty repository."""
        shutil.rmtree(self.folder / "site", ignore_errors=True)
        shutil.rmtree(self.folder / "repository", ignore_errors=True)
        self.plan.parent.mkdir()
        set_up(
            SetupRequest(
                self.plan,
                self.dsn,
                str(self.folder / "repository"),
                "bench",
                self.data,
                synchronous=False,
                heartbeat=False,
                storage={},
            )
        )

    def ours(self) -> None:
        """Take one of our backups; it is durable on return."""
        with closing(open_plan(self.plan)) as wired:
            manifest = take_backup(wired, silent)
        self.notes["stored"] = f"{manifest.stored_bytes / 1e6:.0f} MB"

    def basebackup(self) -> None:
        """Take a plain pg_basebackup, which syncs by itself."""
        target = self.folder / "basebackup"
        shutil.rmtree(target, ignore_errors=True)
        program = str(self.installation.bin_dir / "pg_basebackup")
        subprocess.run(
            [program, "-d", self.dsn, "-D", str(target), "-X", "stream", "-c", "fast"], check=True
        )

    def copy(self) -> None:
        """Copy the data directory as if nobody wrote to it, and sync."""
        self._copy(self.data, self.folder / "copy")

    def copy_basebackup(self) -> None:
        """Put the plain base backup back by copying it, and sync."""
        self._copy(self.folder / "basebackup", self.folder / "copy")

    def _copy(self, source: Path, target: Path) -> None:
        shutil.rmtree(target, ignore_errors=True)
        subprocess.run(["cp", "-r", str(source), str(target)], check=False, stderr=-3)
        subprocess.run(["sync"], check=True)

    def restore(self) -> None:
        """Write the newest backup's files; they are synced on return."""
        target = self.folder / "restored"
        with closing(open_plan(self.plan)) as wired:
            request = RestoreRequest(
                RecoveryTarget(TargetKind.LATEST), target, bin_dirs=wired.bin_dirs
            )
            plan = plan_restore(wired.repository, request)
            FileWriter(wired.repository, plan.manifest, target, {}, silent).write()

    def change(self, statement: str) -> None:
        """Change about one page in a hundred, and have it written out."""
        self.turn += 1
        step = self.scale * 100_000 // 100
        self.psql(statement.format(turn=self.turn, step=step))
        self.psql("checkpoint")


def run(bench: Bench, rounds: int) -> None:
    """Measure everything."""
    for number in range(rounds):
        bench.new_repository()
        bench.round(
            "full backup",
            number,
            {OURS: bench.ours, BASEBACKUP: bench.basebackup, COPY: bench.copy},
        )
    bench.notes["full backup"] = f"{bench.notes['stored']} stored"
    for what, statement in (
        ("backup, 1 % of pages, scattered", SCATTERED),
        ("backup, 1 % of pages, clustered", CLUSTERED),
    ):
        for number in range(rounds):
            bench.change(statement)
            bench.round(
                what,
                number,
                {OURS: bench.ours, BASEBACKUP: bench.basebackup, COPY: bench.copy},
            )
            bench.notes[what] = f"{bench.notes['stored']} stored"
    for number in range(rounds):
        shutil.rmtree(bench.folder / "restored", ignore_errors=True)
        bench.round(
            "restore of the files",
            number,
            {
                OURS: bench.restore,
                BASEBACKUP: bench.copy_basebackup,
                COPY: bench.copy,
            },
        )


def table(bench: Bench) -> str:
    """Return the medians as a Markdown table; ratios are ours to theirs."""
    lines = [
        "| What | processpilot | pg_basebackup | cp -r | to pg_basebackup | to cp | |",
        "|---|---|---|---|---|---|---|",
    ]
    for what, times in bench.times.items():
        ours, base, copy = (statistics.median(times[name]) for name in (OURS, BASEBACKUP, COPY))
        lines.append(
            f"| {what} | {ours:.1f} s | {base:.1f} s | {copy:.1f} s | {ours / base:.2f} | "
            f"{ours / copy:.2f} | {bench.notes.get(what, '')} |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--scale", type=int, default=200, help="pgbench's scale")
    parser.add_argument("--app-mb", type=int, default=1000, help="size of the application's tables")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="processpilot-bench-", dir=options.folder))
    installation = installation_for(18)
    initialise(installation, folder / "data", superuser="postgres")
    settings = {
        "port": "5432",
        "listen_addresses": "",
        "max_wal_size": "8GB",
        "shared_buffers": "512MB",
    }
    server = start(
        installation,
        folder / "data",
        settings=settings,
        log_path=folder / "server.log",
        timeout_s=30,
        superuser="postgres",
    )
    try:
        bench = Bench(folder, installation, server, options.scale)
        _fill(bench, options.app_mb)
        run(bench, options.rounds)
        size = sum(f.stat().st_size for f in bench.data.rglob("*") if f.is_file()) / 1e9
        print(
            f"{os.cpu_count()} cores, {size:.1f} GB, PostgreSQL {installation.version}, "
            f"medians of {options.rounds}\n"
        )
        print(table(bench))
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _fill(bench: Bench, app_mb: int) -> None:
    launch = launch_for(bench.data)
    program = str(bench.installation.bin_dir / "pgbench")
    host = str(bench.server.socket_dir)
    subprocess.run(
        [
            *launch.prefix,
            program,
            "-h",
            host,
            "-U",
            "postgres",
            "-i",
            "-q",
            "-s",
            str(bench.scale),
            "postgres",
        ],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    if app_mb:
        from processpilot.demo.application.seed import seed

        bench.psql("create database application")
        url = f"postgresql://postgres@/application?host={host}&port=5432"
        subprocess.run(
            [sys.executable, "-m", "processpilot.demo.application", "--migrate"],
            env={"DATABASE_URL": url, "PATH": "/usr/bin:/bin"},
            check=True,
        )
        seed(
            url,
            app_mb * 1_000_000,
            lambda _done, _total: None,
            password="bench-only",
            source=random.Random(1),
        )
    bench.psql("checkpoint")


if __name__ == "__main__":
    sys.exit(main())
