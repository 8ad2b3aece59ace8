"""Corners of a cluster that other tools got wrong: each backed up, restored and compared.

PROCESSPILOT_NIGHTLY=1 adds a relation beyond one gigabyte and a hundred thousand files.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from protected_site import SUPERUSER, Site, SiteMaker
from site_acts import LATEST, opened_copy, program, restore, scalar, streaming, wait_stored

from processpilot.checks.database import DatabaseChecks
from processpilot.checks.result import Outcome
from processpilot.clock import SystemClock
from processpilot.errors import UnavailableError
from processpilot.progress import silent
from processpilot.repository.verify import verify_repository
from processpilot.restore.files import FileWriter
from processpilot.restore.plan import RestoreRequest, plan_restore
from processpilot.restore.scratch import scratch_address, start_scratch

NIGHTLY = bool(os.environ.get("PROCESSPILOT_NIGHTLY"))
TABLES = 25_000 if NIGHTLY else 500
BOTH = pytest.mark.parametrize("through_protocol", [False, True], ids=["files", "protocol"])


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of that size."""
    if os.getuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder.mkdir(parents=True)
    options = f"size={megabytes}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@BOTH
def test_a_cluster_without_checksums(
    make_site: SiteMaker, tmp_path: Path, through_protocol: bool
) -> None:
    """It is backed up and restored like any other; nothing is called checked that was not."""
    site = make_site(checksums=False)
    site.run("create table t as select g from generate_series(1, 50000) g", "checkpoint")
    manifest = site.back_up(through_protocol=through_protocol)
    assert not manifest.cluster.data_checksums
    assert manifest.bad_pages == ()
    with closing(site.wired()) as wired:
        plan, _ = restore(wired, tmp_path / "copy")
        with opened_copy(plan) as copy:
            assert scalar(copy, "select sum(g) from t") == 1250025000
    done = program(site, "restore", "latest", "--target", str(tmp_path / "other"))
    assert done.returncode == 0, done.stderr


@BOTH
@pytest.mark.parametrize("space", [None, "t_space"])
def test_a_corrupted_page_is_named(
    make_site: SiteMaker, tmp_path: Path, through_protocol: bool, space: str | None
) -> None:
    """By file, block and relation, when the backup is taken, shown, verified and relied on."""
    site = make_site()
    where = ""
    if space is not None:
        (tmp_path / "place").mkdir()
        site.run(f"create tablespace {space} location '{tmp_path / 'place'}'")
        where = f" tablespace {space}"
    site.run(
        "create schema s",
        f'create table s."Odd name"{where} as select repeat(md5(g::text), 20) v'
        " from generate_series(1, 500) g",
        "checkpoint",
    )
    path = str(site.run("""select pg_relation_filepath('s."Odd name"')""")[0][0])
    with (site.data / path).open("r+b") as file:
        file.seek(3 * 8192 + 4000)
        file.write(b"\xff" * 64)
    manifest = site.back_up(through_protocol=through_protocol)
    assert [str(page) for page in manifest.bad_pages] == [
        f'{path} block 3 (postgres: s."Odd name")'
    ]
    verified = program(site, "backup", "verify")
    assert verified.returncode == 7
    assert f'{path} block 3 (postgres: s."Odd name")' in verified.stdout
    status = program(site, "status")
    assert "the newest backup holds a harmed cluster" in status.stdout


