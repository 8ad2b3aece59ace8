"""Asking a real server in SQL, and probing it: answers, refusals, silence, secrets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from plain_server import PlainServer, SettableClock, closed_port, endpoint, server

from processpilot.checks.ask import ask_sql, query_scalar
from processpilot.checks.probe import HEARTBEAT_TABLE, Prober
from processpilot.checks.result import Outcome
from processpilot.plan.probe import HeartbeatProbe, SqlProbe, SqlQuery
from processpilot.postgres.connection import ServerAddress

__all__ = ["server"]

LIMIT_S = 10.0
SECRET = "hunter2"


def ask(
    server: PlainServer, query: str, expect: str | None = None, limit_s: float = LIMIT_S
) -> str | None:
    """Return what the server's answer to a query is worth."""
    return ask_sql(SqlQuery(query=query, expect=expect), server.address, limit_s)


def nobody(password: str | None = None) -> ServerAddress:
    """Return an address where nobody listens."""
    return ServerAddress.parse(f"host=127.0.0.1 port={closed_port()} user=a dbname=b", password)


@pytest.mark.parametrize(
    ("query", "expect"),
    [
        ("select 1", None),
        ("select 1", "1"),
        ("select true", "true"),
        ("select 2 < 1", "false"),
        ("select 'a b'", "a b"),
        ("select 1.50", "1.50"),
        ("select 1, 2", "1"),
        ("select null", None),
        ("select 1 where false", None),
        ("select '100%'", "100%"),
    ],
)
def test_the_first_value_is_compared_as_text(
    server: PlainServer, query: str, expect: str | None
) -> None:
    """Truth values read true and false; without an expectation any answer passes."""
    assert ask(server, query, expect) is None


@pytest.mark.parametrize(
    ("query", "found"),
    [("select 2", "2"), ("select null", "None"), ("select 1 where false", "None")],
)
def test_another_value_is_told_with_what_was_expected(
    server: PlainServer, query: str, found: str
) -> None:
    """No row and no value are not the value expected."""
    assert ask(server, query, "1") == f'the answer is "{found}", expected "1"'


def test_an_error_of_the_server_is_told_in_one_line(server: PlainServer) -> None:
    """A missing table and a query that is no SQL are findings."""
    assert ask(server, "select * from absent") == 'relation "absent" does not exist'
    assert "syntax error" in str(ask(server, "selekt"))


@pytest.mark.parametrize(
    "query", ["create table made (a int)", "delete from kept", "update kept set a = 2"]
)
def test_a_question_changes_nothing(server: PlainServer, query: str) -> None:
    """Writing is refused by the server, whatever the plan asks."""
    server.run(
        "create table if not exists kept (a int)", "truncate kept", "insert into kept values (1)"
    )
    assert "read-only transaction" in str(ask(server, query))
    assert server.run("select a from kept") == [(1,)]


def test_a_query_that_takes_too_long_is_stopped(server: PlainServer) -> None:
    """The server itself ends it, so no session is left behind."""
    assert ask(server, "select pg_sleep(60)", limit_s=0.2) == "no answer within 0.2 s"
    query = "select pid from pg_stat_activity where query like '%pg_sleep%'"
    assert server.run(f"{query} and pid <> pg_backend_pid()") == []


def test_a_server_that_is_not_there_is_told_in_one_line() -> None:
    """The address and the system's words, without advice on further lines."""
    said = ask_sql(SqlQuery(query="select 1"), nobody(), LIMIT_S)
    assert said is not None and "refused" in said and "\n" not in said


def test_a_port_that_accepts_and_says_nothing_fails(server: PlainServer) -> None:
    """A dead proxy in front of the server is no answer."""
    let_go = threading.Event()
    with endpoint(lambda connection: let_go.wait(60) and None) as port:
        address = ServerAddress.parse(f"host=127.0.0.1 port={port} user=a dbname=b")
        try:
            said = ask_sql(SqlQuery(query="select 1"), address, 0.5)
        finally:
            let_go.set()
    assert said is not None and "timeout" in said


