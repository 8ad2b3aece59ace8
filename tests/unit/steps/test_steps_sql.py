"""Statements as steps, on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from plain_server import PlainServer, closed_port, server
from steps_ground import context_of, ground_at

from processpilot.errors import UnavailableError
from processpilot.postgres.connection import ServerAddress
from processpilot.runbook.action import CannotTell, NotHappened, StepFailedError
from processpilot.steps.sql import ExecuteStatement, only_reads

__all__ = ["server"]


@pytest.fixture
def table(server: PlainServer) -> Iterator[PlainServer]:
    """Give the server with a table `t` of three rows."""
    server.run("create table t (a int)", "insert into t values (1), (2), (3)")
    yield server
    server.run("drop table t")


def execute(server: PlainServer, query: str, **more: object) -> dict[str, Any]:
    """Return what executing a statement gives."""
    settings = {"action": "sql", "query": query, **more}
    action = ExecuteStatement(ground_at(Path("/"), address=server.address))
    return dict(action.execute(context_of(settings)))


def rows(server: PlainServer) -> int:
    """Return how many rows the table has."""
    return len(server.run("select * from t"))


@pytest.mark.parametrize(
    ("query", "value", "count"),
    [
        ("select 1, 2", "1", 1),
        ("select true", "true", 1),
        ("select null", None, 1),
        ("select 1 where false", None, 0),
        ("update t set a = a + 1", None, 3),
        ("delete from t where a > 1 returning a", "2", 2),
        ("set work_mem = '1MB'; select 7", "7", 1),
        ("select '100%'", "100%", 1),
    ],
)
def test_first_value_and_rows_are_told(
    table: PlainServer, query: str, value: str | None, count: int
) -> None:
    """As text; of several statements the first answer counts, and the rows of all."""
    result = execute(table, query)
    assert (result["value"], result["rows"]) == (value, count)


def test_what_was_done_is_committed(table: PlainServer) -> None:
    """On return."""
    execute(table, "delete from t where a = 1")
    assert rows(table) == 2


def test_another_answer_than_expected_leaves_nothing_done(table: PlainServer) -> None:
    """The transaction is rolled back, and the result says what came."""
    with pytest.raises(StepFailedError) as caught:
        execute(table, "delete from t returning a", expect="9")
    assert caught.value.message == 'the answer is "1", expected "9"; rolled back'
    assert caught.value.result["rows"] == 3
    assert rows(table) == 3
    execute(table, "delete from t returning a", expect="1")
    assert rows(table) == 0


def test_a_statement_that_takes_too_long_is_ended(table: PlainServer) -> None:
    """By the server, and rolled back."""
    with pytest.raises(UnavailableError) as caught:
        execute(table, "delete from t; select pg_sleep(60)", timeout="0.3s")
    assert caught.value.message == "the statement did not end within 0.3 s; rolled back"
    assert rows(table) == 3


def test_a_statement_that_the_server_refuses_is_told_in_its_words(table: PlainServer) -> None:
    """It will not be different the next time."""
    with pytest.raises(UnavailableError) as caught:
        execute(table, "select * from nowhere")
    assert caught.value.message.endswith('relation "nowhere" does not exist')
    assert not caught.value.transient


def test_a_constraint_that_is_checked_at_the_end_is_a_refusal(table: PlainServer) -> None:
    """Also where only the commit finds it."""
    table.run(
        "create table p (a int primary key)",
        "create table c (a int references p deferrable initially deferred)",
    )
    with pytest.raises(UnavailableError) as caught:
        execute(table, "insert into c values (1)")
    table.run("drop table c, p")
    assert "violates foreign key" in caught.value.message


def test_another_database_can_be_named(server: PlainServer) -> None:
    """By its own address."""
    server.run("create database other")
    dsn = server.address.with_options(dbname="other").conninfo
    assert execute(server, "select current_database()", dsn=dsn)["value"] == "other"
    server.run("drop database other")


def test_no_server_is_a_passing_failure_without_the_password(tmp_path: Path) -> None:
    """It may be on its way up."""
    address = ServerAddress.parse(f"host=127.0.0.1 port={closed_port()} user=a", "hunter2")
    action = ExecuteStatement(ground_at(tmp_path, address=address))
    with pytest.raises(UnavailableError) as caught:
        action.execute(context_of({"action": "sql", "query": "select 1"}))
    assert caught.value.transient
    assert "hunter2" not in caught.value.message


def test_a_server_that_dies_before_it_answers_leaves_it_unknown(table: PlainServer) -> None:
    """The connection's end is told; the statement was not committed."""
    with pytest.raises(UnavailableError):
        execute(table, "delete from t; select pg_terminate_backend(pg_backend_pid())")
    assert rows(table) == 3


@pytest.mark.parametrize(
    "query",
    [
        "select 1",
        "SELECT count(*) FROM t WHERE a IN (1, 2);",
        "show server_version",
        "table t",
        "values (1), (2)",
        "select 'a; drop(table)' from t -- grant(all)",
    ],
)
def test_a_plain_question_may_be_asked_again(query: str) -> None:
    """It changes nothing."""
    assert only_reads(query)


@pytest.mark.parametrize(
    "query",
    [
        "update t set a = 1",
        "select refund_everything()",
        "select pg_promote()",
        'select "Refund"(1)',
        "select 1; delete from t",
        "select * into u from t",
        "with gone as (delete from t returning a) select * from gone",
        "select $$x$$, f ()",
        r"select E'\'', refund() --'",
        "selection",
        "call refund()",
        "",
    ],
)
def test_whatever_may_change_something_is_a_question_for_people(query: str) -> None:
    """In doubt it is not repeated by itself."""
    assert not only_reads(query)


def test_the_probe_says_the_same(tmp_path: Path) -> None:
    """Asking again is safe, writing again is not known to be."""
    action = ExecuteStatement(ground_at(tmp_path))
    assert action.probe(context_of({"action": "sql", "query": "select 1"})) == NotHappened()
    assert action.probe(context_of({"action": "sql", "query": "delete from t"})) == CannotTell()