@BOTH
def test_relations_that_change_while_they_are_read(
    site: Site, tmp_path: Path, through_protocol: bool
) -> None:
    """Extended, truncated, dropped, rewritten: what was committed comes back, and nothing else."""
    site.run(
        "create table kept (id bigserial primary key, v text)",
        "create table cut (v text)",
        "insert into cut select repeat('x', 500) from generate_series(1, 20000)",
    )
    stop = threading.Event()
    rounds = 0

    def churn() -> None:
        nonlocal rounds
        with site.address.session() as connection:
            while not stop.is_set():
                for statement in (
                    "insert into kept (v) select repeat('y', 300) from generate_series(1, 300)",
                    "create table gone as select g from generate_series(1, 3000) g",
                    "truncate cut",
                    "insert into cut select repeat('z', 500) from generate_series(1, 2000)",
                    "drop table gone",
                    "vacuum full kept",
                ):
                    connection.execute(statement.encode())
                rounds += 1

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        with streaming(site) as agent:
            for _ in range(3):
                site.back_up(through_protocol=through_protocol)
            stop.set()
            thread.join()
            wait_stored(site, agent)
    finally:
        stop.set()
        thread.join()
    assert rounds > 0
    query = "select count(*), sum(id), md5(string_agg(v, '' order by id)) from kept"
    expected = site.run(query)[0]
    with closing(site.wired()) as wired:
        assert all(not m.bad_pages and not m.missing_files for m in wired.repository.manifests())
        plan, _ = restore(wired, tmp_path / "copy")
    server = start_scratch(plan, {}, SUPERUSER)
    try:
        address = scratch_address(server, SUPERUSER)
        checks = DatabaseChecks(address, SystemClock(), 600.0).run()
        assert [check for check in checks if check.outcome is Outcome.FAILED] == []
        with address.session() as connection:
            assert connection.execute(query.encode()).fetchone() == expected
            assert scalar(connection, "select count(*) from cut") == 2000
            assert scalar(connection, "select to_regclass('gone') is null") is True
    finally:
        server.stop()


@BOTH
def test_very_many_small_files(site: Site, tmp_path: Path, through_protocol: bool) -> None:
    """Every one of them comes back."""
    for begin in range(0, TABLES, 500):
        site.run(
            f"do $$ begin for i in {begin}..{begin + 499} loop execute format("
            "'create table t%s (id int primary key, v text)', i); execute format("
            "'insert into t%s values (%s, ''v'')', i, i); end loop; end $$"
        )
    manifest = site.back_up(through_protocol=through_protocol)
    assert manifest.file_count > 4 * TABLES
    with closing(site.wired()) as wired:
        plan, _ = restore(wired, tmp_path / "copy")
        with opened_copy(plan) as copy:
            number = TABLES - 1
            assert scalar(copy, f"select id from t{number}") == number
            tables = scalar(copy, "select count(*) from pg_class where relname ~ '^t[0-9]+$'")
            assert tables == TABLES
    found = sum(1 for path in (tmp_path / "copy" / "base").rglob("*") if path.is_file())
    assert found > 4 * TABLES


@pytest.mark.skipif(not NIGHTLY, reason="a gigabyte is read and written several times: nightly")
@BOTH
def test_a_relation_of_more_than_one_segment(
    site: Site, tmp_path: Path, through_protocol: bool
) -> None:
    """Blocks behind the first gigabyte come back, and after a change there as well."""
    site.run("create table big (id bigserial, v text)", "alter table big alter v set storage plain")
    site.run("insert into big (v) select repeat('0123456789', 190) from generate_series(1, 560000)")
    path = str(site.run("checkpoint", "select pg_relation_filepath('big')")[0][0])
    assert (site.data / f"{path}.1").stat().st_size > 0
    site.back_up(through_protocol=through_protocol)
    site.run("update big set v = 'changed' where id > 559990")
    site.back_up(through_protocol=through_protocol)
    query = "select count(*), sum(id), sum(length(v)) from big"
    expected = site.run(query)[0]
    with closing(site.wired()) as wired:
        plan, _ = restore(wired, tmp_path / "copy")
        with opened_copy(plan) as copy:
            assert copy.execute(query.encode()).fetchone() == expected


@BOTH
def test_large_objects(site: Site, tmp_path: Path, through_protocol: bool) -> None:
    """Their bytes come back."""
    site.run(
        "select lo_from_bytea(4711, string_agg(sha256(g::text::bytea), ''))"
        " from generate_series(1, 50000) g"
    )
    expected = site.run("select md5(lo_get(4711))")[0][0]
    site.back_up(through_protocol=through_protocol)
    with closing(site.wired()) as wired:
        plan, _ = restore(wired, tmp_path / "copy")
        with opened_copy(plan) as copy:
            assert scalar(copy, "select md5(lo_get(4711))") == expected


