"""Copies of the database in the staging folder beside the plan: restored, proven, asked again.

A copy's folder is named by the moment it was made and the backup it was made from. Its server is a
scratch server: cut off from everything, and gone when the asking ends.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from processpilot.checks.pages import check_pages
from processpilot.errors import NotFoundError, RefusedError
from processpilot.familiar.answer import Answer, Section
from processpilot.familiar.asking import DATA_LIMIT_S
from processpilot.postgres.cluster import postmaster_of
from processpilot.postgres.control import CONTROL_PATH, read_control
from processpilot.progress import Progress
from processpilot.repository.blob import BackupId
from processpilot.repository.proofs import Proof, ProofKind, remember
from processpilot.restore.companions import write_companions
from processpilot.restore.files import FileWriter
from processpilot.restore.finish import recover
from processpilot.restore.plan import RestorePlan, RestoreRequest, plan_restore
from processpilot.restore.scratch import scratch_address, start_scratch
from processpilot.restore.target import RecoveryTarget, TargetKind, time_target
from processpilot.runbook.state import Verdict
from processpilot.steps.database import verify_data
from processpilot.wiring.wired import Wired

FOLDER = "staging"
_COPY = re.compile(r"\d{8}T\d{6}Z-of-(\d{8}T\d{6}Z-[0-9a-f]{8})")


def plan_copy(wired: Wired, backup: BackupId | None, to_time: str | None) -> RestorePlan:
    """Return the operation plan of a new copy; nothing is written yet.

    The errors are those of `plan_restore`.
    """
    ids = wired.repository.backup_ids()
    if not ids:
        raise NotFoundError(
            f"no backup in {wired.repository.store.location}",
            hint="Run `processpilot backup create`.",
        )
    target = RecoveryTarget(TargetKind.LATEST) if to_time is None else time_target(to_time)
    first = plan_restore(
        wired.repository,
        RestoreRequest(target, _place(wired) / "new", backup, bin_dirs=wired.bin_dirs),
    )
    chosen = first.manifest.backup_id
    folder = _place(wired) / f"{wired.clock.now():%Y%m%dT%H%M%SZ}-of-{chosen}"
    return plan_restore(
        wired.repository, RestoreRequest(target, folder, chosen, bin_dirs=wired.bin_dirs)
    )


def make_copy(plan: RestorePlan, wired: Wired, progress: Progress) -> Answer:
    """Return what the proof of the new copy found; the copy stays, and no server runs on it."""
    # The server's account has to pass through; the copy itself is closed to others.
    _place(wired).mkdir(mode=0o711, exist_ok=True)
    FileWriter(wired.repository, plan.manifest, plan.folder, plan.tablespaces, progress).write()
    superuser = wired.loaded.plan.database.superuser
    recover(plan, wired.repository, superuser, wired.clock, progress)
    write_companions(plan)
    answer = _prove(plan, wired, progress)
    if answer.verdict is Verdict.PASSED:
        proof = Proof(ProofKind.RESTORED, wired.clock.now(), (plan.manifest.backup_id,))
        remember(wired.repository, proof, wired.tag())
    return answer


def ask_newest_copy(wired: Wired, progress: Progress) -> Answer:
    """Return what reading all data of the newest copy found; NotFoundError when there is none."""
    folder, backup = _newest(_place(wired))
    if (pid := postmaster_of(folder)) is not None:
        raise RefusedError(
            f"a server (pid {pid}) runs in {folder}",
            hint="Stop it, or ask it yourself; a running server is left alone.",
        )
    request = RestoreRequest(
        RecoveryTarget(TargetKind.LATEST),
        folder,
        backup,
        bin_dirs=wired.bin_dirs,
        allow_gap=True,
    )
    plan = plan_restore(wired.repository, request, resuming=True)
    return _prove(plan, wired, progress)


def _prove(plan: RestorePlan, wired: Wired, progress: Progress) -> Answer:
    enabled = read_control(plan.folder).data_checksums
    pages = check_pages(plan.folder, enabled=enabled, progress=progress)
    superuser = wired.loaded.plan.database.superuser
    server = start_scratch(plan, {}, superuser)
    try:
        data = verify_data(scratch_address(server, superuser), wired.clock, DATA_LIMIT_S)
    finally:
        server.stop()
        shutil.rmtree(plan.staging, ignore_errors=True)
    return Answer([Section("staging copy", [pages, *data])], str(plan.folder))


def _newest(place: Path) -> tuple[Path, BackupId]:
    """Return the newest copy that was completed: its control file is written last."""
    found = [] if not place.is_dir() else sorted(place.iterdir(), reverse=True)
    for folder in found:
        named = _COPY.fullmatch(folder.name)
        if named is not None and (folder / CONTROL_PATH).exists():
            return folder, BackupId.parse(named[1])
    raise NotFoundError(
        f"no copy in {place}",
        hint="Make one: processpilot as restore.sh postgresql latest --target=staging",
    )


def _place(wired: Wired) -> Path:
    return wired.loaded.resolve(FOLDER)
