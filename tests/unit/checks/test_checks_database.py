"""Whether data is whole, asked of a real server: what passes, what is found, what stays unknown."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from plain_server import PlainServer, SettableClock, closed_port, server, server_of
from protected_site import MAJORS

from processpilot.checks.database import DatabaseChecks
from processpilot.checks.result import CheckResult, Outcome
from processpilot.postgres.connection import ServerAddress

__all__ = ["server"]

SHOP = "shop"
TABLES, KEYS, INDEXES = "every table can be read", "foreign keys", "indexes (amcheck)"
PAIR = (
    "create table parent (a int, b int, primary key (a, b))",
    "create table child (b int, a int, foreign key (a, b) references parent (a, b))",
    "insert into parent values (1, 2)",
    "insert into child (a, b) values (1, 2), (null, 9), (9, null)",
)


@pytest.fixture
def shop(server: PlainServer) -> Iterator[PlainServer]:
    """Give the server with an empty database `shop`, dropped afterwards."""
    server.run(f"create database {SHOP}")
    yield server
    server.run(f"drop database {SHOP} with (force)")


def run(server: PlainServer, *statements: str) -> None:
    """Execute statements in the shop."""
    server.run(*statements, database=SHOP)


def look(server: PlainServer, limit_s: float = 60.0) -> dict[str, CheckResult]:
    """Return every check's result by name."""
    found = DatabaseChecks(server.address, SettableClock(), limit_s).run()
    return {result.name: result for result in found}


def test_a_sound_server_passes(shop: PlainServer) -> None:
    """Every table of every database is counted, and all but the absent extension is green."""
    run(shop, *PAIR, "create table empty ()", 'create table "Od d" (x text)')
    found = look(shop)
    assert {n: r.outcome for n, r in found.items() if r.outcome is not Outcome.PASSED} == {
        INDEXES: Outcome.SKIPPED
    }
    assert found[TABLES].actual == "4 tables without fault, 4 rows"
    assert found[KEYS].actual == "1 keys without fault"
    assert found["database connections"].actual == "3 databases answer"


def test_materialized_views_and_partitions_are_read(shop: PlainServer) -> None:
    """A partitioned table is read through its parts, a view that was never filled is left out."""
    run(
        shop,
        "create table whole (a int) partition by range (a)",
        "create table part partition of whole for values from (0) to (9)",
        "insert into whole values (1)",
        "create materialized view filled as select * from whole",
        "create materialized view unfilled as select * from whole with no data",
    )
    assert look(shop)[TABLES].actual == "2 tables without fault, 2 rows"


def test_a_row_that_points_nowhere_is_found(shop: PlainServer) -> None:
    """Deleted behind the constraint's back, as damage would; nulls point nowhere by right."""
    run(shop, *PAIR, "set session_replication_role = replica; delete from parent")
    result = look(shop)[KEYS]
    assert (result.outcome, result.expected) == (Outcome.FAILED, "1 keys without fault")
    assert result.detail == "public.child breaks child_a_b_fkey"


def test_keys_that_were_never_valid_are_left_out(shop: PlainServer) -> None:
    """What the owner declared unchecked is not damage."""
    run(
        shop,
        "create table parent (a int primary key)",
        "create table child (a int)",
        "insert into child values (7)",
        "alter table child add foreign key (a) references parent not valid",
    )
    assert look(shop)[KEYS].actual == "0 keys without fault"


def test_a_table_that_cannot_be_read_is_found(shop: PlainServer) -> None:
    """A damaged page is the server's complaint, told with the table; the others are still read."""
    run(shop, "create table bad as select 1 as a", "create table good as select 1 as a, 2 as b")
    # A copy of the files has never been in the server's memory, so the damage will be read.
    shop.run("create database copied template shop strategy file_copy")
    query = "select d.oid, c.relfilenode from pg_database d, pg_class c"
    where = "where d.datname = 'copied' and c.relname = 'bad'"
    ((database, file),) = shop.run(f"{query} {where}", database=SHOP)
    path = shop.postmaster.data_dir / f"base/{database}/{file}"
    raw = bytearray(path.read_bytes())
    raw[8000] ^= 0xFF
    path.write_bytes(raw)
    try:
        result = look(shop)[TABLES]
    finally:
        shop.run("drop database copied with (force)")
    assert result.outcome is Outcome.FAILED
    assert result.detail.startswith("public.bad: invalid page in block 0")
    assert result.actual == "3 tables without fault, 1 with, 3 rows"


