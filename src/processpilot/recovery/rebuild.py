"""Restore beside, replay and prove: everything that happens before production is touched."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from zlib import crc32

from processpilot.backup.heartbeat import FILE_NAME, last_acknowledged, newest_heartbeat
from processpilot.checks.database import DatabaseChecks
from processpilot.checks.pages import check_pages
from processpilot.checks.result import passed_if
from processpilot.errors import IntegrityError, NotFoundError, ProcessPilotError, RefusedError
from processpilot.journal.event import JsonValue
from processpilot.postgres.connection import ServerAddress, database_of
from processpilot.postgres.control import read_control
from processpilot.postgres.lsn import Lsn
from processpilot.recovery.ground import Ground, checks_json, require_passed
from processpilot.recovery.ledger import count_lost
from processpilot.repository.blob import BackupId
from processpilot.repository.manifest import Manifest
from processpilot.repository.proofs import Proof, ProofKind, remember
from processpilot.restore.files import FileWriter
from processpilot.restore.finish import end_leftovers, recover
from processpilot.restore.plan import (
    RestorePlan,
    RestoreRequest,
    plan_restore,
)
from processpilot.restore.scratch import scratch_address, start_scratch
from processpilot.restore.staging import staging_of
from processpilot.restore.target import RecoveryTarget, TargetKind
from processpilot.runbook.action import NotHappened, ProbeAnswer, Result, StepContext
from processpilot.runbook.state import RunState

_PROVE_LIMIT_S = 600.0

# How long before the last passed probe the last heartbeat may have been acknowledged.
_BEAT_SLACK_S = 5.0


def folder_beside(data_dir: Path, run_id: str) -> Path:
    """Return where a run builds the recovered cluster."""
    return data_dir.with_name(f"{data_dir.name}.recovered-{run_id}")


def required_result(run: RunState, action: str) -> Result:
    """Return an earlier step's result; RefusedError when that step did not pass."""
    found = run.result_of(action)
    if found is None:
        raise RefusedError(
            f'this step needs the result of "{action}", which did not pass in this run',
            hint="A step that others build on cannot be skipped; abort and begin a new run.",
        )
    return found


def discard_copy(data_dir: Path, run: RunState) -> None:
    """Remove the copy that an aborted run built and nobody needs; whatever lives in it is ended."""
    folder = folder_beside(data_dir, run.run_id)
    spaces = (run.result_of("restore") or {}).get("tablespaces", {})
    if folder.exists():
        end_leftovers(folder)
    for place in (folder, staging_of(folder), *(Path(str(path)) for path in spaces.values())):
        shutil.rmtree(place, ignore_errors=True)


