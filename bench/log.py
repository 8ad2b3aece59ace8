"""Replaying log: fetched from the repository, beside the same segments copied from a folder."""

from __future__ import annotations

import shutil
import time
from contextlib import closing
from pathlib import Path

from bench.contenders import OURS
from bench.contest import Contest
from processpilot.clock import SystemClock
from processpilot.postgres.cluster import start
from processpilot.postgres.lsn import Lsn
from processpilot.progress import silent
from processpilot.repository.wal import WalArchive
from processpilot.restore.files import FileWriter
from processpilot.restore.finish import recover
from processpilot.restore.plan import RestorePlan, RestoreRequest, plan_restore
from processpilot.restore.target import RecoveryTarget, TargetKind
from processpilot.wiring.wired import Wired, open_plan

_LATEST = RecoveryTarget(TargetKind.LATEST)
COPY = "cp from a folder"


def replay(contest: Contest, rounds: int, log_bytes: int) -> None:
    """The replay of `log_bytes` of log, promotion and shutdown included."""
    row = f"replay of {log_bytes / 1e9:.1f} GB of log"
    cluster, ours = contest.cluster, contest.ours
    ours.renew()
    with ours.up():
        ours.wait_for_backup()
        begin = Lsn.parse(str(cluster.sql("select pg_current_wal_lsn()::text")))
        while int(cluster.sql(f"select (pg_current_wal_lsn() - '{begin}')::bigint")) < log_bytes:
            cluster.pgbench("-c", "4", "-j", "2", "-t", "5000", "-n")
            cluster.sql("update events set turn = turn + 1 where id % 50 = 1")
        cluster.sql("select pg_switch_wal()")
        end = Lsn.parse(str(cluster.sql("select pg_current_wal_lsn()::text")))
        ours.wait_for_log(end)
    with closing(open_plan(ours.plan)) as wired:
        for number in range(rounds):
            contenders = {
                OURS: lambda: _ours(contest, wired, row),
                COPY: lambda: _copied(contest, wired, row),
            }
            for name in list(contenders)[:: 1 if number % 2 else -1]:
                contenders[name]()


def _restored(contest: Contest, wired: Wired) -> RestorePlan:
    contest.sheet.tidy()
    folder = contest.cluster.folder / "targets" / "replayed"
    plan = plan_restore(wired.repository, RestoreRequest(_LATEST, folder, bin_dirs=wired.bin_dirs))
    FileWriter(wired.repository, plan.manifest, folder, plan.tablespaces, silent).write()
    return plan


def _ours(contest: Contest, wired: Wired, row: str) -> None:
    plan = _restored(contest, wired)
    begun = time.monotonic()
    recover(plan, wired.repository, "postgres", SystemClock(), silent)
    contest.sheet.note_seconds(row, OURS, time.monotonic() - begun)
    shutil.rmtree(plan.staging, ignore_errors=True)


def _copied(contest: Contest, wired: Wired, row: str) -> None:
    """Do the same with restore_command = cp, the segments lying decrypted in a folder."""
    plan = _restored(contest, wired)
    log = contest.cluster.folder / "targets" / "log"
    log.mkdir(mode=0o755)
    archive = WalArchive(wired.repository, plan.manifest.cluster.wal_segment_bytes)
    for segment in plan.chain.segments:
        (log / segment.name).write_bytes(archive.read_segment(segment))
    (plan.folder / "recovery.signal").touch(mode=0o600)
    owner = plan.folder.stat()
    shutil.chown(plan.folder / "recovery.signal", owner.st_uid, owner.st_gid)
    begun = time.monotonic()
    server = start(
        contest.cluster.installation,
        plan.folder,
        settings={
            "restore_command": f"cp {log}/%f %p",
            "listen_addresses": "",
            "archive_mode": "off",
            "synchronous_standby_names": "",
            "shared_buffers": "512MB",
        },
        log_path=contest.cluster.folder / "replay.log",
        timeout_s=600,
        superuser="postgres",
    )
    _wait_promoted(plan.folder)
    server.stop()
    contest.sheet.note_seconds(row, COPY, time.monotonic() - begun)


def _wait_promoted(folder: Path) -> None:
    while (folder / "recovery.signal").exists():
        time.sleep(0.02)
