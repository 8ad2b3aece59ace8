"""`processpilot backup`: create, list, show, verify, pin, unpin, expire, prune."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated

import typer

from processpilot.agent.backups import take_backup
from processpilot.cli.backup_freeing import expire, prune
from processpilot.cli.exits import INTEGRITY
from processpilot.cli.frame import (
    DEFAULT_PLAN,
    JsonOption,
    PlanOption,
    note,
    opened,
    out,
    person,
    print_json,
    progress_shown,
    table,
)
from processpilot.errors import IntegrityError, NotFoundError
from processpilot.evidence.page import format_bytes, format_duration
from processpilot.repository.blob import BackupId
from processpilot.repository.kept import Keeping, keep_backup, read_keepings, release_backup
from processpilot.repository.manifest import Manifest
from processpilot.repository.proofs import Proof, ProofKind, last_proofs, read_proofs, remember
from processpilot.repository.verify import Verification, verify_repository
from processpilot.wiring.wired import Wired

app = typer.Typer(help="Base backups.", no_args_is_help=True)


@app.command()
def create(
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    through_protocol: Annotated[
        bool,
        typer.Option("--protocol", help="Read through the replication protocol, not the files."),
    ] = False,
    rate_limit: Annotated[
        float | None,
        typer.Option("--rate-limit", min=0.001, help="Read at most so many megabytes a second."),
    ] = None,
) -> None:
    """Take a base backup now. It stands alone: its log is stored with it."""
    with opened(plan, as_json=as_json) as wired:
        begun = wired.clock.monotonic()
        with progress_shown(as_json=as_json) as progress:
            manifest = take_backup(
                wired, progress, through_protocol=through_protocol, rate_limit_mb_s=rate_limit
            )
        took = wired.clock.monotonic() - begun
    if as_json:
        print_json(_summary(manifest) | {"duration_s": round(took, 3)})
        return
    out(
        f"backup {manifest.backup_id}: {format_bytes(manifest.source_bytes)} in "
        f"{manifest.file_count} files, {format_bytes(manifest.stored_bytes)} newly stored, "
        f"{format_duration(took)}"
    )
    for page in manifest.bad_pages:
        out(f"WARNING: the source's page {page} has a wrong checksum")
    for path in manifest.missing_files:
        out(f"WARNING: the source lacks {path}, the file of a relation that the catalogs name")


@app.command("list")
def list_backups(plan: PlanOption = DEFAULT_PLAN, as_json: JsonOption = False) -> None:
    """List the backups, oldest first."""
    with opened(plan, as_json=as_json) as wired:
        manifests = wired.repository.manifests()
        proofs, keepings = _remembered(wired)
    if as_json:
        print_json(
            {
                "backups": [
                    _summary(m)
                    | {
                        "proven": proofs.get(m.backup_id, {}),
                        "pinned": keepings.get(m.backup_id),
                    }
                    for m in manifests
                ]
            }
        )
        return
    rows = [
        (
            str(m.backup_id),
            f"{m.end_at:%Y-%m-%d %H:%M:%S}",
            format_bytes(m.source_bytes),
            format_bytes(m.stored_bytes),
            _strongest(proofs.get(m.backup_id, {}))
            + (" (pinned)" if m.backup_id in keepings else ""),
        )
        for m in manifests
    ]
    table(rows, ("BACKUP", "ENDED (UTC)", "SIZE", "STORED", "LAST PROVEN"))


@app.command()
def show(
    backup: Annotated[str, typer.Argument(help="A backup's id, or latest.")],
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
) -> None:
    """Show everything recorded of one backup."""
    with opened(plan, as_json=as_json) as wired:
        manifest = wired.repository.manifest(_named(wired, backup))
        every_proof, keepings = _remembered(wired)
        proofs, keeping = every_proof.get(manifest.backup_id, {}), keepings.get(manifest.backup_id)
    if as_json:
        document = manifest.model_dump(mode="json", exclude={"directories", "plan"})
        print_json(document | {"proven": proofs, "pinned": keeping})
        return
    facts = manifest.cluster
    for name, value in (
        ("backup", str(manifest.backup_id)),
        ("taken", f"{manifest.begin_at:%Y-%m-%d %H:%M:%S} to {manifest.end_at:%H:%M:%S} UTC"),
        ("through", manifest.method),
        ("compared with", str(manifest.parent or "nothing")),
        ("cluster", f"{facts.system_identifier}, PostgreSQL {facts.server_version}"),
        ("log", f"timeline {manifest.timeline}, {manifest.start_lsn} to {manifest.stop_lsn}"),
        ("size", f"{format_bytes(manifest.source_bytes)} in {manifest.file_count} files"),
        ("newly stored", format_bytes(manifest.stored_bytes)),
        ("databases", ", ".join(facts.databases)),
        ("extensions", ", ".join(facts.extensions) or "none"),
        ("tablespaces", ", ".join(space.location for space in manifest.tablespaces) or "none"),
        ("checksums", "on" if facts.data_checksums else "off"),
        ("bad pages", str(len(manifest.bad_pages))),
        ("by", manifest.program),
        *(("proven", f"{kind}, {at:%Y-%m-%d %H:%M:%S} UTC") for kind, at in proofs.items()),
        *([] if proofs else [("proven", "nothing yet")]),
        *([("pinned", f"by {keeping.by}: {keeping.why}")] if keeping else []),
    ):
        out(f"{name:>13}  {value}")


@app.command()
def verify(
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    backup: Annotated[
        str | None, typer.Option("--backup", help="Only this backup, or latest.")
    ] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also decompress every chunk and compare its name.")
    ] = False,
) -> None:
    """Read back everything stored; status 7 when a byte is wrong or missing."""
    with opened(plan, as_json=as_json) as wired:
        only = None if backup is None else [_named(wired, backup)]
        with progress_shown(as_json=as_json) as progress:
            found = verify_repository(wired.repository, only, deep=deep, progress=progress)
        wired.journal.append(
            "backups", "backups-verified", {"intact": found.intact, "bytes": found.bytes}
        )
        unwritten = _remember(wired, only or wired.repository.backup_ids(), found, deep=deep)
    if as_json:
        print_json({"intact": found.intact, **_plain_verification(found)})
    else:
        for finding in found.findings:
            harmed = ", ".join(str(b) for b in finding.backups) or "no backup"
            out(f"DAMAGED  {finding.place}: {finding.message} (harms: {harmed})")
        out(
            f"{'intact' if found.intact else 'NOT intact'}: {found.backups} backups, "
            f"{found.packs} packs, {found.segments} segments, {format_bytes(found.bytes)} read"
        )
    if unwritten is not None:
        note(f"warning: what was verified is not written down: {unwritten}")
    if not found.intact:
        raise typer.Exit(INTEGRITY)


def _remember(
    wired: Wired, backups: Sequence[BackupId], found: Verification, *, deep: bool
) -> str | None:
    """Write down which backups are intact; return why that could not be done, or None."""
    harmed = {backup for finding in found.findings for backup in finding.backups}
    intact = tuple(backup for backup in backups if backup not in harmed)
    if not intact or any(not finding.backups for finding in found.findings):
        return None
    kind = ProofKind.UNPACKED if deep else ProofKind.VERIFIED
    return remember(wired.repository, Proof(kind, wired.clock.now(), intact), wired.tag())


@app.command()
def pin(
    backup: Annotated[str, typer.Argument(help="A backup's id, or latest.")],
    why: Annotated[str, typer.Option("--why", help="The reason, shown wherever it is kept.")],
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
) -> None:
    """Keep a backup whatever the retention says, until it is unpinned."""
    with opened(plan, as_json=as_json) as wired:
        chosen = _named(wired, backup)
        keep_backup(wired.repository, Keeping(chosen, why, person(), wired.clock.now()))
        wired.journal.append("backups", "backup-pinned", {"backup_id": str(chosen), "why": why})
    if as_json:
        print_json({"backup": str(chosen), "pinned": True})
    else:
        out(f"backup {chosen} is kept until it is unpinned")


@app.command()
def unpin(
    backup: Annotated[str, typer.Argument(help="A backup's id, or latest.")],
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
) -> None:
    """Leave a pinned backup to the retention again."""
    with opened(plan, as_json=as_json) as wired:
        chosen = _named(wired, backup)
        release_backup(wired.repository, chosen)
        wired.journal.append("backups", "backup-unpinned", {"backup_id": str(chosen)})
    if as_json:
        print_json({"backup": str(chosen), "pinned": False})
    else:
        out(f"backup {chosen} is left to the retention")


def _named(wired: Wired, text: str) -> BackupId:
    """Return a backup's identity by what people type: its id, or latest."""
    if text != "latest":
        return BackupId.parse(text)
    ids = wired.repository.backup_ids()
    if not ids:
        raise NotFoundError("there is no backup yet", hint="Run `processpilot backup create`.")
    return ids[-1]