class Restore:
    """Plans the restore and writes the backup's files into a folder beside the data directory."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def probe(self, context: StepContext) -> ProbeAnswer:
        """A half-written folder of this run is removed and written anew."""
        return NotHappened()

    def execute(self, context: StepContext) -> Result:
        """Return the operation plan that was carried out.

        A backup that fails authentication or whose log has a hole is passed over for the next
        older one, unless the run names its backup. What was wrong with it is in the result.
        """
        ground = self._ground
        named = context.run.details.get("backup")
        failures: list[ProcessPilotError] = []
        damaged: list[str] = []
        for backup in self._candidates(named):
            try:
                plan = self._restore(backup, context)
            except (IntegrityError, NotFoundError) as error:
                failures.append(error)
                damaged.append(f"backup {backup} cannot be restored: {error.message}")
                continue
            return _summary(plan, ground.repository.store.location, damaged)
        raise failures[0]

    def _candidates(self, named: str | None) -> list[BackupId]:
        """Return the backups to try, newest first."""
        if named is not None:
            return [BackupId.parse(named)]
        found = self._ground.repository.backup_ids()[::-1]
        if not found:
            raise NotFoundError(f"no backup in {self._ground.repository.store.location}")
        return found

    def _restore(self, backup: BackupId, context: StepContext) -> RestorePlan:
        ground = self._ground
        folder = folder_beside(ground.data_dir, context.run.run_id)
        spaces = self._tablespaces(ground.repository.manifest(backup), context.run.run_id)
        self._clear(folder, spaces)
        request = RestoreRequest(
            RecoveryTarget(TargetKind.LATEST),
            folder,
            backup_id=backup,
            tablespaces=spaces,
            bin_dirs=ground.bin_dirs,
            allow_gap=bool(context.run.details.get("allow_gap")),
        )
        plan = plan_restore(ground.repository, request)
        FileWriter(
            ground.repository, plan.manifest, folder, plan.tablespaces, context.progress
        ).write()
        return plan

    def _tablespaces(self, manifest: Manifest, run_id: str) -> dict[int, Path]:
        """Return new places beside the old ones, so that the swap can rename them."""
        return {
            space.oid: folder_beside(Path(space.location), run_id)
            for space in manifest.tablespaces
            if not space.inside
        }

    def _clear(self, folder: Path, spaces: Mapping[int, Path]) -> None:
        """Remove what an interrupted attempt of this very run left."""
        if folder.exists():
            end_leftovers(folder)
        for place in (folder, staging_of(folder), *spaces.values()):
            if place.exists():
                shutil.rmtree(place)


def _summary(plan: RestorePlan, location: str, damaged: Sequence[str]) -> Result:
    end_at = plan.window.end_at
    return {
        "folder": str(plan.folder),
        "repository": location,
        "backup": {
            "id": str(plan.manifest.backup_id),
            "bytes": plan.manifest.source_bytes,
            "stored_bytes": plan.manifest.stored_bytes,
            "begin_at": plan.manifest.begin_at.isoformat(),
        },
        "target": {
            "kind": str(plan.target.kind),
            "value": plan.target.value,
            "timeline": plan.chain.timeline,
            "planned_lsn": str(plan.planned_lsn),
        },
        "window_begin_at": plan.manifest.stop_at.isoformat(),
        "window_end_at": None if end_at is None else end_at.isoformat(),
        "log_bytes": plan.log_bytes,
        "tablespaces": {str(oid): str(path) for oid, path in plan.tablespaces.items()},
        "warnings": [*damaged, *plan.warnings],
        "gap": None if plan.chain.missing is None else plan.chain.missing.name,
    }


class _OnRestored:
    """What replay and proof share: the operation plan of the restore, resolved again."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def _plan(self, run: RunState) -> RestorePlan:
        """Return the plan that the restore step fixed; RefusedError when it would differ now."""
        result = required_result(run, "restore")
        backup, target = result["backup"], result["target"]
        assert isinstance(backup, dict) and isinstance(target, dict)
        spaces = result["tablespaces"]
        assert isinstance(spaces, dict)
        request = RestoreRequest(
            RecoveryTarget(TargetKind.LATEST, timeline=int(str(target["timeline"]))),
            Path(str(result["folder"])),
            backup_id=BackupId.parse(str(backup["id"])),
            tablespaces={int(oid): Path(str(path)) for oid, path in spaces.items()},
            bin_dirs=self._ground.bin_dirs,
            allow_gap=True,
        )
        plan = plan_restore(self._ground.repository, request, resuming=True)
        planned = Lsn.parse(str(target["planned_lsn"]))
        if plan.planned_lsn < planned:
            raise RefusedError(
                f"the repository's log now ends at {plan.planned_lsn}, planned was {planned}",
                hint="Run `processpilot backup verify`; begin a new run when the log is back.",
            )
        return plan


class Replay(_OnRestored):
    """Replays the log, compares what was reached with the plan, and ends recovery."""

    def probe(self, context: StepContext) -> ProbeAnswer:
        """Whoever repeats it finds how far the earlier attempt got."""
        return NotHappened()

    def execute(self, context: StepContext) -> Result:
        """Return what was reached and the new timeline."""
        ground = self._ground
        plan = self._plan(context.run)
        done = recover(plan, ground.repository, ground.superuser, ground.clock, context.progress)
        last = done.last_commit_at
        return {
            "planned_lsn": str(plan.planned_lsn),
            "reached_lsn": str(done.reached),
            "timeline": done.timeline,
            "last_commit_at": None if last is None else last.astimezone(UTC).isoformat(),
        }