@BOTH
def test_tablespaces_inside_the_data_directory(
    site: Site, tmp_path: Path, through_protocol: bool
) -> None:
    """One made in place, and one whose folder lies inside the data directory."""
    inner = site.data / "inner"
    inner.mkdir(mode=0o700)
    owner = site.data.stat()
    os.chown(inner, owner.st_uid, owner.st_gid)
    site.run(f"create tablespace inner_space location '{inner}'")
    site.run(
        "create table t tablespace inner_space as select g from generate_series(1, 5000) g",
        "checkpoint",
    )
    # The server itself would not come up from a crash without it.
    site.run("alter system set allow_in_place_tablespaces = on", "select pg_reload_conf()")
    site.run("create tablespace in_place location ''")
    site.run(
        "create table u tablespace in_place as select g from generate_series(1, 6000) g",
        "checkpoint",
    )
    site.back_up(through_protocol=through_protocol)
    with closing(site.wired()) as wired:
        plan, _ = restore(wired, tmp_path / "copy")
        with opened_copy(plan) as copy:
            assert scalar(copy, "select sum(g) from t") == 12502500
            assert scalar(copy, "select sum(g) from u") == 18003000


def test_a_full_repository(make_site: SiteMaker, tmp_path: Path) -> None:
    """The backup fails and says why; what was there stays good; with room the next succeeds."""
    with small_disk(tmp_path / "disk", 60) as disk:
        site = make_site(repository=str(disk / "repository"))
        first = site.back_up()
        site.run(
            "create table t as select sha512(g::text::bytea) a, sha512((-g)::text::bytea) b"
            " from generate_series(1, 150000) g",
            "checkpoint",
        )
        ballast = disk / "ballast"
        free = os.statvfs(disk)
        ballast.write_bytes(b"\1" * (free.f_bavail * free.f_frsize - (6 << 20)))
        with pytest.raises(UnavailableError) as caught:
            site.back_up()
        assert "is full: " in caught.value.message
        with closing(site.wired()) as wired:
            assert wired.repository.backup_ids() == [first.backup_id]
            assert wired.journal.latest("backup-failed") is not None
        ballast.unlink()
        second = site.back_up()
        with closing(site.wired()) as wired:
            found = verify_repository(wired.repository, None, deep=True, progress=silent)
            assert found.findings == ()
            plan, _ = restore(wired, tmp_path / "copy")
            assert plan.manifest.backup_id == second.backup_id


def test_a_full_target(site: Site, tmp_path: Path) -> None:
    """Too small a disk is refused beforehand, with figures; the folder stays empty."""
    site.run("create table t as select repeat('x', 900) from generate_series(1, 30000)")
    site.back_up()
    with small_disk(tmp_path / "disk", 30) as disk:
        done = program(site, "restore", "latest", "--target", str(disk / "copy"))
        assert done.returncode != 0
        assert "free" in done.stderr
        assert "Traceback" not in done.stderr
        assert not (disk / "copy").exists() or not list((disk / "copy").iterdir())


def test_a_target_that_fills_up_meanwhile(site: Site, tmp_path: Path) -> None:
    """Somebody else took the room: the restore ends and says where, and nothing there can start."""
    site.back_up()
    with small_disk(tmp_path / "small", 640) as disk, closing(site.wired()) as wired:
        folder = disk / "copy"
        request = RestoreRequest(LATEST, folder, bin_dirs=wired.bin_dirs)
        plan = plan_restore(wired.repository, request)
        ballast = disk / "ballast"
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, (640 << 20) - (8 << 20))
        with pytest.raises(UnavailableError, match="No space left"):
            FileWriter(wired.repository, plan.manifest, folder, {}, silent).write()
        assert not (folder / "global/pg_control").exists()
        ballast.unlink()
        shutil.rmtree(folder)
        restore(wired, folder)


def test_another_collation_version_is_told(make_site: SiteMaker, tmp_path: Path) -> None:
    """On a machine whose library sorts otherwise, indexes may be wrong: the check names them."""
    site = make_site(15)
    if not site.run("select 1 from pg_collation where collprovider = 'i'"):
        pytest.skip("this build has no ICU")
    site.run("create collation german (provider = icu, locale = 'de')")
    site.run("update pg_collation set collversion = '1.0' where collname = 'german'")
    site.back_up()
    with closing(site.wired()) as wired:
        plan, _ = restore(wired, tmp_path / "copy")
    server = start_scratch(plan, {}, SUPERUSER)
    try:
        checks = DatabaseChecks(scratch_address(server, SUPERUSER), SystemClock(), 60.0).run()
    finally:
        server.stop()
    collations = next(check for check in checks if check.name == "collation versions")
    assert collations.outcome is Outcome.FAILED
    assert "german" in f"{collations.actual} {collations.detail}"
