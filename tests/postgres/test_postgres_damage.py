"""A recovery that cannot be whole is never called one: missing log, failed fetches, bad bytes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from protected_site import SUPERUSER, Site
from site_acts import LATEST, restore, streaming, wait_stored

from processpilot.agent.backups import take_backup
from processpilot.clock import SystemClock
from processpilot.errors import GapError, IntegrityError, ProcessPilotError, RefusedError
from processpilot.postgres.control import read_control
from processpilot.progress import silent
from processpilot.repository.verify import verify_repository
from processpilot.restore.files import FileWriter
from processpilot.restore.finish import recover
from processpilot.restore.plan import RestorePlan, RestoreRequest, plan_restore
from processpilot.restore.target import RecoveryTarget, TargetKind
from processpilot.wiring.wired import Wired, open_plan


@pytest.fixture
def logged(site: Site) -> Site:
    """Return a site whose repository holds a backup, several segments after it, and a tail."""
    site.run("create table t (id bigserial, v text)")
    with streaming(site) as agent:
        site.back_up()
        for _ in range(4):
            site.run("insert into t (v) select md5(g::text) from generate_series(1, 2000) g")
            site.run("select pg_switch_wal()")
        site.run("insert into t (v) values ('in the tail')")
        wait_stored(site, agent)
    return site


def written(wired: Wired, folder: Path) -> RestorePlan:
    """Return the operation plan of a restore whose files are written and whose log is not."""
    plan = plan_restore(wired.repository, RestoreRequest(LATEST, folder, bin_dirs=wired.bin_dirs))
    FileWriter(wired.repository, plan.manifest, folder, {}, silent).write()
    return plan


def never_promoted(folder: Path) -> bool:
    """Whether the cluster in `folder` is still on its first timeline."""
    return read_control(folder).timeline == 1


def test_a_tail_that_is_not_served_is_a_gap(logged: Site, tmp_path: Path) -> None:
    """When the unfinished segment vanishes after planning, replay fails; nothing is promoted."""
    with closing(logged.wired()) as wired:
        plan = written(wired, tmp_path / "copy")
        assert plan.chain.tail is not None
        for info in list(wired.repository.store.list("tails/")):
            wired.repository.store.delete(info.name)
        with pytest.raises(GapError):
            recover(plan, wired.repository, SUPERUSER, SystemClock(), silent)
    assert never_promoted(tmp_path / "copy")


def test_a_tail_that_was_cut_short_is_a_gap(logged: Site, tmp_path: Path) -> None:
    """When the log held ends before what was planned, replay is called short, not done."""
    with closing(logged.wired()) as wired:
        plan = written(wired, tmp_path / "copy")
        longer = type(plan.planned_lsn)(plan.planned_lsn + 4096)
        plan = replace(plan, planned_lsn=longer, window=replace(plan.window, end_lsn=longer))
        with pytest.raises(GapError, match="nothing was promoted"):
            recover(plan, wired.repository, SUPERUSER, SystemClock(), silent)
    assert never_promoted(tmp_path / "copy")


@pytest.mark.parametrize("harm", ["missing", "flipped"])
def test_a_fetch_that_fails_in_the_middle_stops_replay(
    logged: Site, tmp_path: Path, harm: str
) -> None:
    """A segment that vanishes or changes after planning ends recovery; nothing is promoted."""
    with closing(logged.wired()) as wired:
        plan = written(wired, tmp_path / "copy")
        segment = plan.chain.segments[-2]
        path = logged.folder / "repository" / "wal" / f"{segment.timeline:08X}" / segment.name
        if harm == "missing":
            path.unlink()
        else:
            flip(path, path.stat().st_size // 2)
        with pytest.raises(IntegrityError):
            recover(plan, wired.repository, SUPERUSER, SystemClock(), silent)
    assert never_promoted(tmp_path / "copy")


def test_a_missing_segment_bounds_the_window_and_is_named(logged: Site, tmp_path: Path) -> None:
    """With a hole in the log verify reports it, and a target behind it is refused, naming it."""
    with closing(logged.wired()) as wired:
        plan = plan_restore(
            wired.repository, RestoreRequest(LATEST, tmp_path / "x", bin_dirs=wired.bin_dirs)
        )
        hole = plan.chain.segments[-2]
        path = logged.folder / "repository" / "wal" / f"{hole.timeline:08X}" / hole.name
        path.unlink()
        found = verify_repository(wired.repository, None, deep=False, progress=silent)
        assert any(hole.name in f.message or hole.name in f.place for f in found.findings)
        late = RecoveryTarget(TargetKind.LSN, str(plan.planned_lsn))
        with pytest.raises(RefusedError, match=hole.name):
            plan_restore(
                wired.repository, RestoreRequest(late, tmp_path / "x", bin_dirs=wired.bin_dirs)
            )


def flip(path: Path, offset: int) -> None:
    """Flip one bit of a file."""
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0x10]))


def objects_of(site: Site) -> list[Path]:
    """Return every object that a restore relies on."""
    root = site.folder / "repository"
    return sorted(
        path
        for path in root.rglob("*")
        if path.is_file() and path.relative_to(root).parts[0] not in ("tmp", "pins", "floors")
    )


def _flipped(path: Path, source: random.Random) -> None:
    flip(path, source.randrange(path.stat().st_size))


def _cut(path: Path, source: random.Random) -> None:
    os.truncate(path, source.randrange(path.stat().st_size))


def _gone(path: Path, source: random.Random) -> None:
    path.unlink()


@pytest.mark.parametrize("harm", [_flipped, _cut, _gone])
def test_every_harm_to_every_kind_of_object_is_found_and_refused(
    logged: Site, tmp_path: Path, harm: Callable[[Path, random.Random], None]
) -> None:
    """One flipped bit, one cut, one missing object: verify reports it, restore does not pass."""
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    source = random.Random(seed)
    by_kind: dict[str, list[Path]] = {}
    for path in objects_of(logged):
        kind = path.relative_to(logged.folder / "repository").parts[0]
        by_kind.setdefault(kind, []).append(path)
    assert {"config", "keys", "backups", "packs", "wal", "tails"} <= set(by_kind)
    for kind, paths in sorted(by_kind.items()):
        # What was received last may be absent without a trace: tails have no successor.
        if harm is _gone and kind in ("tails", "keys", "backups"):
            continue
        if harm is _gone and kind == "wal":
            needed = _segments_behind_the_backup(logged)
            paths = [path for path in paths if path.name in needed]
        path = source.choice(paths)
        original = path.read_bytes()
        harm(path, source)
        assert _noticed(logged, tmp_path / f"{kind}-copy"), f"{harm.__name__} of {path} went by"
        path.write_bytes(original)
    with closing(logged.wired()) as wired:
        assert verify_repository(wired.repository, None, deep=True, progress=silent).intact


def _segments_behind_the_backup(site: Site) -> set[str]:
    """Return the segments whose absence leaves a hole: log before the backup may be gone."""
    with closing(site.wired()) as wired:
        request = RestoreRequest(LATEST, site.folder / "nowhere", bin_dirs=wired.bin_dirs)
        return {s.name for s in plan_restore(wired.repository, request).chain.segments[:-1]}


def _noticed(site: Site, folder: Path) -> bool:
    """Whether opening or verifying finds something."""
    with closing(site.wired()) as wired:
        try:
            found = verify_repository(wired.repository, None, deep=False, progress=silent)
        except ProcessPilotError:
            return True
        return not found.intact


def test_a_flipped_byte_in_a_pack_never_reaches_a_data_directory(
    logged: Site, tmp_path: Path
) -> None:
    """Restoring from a damaged pack fails, and leaves a folder in which no server can start."""
    packs = sorted((logged.folder / "repository" / "packs").rglob("*"), key=lambda p: p.is_dir())
    pack = max((p for p in packs if p.is_file()), key=lambda p: p.stat().st_size)
    flip(pack, pack.stat().st_size // 2)
    with closing(logged.wired()) as wired, pytest.raises(IntegrityError):
        restore(wired, tmp_path / "copy")
    assert not (tmp_path / "copy" / "global" / "pg_control").exists()


def test_a_backup_killed_at_any_moment_leaves_the_repository_valid(site: Site) -> None:
    """Whenever `backup create` is killed, verify finds nothing wrong and the next one works."""
    site.run(
        "create table t as select g, repeat(md5(g::text), 20) v from generate_series(1,30000) g"
    )
    program = [sys.executable, "-m", "processpilot", "backup", "create", "--plan", str(site.plan)]
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    source = random.Random(seed)
    killed = 0
    for _ in range(6):
        process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(source.uniform(0.4, 1.6))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.wait()
        with closing(site.wired()) as wired:
            found = verify_repository(wired.repository, None, deep=False, progress=silent)
            assert found.intact, found.findings
    assert killed
    site.back_up()
    with closing(site.wired()) as wired:
        assert verify_repository(wired.repository, None, deep=True, progress=silent).intact


def test_restore_refuses_what_would_be_unsafe(site: Site, tmp_path: Path) -> None:
    """A folder with anything in it, a running server's folder, and a full disk are refused."""
    site.back_up()
    with closing(site.wired()) as wired:
        full = tmp_path / "full"
        full.mkdir()
        (full / "precious").write_text("x")
        with pytest.raises(RefusedError, match="not empty"):
            restore(wired, full)
        assert (full / "precious").read_text() == "x"
        with pytest.raises(RefusedError, match="runs in"):
            restore(wired, site.data)
        with pytest.raises(RefusedError, match="bytes"):
            restore(wired, Path("/dev/shm/../../proc/nowhere/copy"))


class LateClock(SystemClock):
    """A machine whose clock is a day behind."""

    def now(self) -> datetime:
        """Return yesterday's moment."""
        return super().now() - timedelta(days=1)


def test_a_clock_in_the_past_is_refused(site: Site) -> None:
    """A backup that would sort before the newest one is refused, and both moments are named."""
    site.back_up()
    with closing(open_plan(site.plan, LateClock())) as wired:
        with pytest.raises(RefusedError, match="clock says"):
            take_backup(wired, silent)
        assert len(wired.repository.backup_ids()) == 1
