"""Backups that read only what the server's WAL summaries name are the same as complete reads."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from protected_site import SUPERUSER, Site, SiteMaker
from site_acts import restore

from processpilot.backup.create import MOST_PARTLY_READ
from processpilot.progress import silent
from processpilot.repository.verify import verify_repository
from processpilot.restore.files import FileWriter

WORK = (
    "update t set v = 'changed ' || g where g % 997 = 1",
    "delete from t where g between 5000 and 5100",
    "insert into t select g, repeat(md5(g::text), 9) from generate_series(200001, 200400) g",
    "create table fresh as select g from generate_series(1, 5000) g",
    "create index on t (v)",
    "truncate small",
    "insert into small values (1)",
    "delete from shrinking where g > 500",
    "vacuum (truncate) shrinking",
    "cluster rewritten using rewritten_g_idx",
    "create database other strategy file_copy",
    "create database another strategy wal_log",
    "drop table dropped",
    "analyze",
)


@pytest.fixture
def summarised(make_site: SiteMaker) -> Site:
    """A cluster of PostgreSQL 18 that summarizes its log, with tables of every fate."""
    site = make_site(18)
    site.run(
        "alter system set summarize_wal = on",
        "select pg_reload_conf()",
        "create table t as select g, repeat(md5(g::text), 9) v from generate_series(1, 40000) g",
        "create table small as select 1 x",
        "create table shrinking as select g, repeat('x', 300) v from generate_series(1, 20000) g",
        "create table rewritten as select g from generate_series(1, 9000) g",
        "create index rewritten_g_idx on rewritten (g)",
        "create table dropped as select g from generate_series(1, 9000) g",
    )
    return site


def sums(site: Site, folder: Path) -> list[tuple[object, ...]]:
    """Return what a restored cluster holds, table by table."""
    with closing(site.wired()) as wired:
        restore(wired, folder)
    copy = Site(folder.parent, site.installation, site.sockets)
    copy_address = copy.address
    site.stop()
    try:
        folder.rename(site.data.with_name("kept"))
        site.data.rename(site.data.with_name("original"))
        site.data.with_name("kept").rename(site.data)
        site.start()
        with copy_address.with_options(user=SUPERUSER).session() as connection:
            return connection.execute(
                "select 't', count(*), sum(hashtext(t::text)) from t union all"
                " select 'fresh', count(*), sum(hashtext(f::text)) from fresh f union all"
                " select 'small', count(*), sum(hashtext(s::text)) from small s union all"
                " select 'shrinking', count(*), sum(hashtext(s::text)) from shrinking s union all"
                " select 'rewritten', count(*), sum(hashtext(r::text)) from rewritten r order by 1"
            ).fetchall()
    finally:
        site.stop()


def test_what_is_taken_over_unread_is_the_same_as_what_would_be_read(
    summarised: Site, tmp_path: Path
) -> None:
    """After every kind of change, a partly read backup restores to the same rows."""
    site = summarised
    first = site.back_up()
    assert first.partly_read == 0
    site.run(*WORK)
    wanted = site.run(
        "select 't', count(*), sum(hashtext(t::text)) from t union all"
        " select 'fresh', count(*), sum(hashtext(f::text)) from fresh f union all"
        " select 'small', count(*), sum(hashtext(s::text)) from small s union all"
        " select 'shrinking', count(*), sum(hashtext(s::text)) from shrinking s union all"
        " select 'rewritten', count(*), sum(hashtext(r::text)) from rewritten r order by 1"
    )
    second = site.back_up()
    assert second.partly_read == 1
    assert second.missing_files == ()
    with closing(site.wired()) as wired:
        assert verify_repository(wired.repository, None, deep=True, progress=silent).intact
    assert sums(site, tmp_path / "copy") == wanted


def test_a_quiet_cluster_s_files_are_byte_for_byte_the_same(
    summarised: Site, tmp_path: Path
) -> None:
    """With nothing running, the files of a partly read backup equal those on disk."""
    site = summarised
    site.run("vacuum freeze", "checkpoint")
    site.back_up()
    site.run("update t set v = 'x' where g = 77", "checkpoint")
    second = site.back_up()
    assert second.partly_read == 1
    with closing(site.wired()) as wired:
        folder = tmp_path / "files"
        FileWriter(wired.repository, second, folder, {}, silent).write()
    path = str(site.run("select pg_relation_filepath('t')")[0][0])
    assert (folder / path).read_bytes() == (site.data / path).read_bytes()


def test_every_few_backups_everything_is_read(summarised: Site) -> None:
    """A page that rotted on disk is in no summary, so it is looked for regularly."""
    depths = [summarised.back_up().partly_read for _ in range(MOST_PARTLY_READ + 3)]
    assert depths == [*range(MOST_PARTLY_READ + 1), 0, 1]


def test_without_summaries_everything_is_read(summarised: Site) -> None:
    """Where the server does not summarize, nothing is taken over unread."""
    site = summarised
    site.back_up()
    site.run("alter system set summarize_wal = off", "select pg_reload_conf()")
    site.run("insert into small values (2)", "checkpoint")
    assert site.back_up().partly_read == 0
