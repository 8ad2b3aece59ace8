"""`processpilot restore`: a backup and its log, recovered into an empty folder, anywhere."""

from __future__ import annotations

import pwd
import secrets
import shlex
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from processpilot.checks.pages import check_pages
from processpilot.checks.result import Outcome
from processpilot.cli.exits import INTEGRITY
from processpilot.cli.frame import (
    DEFAULT_PLAN,
    AllowGapOption,
    JsonOption,
    PlanOption,
    errors_told,
    note,
    opened,
    out,
    print_json,
    progress_shown,
)
from processpilot.cli.key import read_key
from processpilot.clock import SystemClock
from processpilot.errors import UsageError
from processpilot.evidence.page import format_bytes
from processpilot.postgres.control import read_control
from processpilot.repository.blob import BackupId
from processpilot.repository.proofs import Proof, ProofKind, remember
from processpilot.repository.repository import Repository, open_repository
from processpilot.restore.companions import write_companions
from processpilot.restore.files import FileWriter
from processpilot.restore.finish import Recovered, recover
from processpilot.restore.plan import RestorePlan, RestoreRequest, plan_restore
from processpilot.restore.target import (
    RecoveryTarget,
    TargetKind,
    lsn_target,
    name_target,
    time_target,
    xid_target,
)
from processpilot.storage.open import StoreOptions, open_store

TextOption = Annotated[str | None, typer.Option()]


def restore(
    backup: Annotated[str, typer.Argument(help="A backup's id, or latest.")],
    target: Annotated[Path, typer.Option("--target", help="An empty or new folder.")],
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    to_time: Annotated[str | None, typer.Option(help="Stop at this moment (ISO 8601).")] = None,
    to_lsn: Annotated[str | None, typer.Option(help="Stop at this log position.")] = None,
    to_xid: Annotated[str | None, typer.Option(help="Stop at this transaction.")] = None,
    to_name: Annotated[str | None, typer.Option(help="Stop at this restore point.")] = None,
    immediate: Annotated[
        bool, typer.Option("--immediate", help="Stop as soon as the backup is consistent.")
    ] = False,
    exclusive: Annotated[
        bool, typer.Option("--exclusive", help="Stop just before the target.")
    ] = False,
    timeline: Annotated[int | None, typer.Option(help="The timeline to follow.")] = None,
    tablespace: Annotated[
        list[str] | None, typer.Option(help="OID=FOLDER, where a tablespace goes.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the operation plan, write nothing.")
    ] = False,
    repo: Annotated[
        str | None, typer.Option("--repo", help="The repository, on a machine without a plan.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", help="With --repo: the file of a key that opens it.")
    ] = None,
    superuser: Annotated[
        str, typer.Option(help="With --repo: a superuser of the cluster.")
    ] = "postgres",
    allow_gap: AllowGapOption = False,
) -> None:
    """Restore a backup, replay its log, compare what was reached, and shut down cleanly."""
    with ExitStack() as stack:
        stack.enter_context(errors_told(as_json=as_json))
        bin_dirs: tuple[Path, ...] = ()
        if key is not None and repo is None:
            raise UsageError("--key is for --repo", hint="Leave it out; the plan names the key.")
        if repo is not None:
            repository = open_repository(open_store(repo, StoreOptions()), read_key(key))
        else:
            wired = stack.enter_context(opened(plan, as_json=as_json))
            repository, bin_dirs = wired.repository, wired.bin_dirs
            superuser = wired.loaded.plan.database.superuser
        request = RestoreRequest(
            _target(to_time, to_lsn, to_xid, to_name, immediate, exclusive, timeline),
            target.absolute(),
            None if backup == "latest" else BackupId.parse(backup),
            _tablespaces(tablespace or []),
            bin_dirs,
            allow_gap,
        )
        operation = plan_restore(repository, request)
        _refuse_unknown(request, operation)
        if dry_run:
            _print_plan(operation, as_json=as_json)
            return
        done = _execute(operation, repository, superuser, as_json=as_json)
        proof = Proof(ProofKind.RESTORED, SystemClock().now(), (operation.manifest.backup_id,))
        unwritten = remember(repository, proof, secrets.randbits(32))
        if unwritten is not None:
            note(f"warning: that this backup was restored is not written down: {unwritten}")
        companions = write_companions(operation)
        _print_done(operation, done, companions, as_json=as_json)


def _target(
    to_time: str | None,
    to_lsn: str | None,
    to_xid: str | None,
    to_name: str | None,
    immediate: bool,
    exclusive: bool,
    timeline: int | None,
) -> RecoveryTarget:
    given = [
        make(text)
        for make, text in (
            (time_target, to_time),
            (lsn_target, to_lsn),
            (xid_target, to_xid),
            (name_target, to_name),
        )
        if text is not None
    ]
    if immediate:
        given.append(RecoveryTarget(TargetKind.IMMEDIATE))
    if len(given) > 1:
        raise UsageError("more than one target is given", hint="Give one of the --to options.")
    chosen = given[0] if given else RecoveryTarget(TargetKind.LATEST)
    if exclusive and chosen.value is None:
        raise UsageError(
            f"--exclusive says nothing about {chosen}",
            hint="It goes with --to-time, --to-lsn and --to-xid.",
        )
    return RecoveryTarget(chosen.kind, chosen.value, not exclusive, timeline)


