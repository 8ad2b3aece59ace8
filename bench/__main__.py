"""Backups, restores and verification beside pgBackRest, pg_basebackup and cp -r, all synced.

    python -m bench [--scale 200] [--json-mb 0] [--app-mb 1000] [--rounds 5] [--folder DIR]
                    [--pgbackrest "PROGRAM ..."] [--block]

Contenders run one after the other within each round, in turning order; medians, and medians of
the ratios of each round, are printed. Everything lies in one folder, so all meet the same disk.
pgBackRest is left out when it is not installed; it needs PostgreSQL 15 beside it.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.cluster import CLUSTERED, SCATTERED, Cluster, Size, running
from bench.contenders import BASEBACKUP, COPY, OURS, PGBACKREST, Ours, PgBackRest, Plain
from bench.measure import Sheet
from processpilot.postgres.binaries import find_installations, installation_for

Rows = Callable[["Contest", int], None]


class Contest:
    """One cluster, its contenders, and the sheet they are written on."""

    def __init__(self, cluster: Cluster, sheet: Sheet, rest: PgBackRest | None) -> None:
        self.cluster = cluster
        self.sheet = sheet
        self.ours = Ours(cluster)
        self.plain = Plain(cluster)
        self.rest = rest

    def with_rest(
        self, ours: Callable[[], int], rest: Callable[[], int] | None
    ) -> dict[str, Callable[[], int]]:
        """Return the contenders of a row: ours first, pgBackRest when it is there."""
        return {OURS: ours} | ({} if rest is None else {PGBACKREST: rest})


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
    for _ in range(rounds):
        contest.sheet.time(row, OURS, contest.ours.verify)
        contest.sheet.time(deep, OURS, lambda: contest.ours.verify("--deep"))
    contest.sheet.note(row, f"{stored / 1e6 / contest.sheet.seconds(row, OURS):.0f} MB/s")


def run(contest: Contest, rounds: int) -> None:
    """Measure everything."""
    full(contest, rounds)
    changed(contest, rounds, "scattered", SCATTERED)
    changed(contest, rounds, "clustered", CLUSTERED)
    restore(contest, rounds)
    verify(contest, rounds)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--scale", type=int, default=200, help="pgbench's scale, 15 MB each")
    parser.add_argument("--json-mb", type=int, default=0, help="rows of JSON")
    parser.add_argument("--app-mb", type=int, default=1000, help="the sample application's tables")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--pgbackrest", default="pgbackrest", help="how to call it; empty for none")
    parser.add_argument("--block", action="store_true", help="pgBackRest with block incremental")
    options = parser.parse_args(arguments)
    program = tuple(shlex.split(options.pgbackrest))
    majors = {installation.major for installation in find_installations()}
    with_rest = bool(program) and shutil.which(program[0]) is not None and 15 in majors
    installation = installation_for(15 if with_rest else 18)
    folder = Path(tempfile.mkdtemp(prefix="processpilot-bench-", dir=options.folder))
    folder.chmod(0o755)
    size = Size(options.scale, options.json_mb * 1_000_000, options.app_mb * 1_000_000)
    settings = {"archive_mode": "on"} if with_rest else {}
    with running(folder, installation, size, settings) as cluster:
        rest = None
        if with_rest:
            rest = PgBackRest(cluster, program, {"repo1-block": "y"} if options.block else {})
            rest.renew()
            cluster.sql(f"alter system set archive_command = '{rest.archive_command}'")
            cluster.sql("select pg_reload_conf()")
        targets = folder / "targets"

        def tidy() -> None:
            shutil.rmtree(targets, ignore_errors=True)
            targets.mkdir()

        sheet = Sheet(tidy)
        run(Contest(cluster, sheet, rest), options.rounds)
        print(
            f"{os.cpu_count()} cores, {cluster.data_bytes() / 1e9:.1f} GB, "
            f"PostgreSQL {installation.version}, Python {platform.python_version()}"
            f"{'' if rest is None else ', ' + rest.version()}, {options.rounds} rounds\n"
        )
        print(sheet.table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
