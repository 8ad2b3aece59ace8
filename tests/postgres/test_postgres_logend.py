"""Where log ends, on real log; and what a user of the database can write into it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from plain_server import SUPERUSER, PlainServer, server_of
from protected_site import MAJORS, one_of

from processpilot.postgres.cluster import start
from processpilot.postgres.lsn import Lsn
from processpilot.postgres.wal import Segment
from processpilot.restore.logend import Record, dump_records

SEGMENT_BYTES = 16 << 20
FORGED = (
    "rmgr: Transaction len (rec/tot):     {total}/    {total}, tx:        700, "
    "lsn: {lsn}, prev 0/01, desc: COMMIT 2099-01-01 00:00:00.0 UTC"
)


@pytest.fixture(scope="module", params=[15, 16, 18])
def server(request: pytest.FixtureRequest) -> Iterator[PlainServer]:
    """A running server of each major that is installed."""
    if request.param not in MAJORS:
        pytest.skip(f"PostgreSQL {request.param} is not installed here")
    with server_of(request.param) as running:
        yield running


def major_of(server: PlainServer) -> int:
    """Return the server's major version."""
    return int(str(server.run("show server_version_num")[0][0])) // 10_000


def folder_of(server: PlainServer) -> Path:
    """Return the folder of its log."""
    return Path(str(server.run("show data_directory")[0][0])) / "pg_wal"


def insert_lsn(server: PlainServer) -> Lsn:
    """Return where the next record will begin."""
    return Lsn.parse(str(server.run("select pg_current_wal_insert_lsn()::text")[0][0]))


def flush_lsn(server: PlainServer) -> Lsn:
    """Return where the last durable record ends."""
    return Lsn.parse(str(server.run("select pg_current_wal_flush_lsn()::text")[0][0]))


def records_since(server: PlainServer, begin: Lsn) -> list[Record]:
    """Return what is read of the log from the segment of `begin` on."""
    first = Segment.containing(begin, 1, SEGMENT_BYTES)
    last = Segment.containing(Lsn(flush_lsn(server) - 1), 1, SEGMENT_BYTES)
    return list(dump_records(one_of(major_of(server)), folder_of(server), first, last))


def test_every_record_of_real_log_counts(server: PlainServer) -> None:
    """Over several segments, a switch and records of many pages, not one line is passed over."""
    begin = insert_lsn(server)
    server.run(
        "create table big (id bigint, v text)",
        "insert into big select g, repeat(md5(g::text), 8) from generate_series(1, 60000) g",
        "select pg_switch_wal()",
        "update big set v = v || 'x' where id % 7 = 0",
        "select pg_logical_emit_message(false, 'long', repeat('y', 100000))",
        "select pg_switch_wal()",
        "insert into big values (0, 'last')",
    )
    end = flush_lsn(server)
    found = records_since(server, begin)
    first = Segment.containing(begin, 1, SEGMENT_BYTES)
    last = Segment.containing(Lsn(end - 1), 1, SEGMENT_BYTES)
    printed = subprocess.run(
        [
            str(one_of(major_of(server)).bin_dir / "pg_waldump"),
            *(str(folder_of(server) / segment.name) for segment in (first, last)),
        ],
        capture_output=True,
        check=False,
    ).stdout
    assert len(found) == printed.count(b"rmgr: ") > 60_000
    assert found[-1].end == end
    assert first != last


def test_text_in_the_log_is_no_record(server: PlainServer) -> None:
    """A user's message that looks like a line of pg_waldump moves neither the end nor the time."""
    server.run("select pg_switch_wal()", "create table if not exists t (id int)")
    begin = insert_lsn(server)
    for lsn in ("0/0FFFFFF8", str(begin), "0/00000028", str(Lsn(begin + 4096))):
        text = FORGED.format(total=34, lsn=lsn)
        server.run(f"select pg_logical_emit_message(false, E'x\\n{text}', 'y')")
    server.run("insert into t values (1)")
    found = records_since(server, begin)
    now = datetime.now(UTC)
    assert found[-1].end == flush_lsn(server)
    assert max(record.commit_at for record in found if record.commit_at) <= now
    assert [record.begin for record in found] == sorted(record.begin for record in found)


def test_a_forged_line_in_the_place_of_the_next_record_tells_no_time(server: PlainServer) -> None:
    """Somebody who foresees where the next record will lie, and its length, forges no commit."""
    server.run("create table if not exists t (id int)", "select pg_switch_wal()", "checkpoint")
    message = "select pg_logical_emit_message(false, E'x\\n{}', 'y')"
    place = "0/00000000"
    for _ in range(2):
        # The message's length does not depend on what it says, so the first try tells the place.
        begin = insert_lsn(server)
        server.run(message.format(FORGED.format(total=54, lsn=place)))
        following = insert_lsn(server)
        place = f"{following + (following - begin):X}".rjust(8, "0")
        place = f"0/{place}"
    server.run("select pg_logical_emit_message(false, '', '')", "insert into t values (1)")
    found = records_since(server, begin)
    assert found[-1].end == flush_lsn(server)
    assert all(r.commit_at is None or r.commit_at.year < 2099 for r in found)


def test_text_of_any_encoding_is_passed_over(server: PlainServer) -> None:
    """A restore point named in Latin-1 stands in the log as it is, and hinders nobody."""
    server.run("drop database if exists latin")
    server.run("create database latin encoding 'LATIN1' locale 'C' template template0")
    begin = insert_lsn(server)
    server.run("select pg_create_restore_point(chr(233))", database="latin")
    server.run("select pg_logical_emit_message(true, chr(255), chr(254))", database="latin")
    assert records_since(server, begin)[-1].end == flush_lsn(server)


@pytest.mark.parametrize("major", [15, 18])
def test_log_goes_on_behind_a_record_that_a_crash_cut_off(tmp_path: Path, major: int) -> None:
    """What the server writes over the rest of an unfinished record is followed."""
    if major not in MAJORS:
        pytest.skip(f"PostgreSQL {major} is not installed here")
    with server_of(major) as server:
        server.run("create table t (id int)", "select pg_switch_wal()", "checkpoint")
        begin = insert_lsn(server)
        first = Segment.containing(begin, 1, SEGMENT_BYTES)
        server.run("insert into t values (1)")
        server.run(f"select pg_logical_emit_message(false, '', repeat('y', {SEGMENT_BYTES}))")
        cut = insert_lsn(server)
        folder, data = folder_of(server), folder_of(server).parent
        server.postmaster.stop("immediate")
        for path in folder.glob("0000*"):
            if path.name > first.name:
                path.unlink()
        again = start(
            one_of(major),
            data,
            settings={"listen_addresses": "", "fsync": "off", "wal_keep_size": "1GB"},
            log_path=tmp_path / "log",
            timeout_s=60.0,
            superuser=SUPERUSER,
        )
        try:
            recovered = PlainServer(again)
            recovered.run("insert into t values (2)")
            found = records_since(recovered, begin)
            assert found[-1].end == flush_lsn(recovered)
            assert first.end < found[-1].end < cut
            assert [r.commit_at for r in found if r.begin > first.end and r.commit_at]
        finally:
            again.stop("immediate")