def test_indexes_are_examined_where_amcheck_is_installed() -> None:
    """In whichever schema the extension is; an index in a wrong order is found."""
    with server_of(MAJORS[0]) as oldest:
        if not oldest.run("select 1 from pg_available_extensions where name = 'amcheck'"):
            pytest.skip("amcheck is not installed here")
        oldest.run(
            'create schema "Extra"',
            'create extension amcheck schema "Extra"',
            "create table t as select g as a from generate_series(1, 100) g",
            "create index by_a on t (a)",
        )
        assert look(oldest)[INDEXES].outcome is Outcome.PASSED
        # The order the catalogue claims is now the reverse of the one the index was built in.
        oldest.run("update pg_index set indoption = '3' where indexrelid = 'by_a'::regclass")
        result = look(oldest)[INDEXES]
    assert result.outcome is Outcome.FAILED
    assert result.detail.startswith("by_a: ")


def test_without_amcheck_indexes_are_not_called_sound(shop: PlainServer) -> None:
    """Not looked at is skipped, with the reason."""
    result = look(shop)[INDEXES]
    assert result.outcome is Outcome.SKIPPED
    assert result.detail == "no database has the extension amcheck"


def test_a_collation_of_another_version_is_found(shop: PlainServer) -> None:
    """Indexes were built in an order that may not be this machine's."""
    run(shop, "update pg_collation set collversion = '0.1' where collname = 'ucs_basic'")
    result = look(shop)["collation versions"]
    assert result.outcome is Outcome.FAILED
    assert result.detail.startswith("shop: collation ucs_basic was built with 0.1, here is ")


def test_what_was_not_finished_in_time_is_unknown(shop: PlainServer) -> None:
    """Neither passed nor failed; what needs no reading is still compared."""
    run(shop, *PAIR)
    found = look(shop, -1.0)
    assert found[TABLES].outcome is Outcome.UNKNOWN
    assert found[KEYS].outcome is Outcome.UNKNOWN
    assert found[TABLES].detail.endswith("not finished in time")
    assert found["collation versions"].outcome is Outcome.PASSED


def test_a_statement_that_takes_too_long_is_stopped(shop: PlainServer) -> None:
    """The time left is the server's limit too, so one locked table cannot hold everything up."""
    run(shop, "create table held (a int)")
    with shop.address.with_options(dbname=SHOP).connect(autocommit=False) as other:
        other.execute("lock table held in access exclusive mode")
        found = look(shop, 0.5)
    assert found[TABLES].outcome is Outcome.UNKNOWN
    assert found[TABLES].detail == "; not finished in time"


def test_a_server_that_is_not_there_fails_the_first_check() -> None:
    """And only that: of the others nothing is known."""
    address = ServerAddress.parse(f"host=127.0.0.1 port={closed_port()} user=a", "hunter2")
    (result,) = DatabaseChecks(address, SettableClock(), 60.0).run()
    assert (result.name, result.outcome) == ("database connections", Outcome.FAILED)
    assert "hunter2" not in result.actual


def test_one_database_that_refuses_is_not_passed_over(shop: PlainServer) -> None:
    """A half-dropped database keeps the result from being green."""
    run(shop, "update pg_database set datconnlimit = -2 where datname = 'template1'")
    try:
        found = look(shop)
    finally:
        run(shop, "update pg_database set datconnlimit = -1 where datname = 'template1'")
    assert found["database connections"].outcome is Outcome.FAILED