class Prove(_OnRestored):
    """Examines the recovered data on an isolated server, and counts what was lost."""

    def probe(self, context: StepContext) -> ProbeAnswer:
        """Examining again is safe."""
        return NotHappened()

    def execute(self, context: StepContext) -> Result:
        """Return the checks and the loss; StepFailedError when a check does not pass."""
        ground = self._ground
        plan = self._plan(context.run)
        replay = required_result(context.run, "replay")
        end_leftovers(plan.folder)
        control = read_control(plan.folder)
        checks = [
            passed_if(
                "system identifier",
                control.system_identifier == plan.manifest.cluster.system_identifier,
                str(plan.manifest.cluster.system_identifier),
                str(control.system_identifier),
            ),
            passed_if(
                "reached what was planned",
                Lsn.parse(str(replay["reached_lsn"])) >= Lsn.parse(str(replay["planned_lsn"])),
                f"at least {replay['planned_lsn']}",
                str(replay["reached_lsn"]),
            ),
            check_pages(
                plan.folder,
                enabled=control.data_checksums,
                progress=context.progress,
            ),
        ]
        limit_s = context.spec.timebox_s or _PROVE_LIMIT_S
        server = start_scratch(plan, {}, ground.superuser)
        try:
            address = scratch_address(server, ground.superuser)
            reader = address.with_options(options="-c default_transaction_read_only=on")
            checks += DatabaseChecks(reader, ground.clock, limit_s).run()
            loss = self._loss(reader.with_options(dbname=database_of(ground.address)), context.run)
        finally:
            server.stop()
        require_passed("the recovered data", checks, **loss)
        unwritten = self._remember(plan.manifest.backup_id, context.run.run_id)
        return {"checks": checks_json(checks), **loss, "proof_not_written": unwritten}

    def _remember(self, backup: BackupId, run_id: str) -> str | None:
        ground = self._ground
        proof = Proof(ProofKind.RECOVERED, ground.clock.now(), (backup,), run_id)
        return remember(ground.repository, proof, crc32(run_id.encode()))

    def _loss(self, address: ServerAddress, run: RunState) -> dict[str, JsonValue]:
        """Measure data loss from what the recovered database holds."""
        ground = self._ground
        before = last_acknowledged(ground.loaded.state_dir / FILE_NAME)
        found: datetime | None = None
        try:
            found = newest_heartbeat(address)
        except NotFoundError:
            pass
        window, basis = None, None
        if _holds_all_old_log(run):
            window, basis = 0.0, "old-log"
        elif before is not None and found is not None and _beat_to_the_end(before, run):
            window, basis = max(0.0, (before - found).total_seconds()), "heartbeat"
        loss: dict[str, JsonValue] = {
            "heartbeat_acknowledged_at": _iso(before),
            "heartbeat_found_at": _iso(found),
            "data_loss_window_s": window,
            "data_loss_basis": basis,
            "acknowledged_transactions": None,
            "lost_transactions": None,
        }
        ledger = ground.loaded.plan.ledger
        if ledger is not None:
            count = count_lost(ledger, ground.loaded, address)
            loss["acknowledged_transactions"] = count.acknowledged
            loss["lost_transactions"] = count.lost
        return loss


def _holds_all_old_log(run: RunState) -> bool:
    """Whether the old server's own log was found to its end, and all of it was replayed."""
    drain, replay = run.result_of("drain") or {}, run.result_of("replay") or {}
    end, reached = drain.get("old_log_end"), replay.get("reached_lsn")
    if end is None or reached is None:
        return False
    return Lsn.parse(str(end)) <= Lsn.parse(str(reached))


def _beat_to_the_end(before: datetime, run: RunState) -> bool:
    """Whether heartbeats were written until the failure; otherwise they say nothing about it.

    Somebody has to have seen the database well at the end: a heartbeat that stopped long before
    only tells when the agent did.
    """
    text = run.details.get("last_passed_at")
    if text is None:
        return False
    return (datetime.fromisoformat(str(text)) - before).total_seconds() <= _BEAT_SLACK_S


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()
