"""Damaged backups, and objects that only look like backups, stand in nobody's way."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from protected_site import Site
from site_acts import LATEST, restore

from processpilot.errors import GapError, IntegrityError, NotFoundError, RefusedError
from processpilot.postgres.history import Switch, TimelineHistory
from processpilot.postgres.lsn import Lsn
from processpilot.repository.wal import WalArchive
from processpilot.restore.plan import RestoreRequest, plan_restore
from processpilot.restore.target import RecoveryTarget, TargetKind


def test_a_damaged_backup_is_passed_over_and_named(site: Site, tmp_path: Path) -> None:
    """The log leads from an older one to the same end; its own end is had from nowhere else."""
    site.run("create table t (id int)", "insert into t values (1)")
    first = site.back_up()
    site.run("insert into t values (2)")
    second = site.back_up()
    path = site.folder / "repository" / "backups" / str(second.backup_id)
    path.write_bytes(path.read_bytes()[:-1])
    with closing(site.wired()) as wired:
        plan, _ = restore(wired, tmp_path / "out")
        assert plan.manifest.backup_id == first.backup_id
        assert str(second.backup_id) in plan.warnings[0]
        immediate = RestoreRequest(
            RecoveryTarget(TargetKind.IMMEDIATE), tmp_path / "other", bin_dirs=wired.bin_dirs
        )
        with pytest.raises(IntegrityError):
            plan_restore(wired.repository, immediate)
    third = site.back_up()
    assert third.parent == first.backup_id
    with closing(site.wired()) as wired:
        plan = plan_restore(wired.repository, immediate)
        assert plan.manifest.backup_id == third.backup_id


def test_a_backup_of_the_year_2100_by_nobody_stops_no_backup(site: Site, tmp_path: Path) -> None:
    """Only a genuine newer backup tells that this machine's clock is behind."""
    site.run("create table t (id int)")
    folder = site.folder / "repository" / "backups"
    folder.mkdir(exist_ok=True)
    (folder / "21000101T000000Z-00000000").write_bytes(b"PPO1 and nothing that opens")
    made = site.back_up()
    with closing(site.wired()) as wired:
        request = RestoreRequest(LATEST, tmp_path / "out", bin_dirs=wired.bin_dirs)
        assert plan_restore(wired.repository, request).manifest.backup_id == made.backup_id


def test_tablespaces_need_folders_of_their_own(site: Site, tmp_path: Path) -> None:
    """Two in one folder would mix; one inside the target would be written twice."""
    places = [site.folder / name for name in ("one", "two")]
    for place in places:
        place.mkdir()
        status = site.data.stat()
        os.chown(place, status.st_uid, status.st_gid)
        site.run(f"create tablespace {place.name} location '{place}'")
    manifest = site.back_up()
    oids = [space.oid for space in manifest.tablespaces]
    target = tmp_path / "out"
    for spaces in (dict.fromkeys(oids, tmp_path / "same"), {oids[0]: target / "inside"}):
        with closing(site.wired()) as wired:
            request = RestoreRequest(LATEST, target, tablespaces=spaces, bin_dirs=wired.bin_dirs)
            with pytest.raises(RefusedError, match="is taken"):
                plan_restore(wired.repository, request)


def test_a_plan_refuses_before_anything_is_written(site: Site, tmp_path: Path) -> None:
    """Each thing that stands in the way is named: the folder, the timeline, the log, the backup."""
    with closing(site.wired()) as wired:
        there = RestoreRequest(LATEST, tmp_path / "out", bin_dirs=wired.bin_dirs)
        with pytest.raises(NotFoundError, match="no backup in"):
            plan_restore(wired.repository, there)
    manifest = site.back_up()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "kept-companions").mkdir()
    with closing(site.wired()) as wired:
        for folder, why in (
            (Path("relative"), "not an absolute path"),
            (tmp_path / "link", "is not a folder"),
            (tmp_path / "kept", "exists"),
        ):
            with pytest.raises(RefusedError, match=why):
                plan_restore(wired.repository, replace(there, folder=folder))
        with pytest.raises(GapError, match="history"):
            plan_restore(
                wired.repository,
                replace(there, target=RecoveryTarget(TargetKind.LATEST, timeline=7)),
            )
        archive = WalArchive(wired.repository, manifest.cluster.wal_segment_bytes)
        left = Switch(1, Lsn(manifest.start_lsn - 8), "left before the backup")
        archive.put_history(TimelineHistory(2, (left,)))
        with pytest.raises(NotFoundError, match="no backup leads to timeline 2"):
            plan_restore(wired.repository, there)
        on_its_own = replace(there, target=RecoveryTarget(TargetKind.LATEST, timeline=1))
        plan_restore(wired.repository, on_its_own)
        for info in list(wired.repository.store.list("")):
            if info.name.startswith(("wal/", "tails/")):
                wired.repository.store.delete(info.name)
        with pytest.raises(GapError, match="its stop is"):
            plan_restore(wired.repository, on_its_own)
