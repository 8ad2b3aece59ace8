"""Back up, change, restore, compare: on every major that is installed."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from protected_site import MAJORS, Site, SiteMaker
from site_acts import LATEST, opened_copy, restore, scalar, streaming, wait_stored

from processpilot.checks.pages import check_pages
from processpilot.checks.result import Outcome
from processpilot.errors import RefusedError
from processpilot.postgres.control import ClusterState, read_control
from processpilot.progress import silent
from processpilot.restore.plan import RestoreRequest, plan_restore
from processpilot.restore.target import (
    RecoveryTarget,
    TargetKind,
    lsn_target,
    name_target,
    time_target,
    xid_target,
)


def test_a_major_is_installed() -> None:
    """Testing zero versions would prove nothing."""
    assert MAJORS


@pytest.mark.parametrize("major", [15, 16, 17, 18])
@pytest.mark.parametrize("segment_mib", [None, 1, 64], ids=["16MB", "1MB", "64MB"])
def test_everything_comes_back(
    make_site: SiteMaker, tmp_path: Path, major: int, segment_mib: int | None
) -> None:
    """What was in the cluster before, between and after two backups is there after a restore."""
    if segment_mib is not None and major not in (16, 18):
        pytest.skip("segment sizes are tried on 16 and 18")
    site = make_site(major, wal_segment_bytes=None if segment_mib is None else segment_mib << 20)
    site.run("create table t (id bigserial primary key, v text)")
    site.run("create unlogged table u (id int)", "insert into u values (1)")
    site.run("insert into t (v) select md5(g::text) from generate_series(1, 5000) g")
    with streaming(site) as agent:
        first = site.back_up()
        site.run("update t set v = v || 'x' where id % 50 = 0")
        second = site.back_up()
        assert second.parent == first.backup_id
        assert second.stored_bytes < first.stored_bytes
        protocol = site.back_up(through_protocol=True)
        assert protocol.method == "protocol"
        site.run("insert into t (v) values ('after the last backup')")
        wait_stored(site, agent)
    expected = site.run("select count(*), md5(string_agg(id || v, ',' order by id)) from t")[0]
    with closing(site.wired()) as wired:
        plan, done = restore(wired, tmp_path / "copy")
        assert plan.manifest.backup_id == protocol.backup_id
        assert done.reached >= plan.planned_lsn
        with opened_copy(plan) as copy:
            row = copy.execute(
                b"select count(*), md5(string_agg(id || v, ',' order by id)) from t"
            ).fetchone()
            assert row == expected
            assert scalar(copy, "select count(*) from u") == 0
    control = read_control(tmp_path / "copy")
    assert control.timeline == 2
    pages = check_pages(tmp_path / "copy", enabled=control.data_checksums, progress=silent)
    assert pages.outcome is Outcome.PASSED


def test_every_target_stops_where_it_should(site: Site, tmp_path: Path) -> None:
    """Time, LSN, XID, name and immediate stop at their point, inclusively or just before."""
    site.run("create table t (id int)", "insert into t values (0)")
    with streaming(site) as agent:
        site.back_up()
        site.run("insert into t values (1)")
        lsn = str(site.run("select pg_current_wal_insert_lsn()::text")[0][0])
        with site.address.connect(autocommit=False) as connection:
            xid = str(connection.execute("select pg_current_xact_id()::text").fetchone()[0])
            connection.execute("insert into t values (2)")
        moment = str(site.run("select clock_timestamp()")[0][0])
        site.run("insert into t values (3)", "select pg_create_restore_point('before four')")
        site.run("insert into t values (4)")
        wait_stored(site, agent)
    cases = {
        "latest": (LATEST, 4),
        "immediate": (RecoveryTarget(TargetKind.IMMEDIATE), 0),
        "lsn": (lsn_target(lsn), 1),
        "xid": (xid_target(xid), 2),
        "xid-exclusive": (RecoveryTarget(TargetKind.XID, xid, inclusive=False), 1),
        "time": (time_target(moment), 2),
        "name": (name_target("before four"), 3),
    }
    with closing(site.wired()) as wired:
        for name, (target, newest) in cases.items():
            plan, _ = restore(wired, tmp_path / name, target)
            with opened_copy(plan) as copy:
                assert scalar(copy, "select max(id) from t") == newest, name


def test_targets_outside_the_window_are_refused_beforehand(site: Site, tmp_path: Path) -> None:
    """A moment or position outside the window is refused with the window, and nothing written."""
    with streaming(site) as agent:
        site.back_up()
        site.run("create table t (id int)")
        wait_stored(site, agent)
    with closing(site.wired()) as wired:
        for target in (
            time_target("2020-01-01T00:00:00Z"),
            time_target("2096-01-01T00:00:00Z"),
            lsn_target("0/100"),
            lsn_target("FF/0"),
        ):
            request = RestoreRequest(target, tmp_path / "copy", bin_dirs=wired.bin_dirs)
            with pytest.raises(RefusedError) as caught:
                plan_restore(wired.repository, request)
            assert "window" in str(caught.value.message) or "before the first" in str(caught.value)
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("target", [xid_target("4000000"), name_target("nobody made it")])
def test_a_target_that_is_not_in_the_log_is_never_promoted(
    site: Site, tmp_path: Path, target: RecoveryTarget
) -> None:
    """A transaction or name that the log does not hold is refused before promotion."""
    with streaming(site) as agent:
        site.back_up()
        site.run("create table t (id int)")
        wait_stored(site, agent)
    with closing(site.wired()) as wired, pytest.raises(RefusedError, match="nothing was promoted"):
        restore(wired, tmp_path / "copy", target)
    control = read_control(tmp_path / "copy")
    assert control.timeline == 1
    assert control.state is ClusterState.SHUT_DOWN_IN_RECOVERY


def test_tablespaces_come_back_where_they_are_told(site: Site, tmp_path: Path) -> None:
    """A tablespace's content is restored into another folder, and the cluster uses it there."""
    place = tmp_path / "space"
    place.mkdir()
    site.run(f"create tablespace s location '{place}'")
    site.run("create table t tablespace s as select g as id from generate_series(1, 1000) g")
    for protocol in (False, True):
        site.back_up(through_protocol=protocol)
        with closing(site.wired()) as wired:
            folder = tmp_path / f"copy-{protocol}"
            plan, _ = restore(wired, folder)
            assert all(path != place for path in plan.tablespaces.values())
            with opened_copy(plan) as copy:
                assert scalar(copy, "select count(*) from t") == 1000
                assert str(tmp_path / f"copy-{protocol}-tablespaces") in str(
                    scalar(
                        copy,
                        "select pg_tablespace_location(oid) from pg_tablespace where spcname = 's'",
                    )
                )