def _tablespaces(texts: list[str]) -> dict[int, Path]:
    places = {}
    for text in texts:
        oid, _, folder = text.partition("=")
        if not oid.isdigit() or not folder:
            raise UsageError(f'"{text}" is not OID=FOLDER')
        places[int(oid)] = Path(folder).absolute()
    return places


def _refuse_unknown(request: RestoreRequest, plan: RestorePlan) -> None:
    unknown = sorted(set(request.tablespaces) - set(plan.tablespaces))
    if unknown:
        known = ", ".join(str(oid) for oid in plan.tablespaces) or "none"
        raise UsageError(
            f"backup {plan.manifest.backup_id} has no tablespace {unknown[0]}; it has: {known}",
            hint="Correct --tablespace OID=FOLDER.",
        )


def _execute(
    plan: RestorePlan, repository: Repository, superuser: str, *, as_json: bool
) -> Recovered:
    for warning in plan.warnings:
        note(f"warning: {warning}")
    with progress_shown(as_json=as_json) as progress:
        FileWriter(repository, plan.manifest, plan.folder, plan.tablespaces, progress).write()
        done = recover(plan, repository, superuser, SystemClock(), progress)
        checksums = read_control(plan.folder).data_checksums
        pages = check_pages(plan.folder, enabled=checksums, progress=progress)
    if pages.outcome is Outcome.FAILED:
        note(f"processpilot: {pages.actual}: {pages.detail}")
        raise typer.Exit(INTEGRITY)
    shutil.rmtree(plan.staging, ignore_errors=True)
    return done


def _document(plan: RestorePlan) -> dict[str, object]:
    return {
        "backup": str(plan.manifest.backup_id),
        "target": {"kind": str(plan.target.kind), "value": plan.target.value},
        "folder": str(plan.folder),
        "timeline": plan.chain.timeline,
        "planned_lsn": str(plan.planned_lsn),
        "window": {
            "begin_lsn": str(plan.window.begin_lsn),
            "begin_at": plan.window.begin_at,
            "end_lsn": str(plan.window.end_lsn),
            "end_at": plan.window.end_at,
        },
        "bytes": plan.bytes,
        "log_bytes": plan.log_bytes,
        "free_bytes": plan.free_bytes,
        "segments": [segment.name for segment in plan.chain.segments],
        "tablespaces": {str(oid): str(path) for oid, path in plan.tablespaces.items()},
        "warnings": list(plan.warnings),
    }


def _print_plan(plan: RestorePlan, *, as_json: bool) -> None:
    if as_json:
        print_json(_document(plan) | {"executed": False})
        return
    out("This would be done; nothing was written.")
    for name, value in (
        ("backup", str(plan.manifest.backup_id)),
        ("into", str(plan.folder)),
        ("to", f"{plan.target} on timeline {plan.chain.timeline}, at least {plan.planned_lsn}"),
        ("window", str(plan.window)),
        ("files", f"{format_bytes(plan.bytes)}, {format_bytes(plan.free_bytes)} free"),
        ("log", f"{format_bytes(plan.log_bytes)} in {len(plan.chain.segments)} segments"),
        ("with", f"PostgreSQL {plan.installation.version}"),
        *(("tablespace", f"{oid} in {path}") for oid, path in plan.tablespaces.items()),
        *(("warning", text) for text in plan.warnings),
    ):
        out(f"{name:>10}  {value}")


def _print_done(
    plan: RestorePlan, done: Recovered, companions: list[Path], *, as_json: bool
) -> None:
    if as_json:
        print_json(
            _document(plan)
            | {
                "executed": True,
                "reached_lsn": str(done.reached),
                "last_commit_at": done.last_commit_at,
                "new_timeline": done.timeline,
                "companions": [str(path) for path in companions],
            }
        )
        return
    last = "" if done.last_commit_at is None else f", last commit {done.last_commit_at}"
    out(f"restored into {done.folder}: reached {done.reached}{last}, timeline {done.timeline}")
    for path in companions:
        out(f"besides: {path}")
    out(f"start it as {_owner_of(done.folder)}, on a port that is free, with:")
    program = shlex.quote(str(plan.installation.bin_dir / "pg_ctl"))
    out(f"  {program} -D {shlex.quote(str(done.folder))} -o '-p 5433' start")


def _owner_of(folder: Path) -> str:
    """Return the account that the server has to run as."""
    uid = folder.stat().st_uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