def test_a_server_that_falls_silent_after_the_login_is_no_answer() -> None:
    """A server stuck on its disk, or behind a cut network, cannot hold the question open."""
    gone = threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.recv(8)  # SSLRequest, declined
        connection.sendall(b"N")
        connection.recv(4096)
        connection.sendall(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I")  # AuthenticationOk, ReadyForQuery
        gone.wait(1.2)

    with endpoint(serve) as port:
        address = ServerAddress.parse(
            f"host=127.0.0.1 port={port} user=a dbname=b sslmode=prefer gssencmode=disable"
        )
        said = ask_sql(SqlQuery(query="select 1"), address, 0.5)
        gone.set()
    assert said == "no answer within 0.5 s"


def test_a_question_may_name_another_database(server: PlainServer) -> None:
    """A query's own address wins over the plan's, and gets none of its password."""
    question = SqlQuery(query="select current_database()", expect="postgres")
    assert ask_sql(question, server.address.with_options(dbname="absent"), LIMIT_S) is not None
    own = question.model_copy(update={"dsn": server.address.conninfo})
    assert ask_sql(own, nobody(SECRET), LIMIT_S) is None


def test_the_password_is_hidden_wherever_it_comes_back(server: PlainServer) -> None:
    """What the server says may repeat it; what is told must not."""
    address = ServerAddress(server.address.conninfo, SECRET)
    said = ask_sql(SqlQuery(query=f"select '{SECRET}'::int"), address, LIMIT_S)
    assert said is not None and "***" in said and SECRET not in said


def test_the_password_is_hidden_where_the_line_is_cut(server: PlainServer) -> None:
    """No part of the password is left when the message ends inside it."""
    address = ServerAddress(server.address.conninfo, "hunter2" * 5)
    query = f"select '{'x' * 130} {address.password}'::int"
    said = ask_sql(SqlQuery(query=query), address, LIMIT_S)
    assert said is not None and SECRET not in said


def test_an_unexpected_value_is_told_short_and_in_one_line(server: PlainServer) -> None:
    """Details go into the journal and on screens; a table's worth of text does not."""
    said = ask(server, r"select repeat(E'word\n', 100000)", "1")
    assert said is not None and "\n" not in said and len(said) < 1000


def test_a_scalar_s_errors_are_psycopg_s(server: PlainServer) -> None:
    """Who asks for a value tells apart why there is none."""
    with pytest.raises(psycopg.errors.UndefinedTable):
        query_scalar(server.address, "select * from absent", LIMIT_S)


class TestProbes:
    """Probes of a database, run once."""

    @pytest.fixture
    def prober(self, server: PlainServer) -> Iterator[Prober]:
        """Return a prober of the server; heartbeats are gone afterwards."""
        yield Prober(server.address, Path("/"), SettableClock())
        server.run("drop schema if exists processpilot cascade")

    def beat(self, server: PlainServer, *ages_s: int) -> None:
        """Write heartbeats of these ages."""
        server.run(
            "create schema processpilot",
            f"create table {HEARTBEAT_TABLE} (beat_at timestamptz)",
            *[
                f"insert into {HEARTBEAT_TABLE} values (clock_timestamp() - interval '{age} s')"
                for age in ages_s
            ],
        )

    def test_a_probe_says_which_it_was_and_when(self, prober: Prober) -> None:
        """The result is named component.probe and stamped with an aware time."""
        before = datetime.now(UTC)
        result = prober.run("database", SqlProbe(id="connect", kind="sql", query="select 1"))
        assert (result.probe, result.outcome) == ("database.connect", Outcome.PASSED)
        assert before <= result.at <= datetime.now(UTC)
        assert (result.duration_s, result.detail) == (0.0, "")

    def test_a_fresh_heartbeat_passes(self, server: PlainServer, prober: Prober) -> None:
        """The newest row counts."""
        self.beat(server, 5000, 0)
        probe = HeartbeatProbe(id="beat", kind="heartbeat", max_age_s="1h")
        assert prober.run("database", probe).outcome is Outcome.PASSED

    def test_an_old_heartbeat_fails_with_its_age(self, server: PlainServer, prober: Prober) -> None:
        """A server that answers but writes nothing is not healthy."""
        self.beat(server, 5000)
        result = prober.run("database", HeartbeatProbe(id="beat", kind="heartbeat", max_age_s="1h"))
        assert result.outcome is Outcome.FAILED
        assert result.detail.startswith("the newest heartbeat is 50")
        assert result.detail.endswith("s old, allowed 3600")

    def test_no_heartbeat_fails(self, server: PlainServer, prober: Prober) -> None:
        """Neither an empty table nor none at all passes."""
        probe = HeartbeatProbe(id="beat", kind="heartbeat")
        assert "does not exist" in prober.run("database", probe).detail
        self.beat(server)
        result = prober.run("database", probe)
        assert (result.outcome, result.detail) == (Outcome.FAILED, "there is no heartbeat")

    def test_a_heartbeat_of_a_dead_server_fails_in_one_line(self) -> None:
        """Nobody listening is a failed probe, told without line breaks."""
        prober = Prober(nobody(SECRET), Path("/"), SettableClock())
        result = prober.run("database", HeartbeatProbe(id="beat", kind="heartbeat"))
        assert result.outcome is Outcome.FAILED
        assert "refused" in result.detail and "\n" not in result.detail