def test_two_promotions_later_both_timelines_can_be_reached(
    make_site: SiteMaker, tmp_path: Path
) -> None:
    """After two recoveries, the newest point and a point on the middle timeline are reachable."""
    site = make_site()
    site.run("create table t (id int)")
    points = {}
    with streaming(site) as agent:
        site.back_up()
        site.run("insert into t values (1)")
        wait_stored(site, agent)
    for generation in (2, 3):
        with closing(site.wired()) as wired:
            folder = tmp_path / f"generation-{generation}"
            restore(wired, folder)
        site.stop()
        site.data.rename(tmp_path / f"old-{generation}")
        folder.rename(site.data)
        site.start()
        with streaming(site) as agent:
            site.run(f"insert into t values ({generation})")
            points[generation] = str(site.run("select pg_current_wal_insert_lsn()::text")[0][0])
            wait_stored(site, agent)
    with closing(site.wired()) as wired:
        plan, done = restore(wired, tmp_path / "newest")
        assert (plan.chain.timeline, done.timeline) == (3, 4)
        with opened_copy(plan) as copy:
            assert scalar(copy, "select string_agg(id::text, ',' order by id) from t") == "1,2,3"
        middle = RecoveryTarget(TargetKind.LSN, points[2], timeline=2)
        plan, _ = restore(wired, tmp_path / "middle", middle)
        with opened_copy(plan) as copy:
            assert scalar(copy, "select string_agg(id::text, ',' order by id) from t") == "1,2"
