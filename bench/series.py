"""Many backups in a row: what they store together, and whether the last restores like the first."""

from __future__ import annotations

from bench.cluster import CLUSTERED, SCATTERED
from bench.contenders import OURS, PGBACKREST
from bench.contest import Contest

TEN = 10
THIRTY = 30


def size_of_ten(contest: Contest) -> None:
    """A full backup and nine after 1 % of the pages changed, clustered: stored bytes."""
    row = "10 backups, 1 % clustered: stored"
    ours, rest = contest.ours, contest.rest
    ours.renew()
    if rest is not None:
        rest.renew()
    for number in range(TEN):
        if number:
            contest.cluster.change(CLUSTERED)
        contest.sheet.time(row, OURS, ours.back_up)
        if rest is not None:
            back_up = rest.back_up_incremental if number else rest.back_up_full
            contest.sheet.time(row, PGBACKREST, back_up)
    packs = ours.objects()[1]
    contest.sheet.note(row, f"packs {packs / 1e6:.0f} MB, all {ours.stored_bytes() / 1e6:.0f} MB")
    if rest is not None:
        base = rest.base_bytes()
        whole = rest.stored_bytes()
        contest.sheet.note(row, f"pgBackRest {base / 1e6:.0f} MB, all {whole / 1e6:.0f} MB")
        contest.sheet.note(row, f"ratio {packs / base:.2f}")


def thirtieth(contest: Contest, rounds: int) -> None:
    """Restores of the first and of the thirtieth backup in a row, side by side."""
    row = "restore of the files: first, and 30th in a row"
    ours = contest.ours
    ours.renew()
    for number in range(THIRTY):
        if number:
            contest.cluster.change(SCATTERED)
        ours.back_up()
    ids = ours.backup_ids()
    target = contest.cluster.folder / "targets" / "restored"
    for number in range(rounds):
        contest.sheet.round(
            row,
            number,
            {
                "30th": lambda: ours.restore(target, ids[-1]),
                "first": lambda: ours.restore(target, ids[0]),
            },
        )


def rewritten(contest: Contest) -> None:
    """A backup after VACUUM FULL of the largest table: nothing lies where it lay."""
    row = "backup after VACUUM FULL of the largest table"
    contest.ours.renew()
    contest.ours.back_up()
    contest.cluster.sql("vacuum full pgbench_accounts")
    contest.cluster.sql("checkpoint")
    contest.sheet.time(row, OURS, contest.ours.back_up)
    contest.sheet.note(row, f"{contest.ours.newest_stored_bytes() / 1e6:.0f} MB stored")


def summarised(contest: Contest, rounds: int) -> None:
    """With the server's WAL summaries: what changed is read, beside reading everything."""
    row = "backup, 1 % clustered, summarize_wal"
    cluster, ours = contest.cluster, contest.ours
    cluster.sql("alter system set summarize_wal = on")
    cluster.sql("select pg_reload_conf()")
    ours.renew()
    ours.back_up()
    for number in range(rounds):
        # Each reads what changed since the backup before it: the same change, twice.
        for who in ("summaries", "all read")[:: 1 if number % 2 else -1]:
            cluster.sql(f"alter system set summarize_wal = {'on' if who == 'summaries' else 'off'}")
            cluster.sql("select pg_reload_conf()")
            if who == "summaries":
                ours.back_up()
            cluster.change(CLUSTERED)
            contest.sheet.time(row, who, ours.back_up)
    cluster.sql("alter system set summarize_wal = off")
    cluster.sql("select pg_reload_conf()")