def _remembered(
    wired: Wired,
) -> tuple[Mapping[BackupId, Mapping[ProofKind, datetime]], Mapping[BackupId, Keeping]]:
    """Return what was proven and what is pinned; damage there must not hide the backups."""
    try:
        proofs = last_proofs(read_proofs(wired.repository).values())
        return proofs, read_keepings(wired.repository)
    except IntegrityError as error:
        note(f"warning: what was proven or pinned cannot be read: {error.message}")
        return {}, {}


def _strongest(proofs: Mapping[ProofKind, datetime]) -> str:
    """Return the strongest proof of a backup and its day."""
    for kind in reversed(ProofKind):
        if kind in proofs:
            return f"{kind} {proofs[kind]:%Y-%m-%d}"
    return "never"


def _summary(manifest: Manifest) -> dict[str, object]:
    return {
        "id": str(manifest.backup_id),
        "begin_at": manifest.begin_at,
        "end_at": manifest.end_at,
        "bytes": manifest.source_bytes,
        "stored_bytes": manifest.stored_bytes,
        "files": manifest.file_count,
        "method": manifest.method,
        "timeline": manifest.timeline,
        "start_lsn": str(manifest.start_lsn),
        "stop_lsn": str(manifest.stop_lsn),
        "bad_pages": len(manifest.bad_pages),
    }


def _plain_verification(found: Verification) -> dict[str, object]:
    return {
        "backups": found.backups,
        "packs": found.packs,
        "segments": found.segments,
        "bytes": found.bytes,
        "findings": [
            {"place": f.place, "message": f.message, "backups": [str(b) for b in f.backups]}
            for f in found.findings
        ],
    }


app.command()(expire)
app.command()(prune)
