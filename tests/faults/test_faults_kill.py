"""Backup, prune, expiry and log streaming killed at any moment, under load: nothing is lost.

PROCESSPILOT_NIGHTLY=1 kills 210 times and restores every backup that is listed afterwards.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import yaml
from protected_site import SUPERUSER, Site, SiteMaker, wait_until
from site_acts import program, streaming, wait_stored

from processpilot.checks.database import DatabaseChecks
from processpilot.checks.result import Outcome
from processpilot.clock import SystemClock
from processpilot.postgres.binaries import find_installations
from processpilot.progress import silent
from processpilot.repository.blob import BackupId
from processpilot.restore.files import FileWriter
from processpilot.restore.finish import recover
from processpilot.restore.plan import RestoreRequest, plan_restore
from processpilot.restore.scratch import scratch_address, start_scratch
from processpilot.restore.target import RecoveryTarget, TargetKind

NIGHTLY = bool(os.environ.get("PROCESSPILOT_NIGHTLY"))
POINTS = {"backup": 90, "up": 60, "prune": 60} if NIGHTLY else {"backup": 11, "up": 7, "prune": 8}
RESTORED = 1000 if NIGHTLY else 2
BALANCES = (
    "select (select sum(abalance) from pgbench_accounts), (select sum(tbalance) from "
    "pgbench_tellers), (select sum(bbalance) from pgbench_branches), (select sum(delta) from "
    "pgbench_history)"
)


def pgbench() -> Path:
    """Return the program, which not every installation brings."""
    for installation in find_installations():
        if (installation.bin_dir / "pgbench").exists():
            return installation.bin_dir / "pgbench"
    pytest.skip("no installation has pgbench")


@contextmanager
def load(site: Site) -> Iterator[None]:
    """Run pgbench's own transactions for the length of the block."""
    there = [str(pgbench()), "-h", str(site.sockets), "-p", "5432", "-U", SUPERUSER]
    subprocess.run([*there, "-i", "-q", "-s", "2", "postgres"], check=True, capture_output=True)
    process = subprocess.Popen(
        [*there, "-n", "-c", "2", "-R", "150", "-T", "3600", "postgres"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def command(site: Site, act: str) -> list[str]:
    """Return the command line of an act; a prune lets go of backups first."""
    words = {"backup": ["backup", "create"], "up": ["up"]}.get(act) or ["backup", act, "--yes"]
    return [sys.executable, "-m", "processpilot", *words, "--plan", str(site.plan)]


def killed(site: Site, act: str, after_s: float) -> bool:
    """Start the act and kill it, its workers not; say whether it still ran."""
    process = subprocess.Popen(
        command(site, act), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(after_s)
    ran = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    return ran


def proven(site: Site, backup: BackupId, folder: Path, target: TargetKind) -> None:
    """Restore a backup and examine all of it: checks, every row, and the balances of TPC-B."""
    with closing(site.wired()) as wired:
        request = RestoreRequest(
            RecoveryTarget(target), folder, backup_id=backup, bin_dirs=wired.bin_dirs
        )
        plan = plan_restore(wired.repository, request)
        FileWriter(wired.repository, plan.manifest, folder, plan.tablespaces, silent).write()
        recover(plan, wired.repository, SUPERUSER, SystemClock(), silent)
    server = start_scratch(plan, {}, SUPERUSER)
    try:
        address = scratch_address(server, SUPERUSER)
        checks = DatabaseChecks(address, SystemClock(), 600.0).run()
        assert [check for check in checks if check.outcome is Outcome.FAILED] == []
        with address.session() as connection:
            sums = connection.execute(BALANCES.encode()).fetchone()
            assert sums is not None
            assert len({int(str(value or 0)) for value in sums}) == 1, sums
            for table in ("accounts", "history", "tellers", "branches"):
                connection.execute(f"copy pgbench_{table} to '/dev/null'".encode())
    finally:
        server.stop()


def test_killed_anywhere_nothing_is_lost(make_site: SiteMaker, tmp_path: Path) -> None:
    """Every listed backup restores, and the log reaches the last transaction."""
    source = random.Random(seed := random.SystemRandom().getrandbits(32))
    print(f"seed {seed}")
    site = make_site(18)
    document = yaml.safe_load(site.plan.read_text())
    document["backup"]["retention"] = {"last": 3, "daily": 0, "weekly": 0, "monthly": 0}
    site.plan.write_text(yaml.safe_dump(document))
    tally = dict.fromkeys(POINTS, 0)
    with load(site):
        begun = time.monotonic()
        assert program(site, "backup", "create").returncode == 0
        took = time.monotonic() - begun
        acts = [act for act, count in POINTS.items() for _ in range(count)]
        source.shuffle(acts)
        for act in acts:
            tally[act] += killed(site, act, source.uniform(0.2, took))
            if act == "prune":
                expired = program(site, "backup", "expire", "--yes")
                assert expired.returncode == 0, expired.stderr
        with streaming(site) as agent:
            last = program(site, "backup", "create")
            assert last.returncode == 0, last.stderr
            site.run("create table the_end (id int)", "insert into the_end values (1)")
            wait_stored(site, agent)
    print(f"killed while they ran: {tally}")
    assert all(tally.values()), tally
    verified = program(site, "backup", "verify", "--deep")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    with closing(site.wired()) as wired:
        backups = wired.repository.backup_ids()
    assert len(backups) >= 2
    for number, backup in enumerate(backups[-RESTORED:]):
        proven(site, backup, tmp_path / f"immediate-{number}", TargetKind.IMMEDIATE)
    proven(site, backups[-1], tmp_path / "latest", TargetKind.LATEST)
    wait_until(lambda: not workers(), "workers of killed commands to end")


def workers() -> list[str]:
    """Return worker processes of any command that are still there."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if b"processpilot.crew" in words and (entry / "stat").read_text().split()[3] == "1":
            found.append(entry.name)
    return found
