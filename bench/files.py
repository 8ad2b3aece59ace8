"""Backups, restores and verification of files, beside the other programs."""

from __future__ import annotations

from pathlib import Path

from bench.contenders import BASEBACKUP, COPY, OURS
from bench.contest import Contest
from bench.restore_files import NOWHERE


def full(contest: Contest, rounds: int) -> None:
    """A complete backup into an empty repository."""
    row = "full backup"
    rest = contest.rest
    for number in range(rounds):
        contest.ours.renew()
        if rest is not None:
            rest.renew()
        work = contest.with_rest(contest.ours.back_up, rest and rest.back_up_full)
        work |= {BASEBACKUP: contest.plain.basebackup, COPY: contest.plain.copy}
        contest.sheet.round(row, number, work)
    count, size = contest.ours.objects()
    contest.sheet.note(row, f"{size / 1e6:.0f} MB stored")
    contest.sheet.note(row, f"{count / (size / (16 << 20)):.2f} objects per 16 MiB")
    if rest is not None:
        contest.sheet.note(row, f"pgBackRest {rest.stored_bytes() / 1e6:.0f} MB")


def changed(contest: Contest, rounds: int, what: str, statements: tuple[str, ...]) -> None:
    """A backup after 1 % of the pages changed."""
    row = f"backup, 1 % of pages, {what}"
    rest = contest.rest
    added: list[int] = []
    added_by_rest: list[int] = []
    for number in range(rounds):
        contest.cluster.change(statements)
        before = 0 if rest is None else rest.stored_bytes()
        work = contest.with_rest(contest.ours.back_up, rest and rest.back_up_incremental)
        contest.sheet.round(row, number, work | {COPY: contest.plain.copy})
        added.append(contest.ours.newest_stored_bytes())
        if rest is not None:
            added_by_rest.append(rest.stored_bytes() - before)
    contest.sheet.note(row, f"{sorted(added)[rounds // 2] / 1e6:.0f} MB stored")
    if rest is not None:
        median = sorted(added_by_rest)[rounds // 2]
        contest.sheet.note(row, f"pgBackRest {median / 1e6:.0f} MB, log included")


def restore(contest: Contest, rounds: int) -> None:
    """Writing the newest backup's files."""
    row = "restore of the files"
    rest = contest.rest
    target = contest.cluster.folder / "targets" / "restored"
    for number in range(rounds):
        work = contest.with_rest(
            lambda: contest.ours.restore(target),
            None if rest is None else lambda: rest.restore(target),
        )
        contest.sheet.round(row, number, work | {COPY: contest.plain.copy})


def verify(contest: Contest, rounds: int) -> None:
    """Authentication of all stored bytes, and with every blob unpacked."""
    stored = contest.ours.stored_bytes()
    row, deep = "verify", "verify --deep"
    for number in range(rounds):
        contest.sheet.time(row, OURS, contest.ours.verify)
        contest.sheet.round(
            deep,
            number,
            {
                OURS: lambda: contest.ours.verify("--deep", "--backup", "latest"),
                "restore to nowhere": lambda: contest.ours.restore(Path(NOWHERE)),
            },
        )
    contest.sheet.note(row, f"{stored / 1e6 / contest.sheet.seconds(row, OURS):.0f} MB/s")
