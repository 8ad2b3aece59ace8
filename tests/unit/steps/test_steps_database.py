"""How a real server is, and whether its data is whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from plain_server import PlainServer, closed_port, server, server_of
from protected_site import MAJORS
from steps_ground import context_of, ground_at

from processpilot.backup.heartbeat import create_heartbeat, drop_heartbeat
from processpilot.checks.result import CheckResult, Outcome
from processpilot.postgres.connection import ServerAddress
from processpilot.runbook.action import NotHappened, StepFailedError
from processpilot.steps.database import (
    DatabaseHealth,
    VerifyData,
    database_health,
    read_only,
)

__all__ = ["server"]


def health(running: PlainServer) -> dict[str, CheckResult]:
    """Return every finding by its name."""
    return {check.name: check for check in database_health(running.address)}


@pytest.fixture
def heartbeat(server: PlainServer) -> Iterator[PlainServer]:
    """Give the server with an empty heartbeat table."""
    with server.address.session() as connection:
        create_heartbeat(connection)
        yield server
        drop_heartbeat(connection)


@pytest.mark.parametrize("major", MAJORS)
def test_a_well_server_is_well(major: int) -> None:
    """On every major: nothing is failed or unknown, and the figures are there."""
    with server_of(major) as running:
        found = health(running)
    bad = [c for c in found.values() if c.outcome in (Outcome.FAILED, Outcome.UNKNOWN)]
    assert bad == []
    assert found["database connection"].actual.startswith(f"PostgreSQL {major}")
    assert found["in recovery"].actual == "no"
    assert found["connections"].actual == "1 of 100"
    assert found["oldest transaction"].actual == "none"
    assert found["size of postgres"].actual.endswith(" bytes")
    assert "heartbeat" not in found


def test_a_slot_that_nobody_reads_is_shown_with_its_lag(server: PlainServer) -> None:
    """It keeps log on the server's disk."""
    server.run("select pg_create_physical_replication_slot('idle', true)")
    found = health(server)["replication slot idle"]
    server.run("select pg_drop_replication_slot('idle')")
    assert found.outcome is Outcome.PASSED
    assert found.actual.startswith("inactive, reserved, ")


def test_a_transaction_left_open_is_seen(server: PlainServer) -> None:
    """Our own does not count."""
    with server.address.connect(autocommit=False) as other:
        other.execute("select 1")
        found = health(server)
    assert found["oldest transaction"].actual == "0 s old"
    assert found["connections"].actual == "2 of 100"


def test_the_heartbeat_is_judged_where_there_is_one(heartbeat: PlainServer) -> None:
    """None at all and an old one are both not well."""
    assert health(heartbeat)["heartbeat"].outcome is Outcome.FAILED
    heartbeat.run("insert into processpilot.heartbeat (beat_at) values (now())")
    assert health(heartbeat)["heartbeat"].outcome is Outcome.PASSED
    heartbeat.run("update processpilot.heartbeat set beat_at = now() - interval '1 hour'")
    found = health(heartbeat)["heartbeat"]
    assert (found.outcome, found.actual) == (Outcome.FAILED, "3600.0 s old")


def test_what_a_role_may_not_see_is_unknown(server: PlainServer) -> None:
    """The other findings are still there."""
    server.run(
        "create role stranger login", "revoke execute on function pg_is_in_recovery() from public"
    )
    try:
        address = server.address.with_options(user="stranger")
        found = {check.name: check for check in database_health(address)}
    finally:
        server.run("grant execute on function pg_is_in_recovery() to public", "drop role stranger")
    assert found["in recovery"].outcome is Outcome.UNKNOWN
    assert "permission denied" in found["in recovery"].detail
    assert found["connections"].outcome is Outcome.PASSED


def test_a_server_that_is_down_is_the_finding(tmp_path: Path) -> None:
    """The step passes: it was carried out to see this. No password is told."""
    address = ServerAddress.parse(f"host=127.0.0.1 port={closed_port()} user=a", "hunter2")
    action = DatabaseHealth(ground_at(tmp_path, address=address))
    context = context_of({"action": "database-health"})
    assert action.probe(context) == NotHappened()
    result = action.execute(context)
    assert result["healthy"] is False
    (check,) = result["checks"]  # type: ignore[misc, union-attr]
    assert check["name"] == "database connection" and check["outcome"] == "failed"  # type: ignore[index, call-overload]
    assert "hunter2" not in str(result)


def test_the_step_says_whether_all_is_well(server: PlainServer, tmp_path: Path) -> None:
    """In one word, with every finding."""
    action = DatabaseHealth(ground_at(tmp_path, address=server.address))
    result = action.execute(context_of({"action": "database-health"}))
    assert result["healthy"] is True


def test_nothing_is_written_while_looking(server: PlainServer) -> None:
    """The sessions are read-only, whatever options the address has already."""
    address = server.address.with_options(options="-c work_mem=1MB")
    with read_only(address).session() as connection:
        rows = connection.execute(
            "select current_setting('transaction_read_only'), current_setting('work_mem')"
        )
        assert rows.fetchone() == ("on", "1MB")


def test_whole_data_is_verified(server: PlainServer, tmp_path: Path) -> None:
    """Every table is read; what does not apply is skipped."""
    server.run("create table goods as select 1 as a")
    action = VerifyData(ground_at(tmp_path, address=server.address))
    context = context_of({"action": "verify-data"})
    assert action.probe(context) == NotHappened()
    checks = action.execute(context)["checks"]
    server.run("drop table goods")
    assert isinstance(checks, list)
    outcomes = {check["outcome"] for check in checks}  # type: ignore[index, call-overload]
    assert outcomes == {"passed", "skipped"}


def test_data_that_is_not_whole_fails_the_step(server: PlainServer, tmp_path: Path) -> None:
    """With every check in the result."""
    server.run(
        "create table parent (a int primary key)",
        "create table child (a int references parent)",
        "set session_replication_role = replica; insert into child values (7)",
    )
    action = VerifyData(ground_at(tmp_path, address=server.address))
    try:
        with pytest.raises(StepFailedError) as caught:
            action.execute(context_of({"action": "verify-data"}))
    finally:
        server.run("drop table child, parent")
    assert "foreign keys" in caught.value.message
    assert isinstance(caught.value.result["checks"], list)


def test_what_the_time_box_cut_off_fails_the_step(server: PlainServer, tmp_path: Path) -> None:
    """Not finished is not whole."""
    server.run("create table goods as select 1 as a")
    action = VerifyData(ground_at(tmp_path, address=server.address))
    try:
        with pytest.raises(StepFailedError) as caught:
            action.execute(context_of({"action": "verify-data"}, timebox_s=1e-9))
    finally:
        server.run("drop table goods")
    assert "not finished in time" in caught.value.message
