"""The sample application over real HTTP, on a real PostgreSQL that is stopped and started."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from demo_application import (
    APPLICATION,
    PASSWORD,
    Server,
    ask,
    client,
    events,
    free_port,
    log_in,
    prepare,
    server,
    serving,
    url,
    wait_until,
)

from processpilot.demo.application.database import Database
from processpilot.demo.application.ledger import read_ledger, read_status
from processpilot.demo.application.migrate import migrate, newest_revision, revision_of
from processpilot.demo.application.seed import database_bytes, seed
from processpilot.demo.application.tables import Base

__all__ = ["client", "server", "url"]


def test_login_tells_user_and_roles(client: httpx.Client) -> None:
    """A token names its user; without one nobody is authenticated, and that is not an error."""
    assert client.get("/api/auth/status").json() == {"authenticated": False}
    status = client.get("/api/auth/status", headers=log_in(client, "manager")).json()
    assert status == {"authenticated": True, "user": "manager", "roles": ["manager"]}


def test_wrong_password_and_unknown_user_look_the_same(client: httpx.Client) -> None:
    """A stranger cannot learn from the answer which names exist."""
    sent = [{"user": "manager", "password": "wrong"}, {"user": "nobody", "password": "wrong"}]
    refused = [client.post("/api/auth/login", json=one) for one in sent]
    assert [answer.status_code for answer in refused] == [401, 401]
    assert refused[0].json() == refused[1].json()


def test_revoked_token_is_dead_and_others_live(client: httpx.Client) -> None:
    """Logging out ends this login everywhere, and only this one."""
    one, other = log_in(client, "employee"), log_in(client, "employee")
    client.post("/api/auth/logout", headers=one).raise_for_status()
    assert client.get("/api/requests", headers=one).status_code == 401
    assert client.get("/api/auth/status", headers=one).json() == {"authenticated": False}
    assert client.get("/api/requests", headers=other).status_code == 200


def test_token_is_stored_only_as_a_hash(client: httpx.Client, url: str) -> None:
    """Whoever reads the table, or a backup of it, cannot log in with what is there."""
    token = log_in(client, "admin")["Authorization"].removeprefix("Bearer ")
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT token_hash FROM sessions").fetchall()
    assert rows
    assert all(len(row[0]) == 32 and token.encode() not in row[0] for row in rows)


def test_expired_token_is_refused(client: httpx.Client, url: str) -> None:
    """A login ends by itself when its time is over."""
    headers = log_in(client, "finance")
    with psycopg.connect(url) as connection:
        connection.execute(
            "UPDATE sessions SET expires_at = now() WHERE user_id ="
            " (SELECT id FROM users WHERE name = 'finance')"
        )
    assert client.get("/api/requests", headers=headers).status_code == 401


def test_anonymous_caller_gets_nowhere(client: httpx.Client) -> None:
    """Every route about requests asks for a login."""
    assert client.get("/api/requests").status_code == 401
    assert client.get("/api/requests/1").status_code == 401
    assert client.post("/api/requests/1/approve").status_code == 401
    made = client.post("/api/requests", json={"type": "leave", "title": "x"})
    assert made.status_code == 401


def test_expenses_pass_manager_then_finance(client: httpx.Client) -> None:
    """Each step waits for its role; out of turn is 403, after the end 409, all is remembered."""
    employee, manager, finance = (log_in(client, n) for n in ("employee", "manager", "finance"))
    number = ask(client, employee, type="expenses", amount="12.50")
    approve = f"/api/requests/{number}/approve"
    assert client.post(approve, headers=finance).status_code == 403
    answer = client.post(approve, headers=manager, json={"note": "fine"})
    assert answer.json() == {"id": number, "state": "pending"}
    assert client.post(approve, headers=manager).status_code == 403
    assert client.post(approve, headers=finance).json()["state"] == "approved"
    assert client.post(approve, headers=finance).status_code == 409
    assert events(client, employee, number) == [
        ("created", "employee"),
        ("step_approved", "manager"),
        ("step_approved", "finance"),
        ("approved", "finance"),
    ]


def test_rejection_ends_the_path(client: httpx.Client) -> None:
    """After a rejection nobody is asked any more; the later steps say so."""
    employee, manager, finance = (log_in(client, n) for n in ("employee", "manager", "finance"))
    number = ask(client, employee, type="equipment", title="A standing desk")
    rejected = client.post(f"/api/requests/{number}/reject", headers=manager, json={"note": "no"})
    assert rejected.json()["state"] == "rejected"
    assert client.post(f"/api/requests/{number}/approve", headers=finance).status_code == 409
    detail = client.get(f"/api/requests/{number}", headers=employee).json()
    assert [step["state"] for step in detail["steps"]] == ["rejected", "cancelled", "cancelled"]


def test_nobody_decides_their_own_request(client: httpx.Client) -> None:
    """A manager's own leave is not the manager's to approve."""
    manager = log_in(client, "manager")
    number = ask(client, manager)
    assert client.post(f"/api/requests/{number}/approve", headers=manager).status_code == 403


def test_others_requests_are_hidden_from_employees(client: httpx.Client) -> None:
    """To somebody without an approver's role, another's request does not exist."""
    number = ask(client, log_in(client, "manager"))
    employee = log_in(client, "employee")
    assert client.get(f"/api/requests/{number}", headers=employee).status_code == 404
    assert client.get(f"/api/requests/{number}/history", headers=employee).status_code == 404
    listed = client.get("/api/requests?limit=200", headers=employee).json()["items"]
    assert {item["requester"] for item in listed} <= {"employee"}


def test_work_list_holds_what_waits_for_the_caller(client: httpx.Client) -> None:
    """A request is in the list of the role whose turn it is, and of no other."""
    number = ask(client, log_in(client, "employee"), type="expenses")
    manager, finance = log_in(client, "manager"), log_in(client, "finance")

    def waits_for(headers: dict[str, str]) -> bool:
        page = client.get("/api/requests?waiting_for_me=true&limit=200", headers=headers).json()
        return number in [item["id"] for item in page["items"]]

    assert (waits_for(manager), waits_for(finance)) == (True, False)
    client.post(f"/api/requests/{number}/approve", headers=manager).raise_for_status()
    assert (waits_for(manager), waits_for(finance)) == (False, True)


def test_same_key_makes_one_request(client: httpx.Client) -> None:
    """A client that did not hear the answer may ask again; another user may not use its key."""
    employee, key = log_in(client, "employee"), str(uuid4())
    number = ask(client, employee, key=key)
    sent = {"type": "leave", "title": "again", "key": key}
    again = client.post("/api/requests", json=sent, headers=employee)
    assert (again.status_code, again.json()["id"]) == (200, number)
    assert events(client, employee, number) == [("created", "employee")]
    stranger = client.post("/api/requests", json=sent, headers=log_in(client, "manager"))
    assert stranger.status_code == 409


def test_pages_meet_without_gap_or_overlap(client: httpx.Client) -> None:
    """Following `next_before` to the end shows every request once, newest first."""
    employee = log_in(client, "employee")
    made = {ask(client, employee, title=f"Day {number}") for number in range(5)}
    seen: list[int] = []
    query = "limit=2"
    while query:
        page = client.get(f"/api/requests?{query}", headers=employee).json()
        seen += [item["id"] for item in page["items"]]
        query = f"limit=2&before={page['next_before']}" if page["next_before"] else ""
    assert made <= set(seen)
    assert seen == sorted(set(seen), reverse=True)


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "holiday"},
        {"title": ""},
        {"title": "a\x00b"},
        {"amount": "-1"},
        {"amount": "NaN"},
        {"notes": "x" * 20_001},
        {"key": "not a key"},
        {"attachments": [{"name": "a", "content": "not base64"}]},
    ],
)
def test_malformed_request_is_refused(client: httpx.Client, fields: dict[str, object]) -> None:
    """What the tables could not hold is refused at the door, never an internal error."""
    sent = {"type": "leave", "title": "A day", **fields}
    answer = client.post("/api/requests", json=sent, headers=log_in(client, "employee"))
    assert answer.status_code == 422


def test_largest_number_is_merely_not_found(client: httpx.Client) -> None:
    """A number beyond bigint is refused, the largest inside it is looked for."""
    manager = log_in(client, "manager")
    assert client.get(f"/api/requests/{2**63 - 1}", headers=manager).status_code == 404
    assert client.get(f"/api/requests/{2**63}", headers=manager).status_code == 422


def test_frontend_is_whole_and_loads_nothing_foreign(client: httpx.Client) -> None:
    """The page and its two files are served; none of them names another host."""
    paths = ("/", "/static/app.css", "/static/app.js")
    served = [client.get(path) for path in paths]
    assert [answer.status_code for answer in served] == [200, 200, 200]
    assert not any(re.search("https?://", answer.text) for answer in served)
    assert "default-src 'self'" in served[0].headers["Content-Security-Policy"]


def test_detailed_health_counts(client: httpx.Client) -> None:
    """The report rests on the database: latency, revision, counts, the newest request."""
    ask(client, log_in(client, "employee"))
    answer = client.get("/health/detailed")
    report = answer.json()
    assert (answer.status_code, report["status"], report["reasons"]) == (200, "ok", [])
    assert report["database"]["reachable"] is True
    assert report["migrations"] == {"current": newest_revision(), "needed": newest_revision()}
    assert report["counts"]["users"] == 4
    assert report["counts"]["requests"] >= 1
    assert report["counts"]["newest_request_at"] is not None


def test_history_cannot_be_rewritten(client: httpx.Client, url: str) -> None:
    """Even the owner of the table is refused to change, delete or empty history."""
    ask(client, log_in(client, "employee"))
    for statement in (
        b"UPDATE history SET note = 'x'",
        b"DELETE FROM history",
        b"TRUNCATE history",
    ):
        with (
            psycopg.connect(url) as connection,
            pytest.raises(psycopg.errors.RestrictViolation, match="append-only"),
        ):
            connection.execute(statement)


def test_database_away_is_503_and_its_return_is_enough(server: Server) -> None:
    """With the database stopped every route says 503; started again, the same process works."""
    url = server.create()
    prepare(url)
    with serving(url) as client:
        employee = log_in(client, "employee")
        number = ask(client, employee)
        server.stop()
        try:
            for path in ("/api/health", "/health/detailed", "/api/auth/status", "/api/requests"):
                assert client.get(path, headers=employee).status_code == 503, path
            assert client.get("/api/auth/status").status_code == 503
            sent = {"user": "employee", "password": PASSWORD}
            assert client.post("/api/auth/login", json=sent).status_code == 503
            assert client.get("/health/detailed").json()["reasons"]
        finally:
            server.start()
        assert client.get("/api/health").json() == {"status": "ok"}
        assert client.get(f"/api/requests/{number}", headers=employee).status_code == 200


def test_restart_between_two_requests_goes_unnoticed(server: Server) -> None:
    """Connections that died while idle are replaced before anybody's request meets them."""
    url = server.create()
    prepare(url)
    with serving(url) as client:
        employee = log_in(client, "employee")
        server.stop()
        server.start()
        assert client.get("/api/requests", headers=employee).status_code == 200


def test_frozen_database_is_503_too(server: Server) -> None:
    """A database that accepts connections and answers nothing does not hang the application."""
    url = server.create()
    prepare(url)
    with serving(url) as client, psycopg.connect(server.url("postgres")) as watcher:
        log_in(client, "employee")
        name = url.rsplit("/", 1)[1]
        inside = server.directory / "postmaster.pid"
        postmaster = int(inside.read_text().splitlines()[0])
        rows = watcher.execute("SELECT pid FROM pg_stat_activity WHERE datname = %s", (name,))
        frozen = [postmaster, *(row[0] for row in rows)]
        for process in frozen:
            os.kill(process, signal.SIGSTOP)
        try:
            assert client.get("/api/health").status_code == 503
        finally:
            for process in frozen:
                os.kill(process, signal.SIGCONT)
        wait_until(lambda: client.get("/api/health").status_code == 200, "healthy again")


def test_read_only_database_is_503_for_changes_only(server: Server) -> None:
    """While the database refuses writes, as a standby does, reading goes on."""
    url = server.create()
    prepare(url)
    name = url.rsplit("/", 1)[1]
    with serving(url) as client:
        employee = log_in(client, "employee")
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            connection.execute(
                f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode()
            )
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                (name,),
            )
        sent = {"type": "leave", "title": "A day"}
        answer = client.post("/api/requests", json=sent, headers=employee)
        assert answer.status_code == 503
        assert client.get("/api/requests", headers=employee).json()["items"] == []


def test_migrate_command_prepares_an_empty_database(server: Server, tmp_path: Path) -> None:
    """`--migrate` takes an empty database to the newest revision, and twice is as once."""
    url = server.create()
    secret = tmp_path / "address"
    secret.write_text(url)
    secret.chmod(0o600)
    environment = {**os.environ, "DATABASE_URL_FILE": str(secret)}
    for _ in range(2):
        command = [sys.executable, "-m", APPLICATION, "--migrate"]
        subprocess.run(command, check=True, env=environment, timeout=60)
    database = Database(url)
    with database.engine.connect() as connection:
        assert revision_of(connection) == newest_revision()
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []
    database.close()


def test_unmigrated_database_is_a_reason_not_a_crash(server: Server) -> None:
    """On an empty database the report says which revision is missing, and login says 503."""
    with serving(server.create()) as client:
        answer = client.get("/health/detailed")
        assert answer.status_code == 503
        assert answer.json()["migrations"] == {"current": None, "needed": newest_revision()}
        assert newest_revision() in answer.json()["reasons"][0]
        sent = {"user": "employee", "password": PASSWORD}
        assert client.post("/api/auth/login", json=sent).status_code == 503


def test_old_revision_is_a_reason(server: Server) -> None:
    """A database restored to before the last migration is found out."""
    url = server.create()
    database = Database(url)
    migrate(database, "0001")
    database.close()
    with serving(url) as client:
        answer = client.get("/health/detailed")
    assert answer.status_code == 503
    assert answer.json()["reasons"] == [f"the tables are at revision 0001, not {newest_revision()}"]


def test_migrate_command_without_database_says_why() -> None:
    """A database that is not there ends the command with a message and status 1."""
    address = f"postgresql://postgres@127.0.0.1:{free_port()}/x"
    command = [sys.executable, "-m", APPLICATION, "--migrate"]
    ended = subprocess.run(
        command, env={**os.environ, "DATABASE_URL": address}, capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert "the database is away" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_seed_reaches_the_wished_size_with_sound_rows(server: Server) -> None:
    """20 MB asked for are 20 MB within a quarter, and steps and history fit every request."""
    url = server.create()
    database = Database(url)
    migrate(database)
    database.close()
    told: list[tuple[int, int]] = []
    wished = 20_000_000
    source = random.Random(7)
    reached = seed(url, wished, lambda *at: told.append(at), password=PASSWORD, source=source)
    assert told[-1] == (reached, wished)
    with psycopg.connect(url) as connection:
        assert wished <= database_bytes(connection) < wished * 5 / 4
        for statement in UNSOUND.values():
            assert connection.execute(statement.encode()).fetchone() == (0,), statement
    with serving(url) as client:
        finance = log_in(client, "finance")
        page = client.get("/api/requests?waiting_for_me=true&limit=5", headers=finance).json()
        assert page["items"] == []
        manager = log_in(client, "manager")
        page = client.get("/api/requests?waiting_for_me=true&limit=5", headers=manager).json()
        number = page["items"][0]["id"]
        answer = client.post(f"/api/requests/{number}/approve", headers=manager)
        assert answer.status_code == 200


UNSOUND = {
    "without steps": "SELECT count(*) FROM requests r WHERE NOT EXISTS"
    " (SELECT FROM approval_steps s WHERE s.request_id = r.id)",
    "without beginning": "SELECT count(*) FROM requests r WHERE 1 <>"
    " (SELECT count(*) FROM history h WHERE h.request_id = r.id AND event = 'created')",
    "without end": "SELECT count(*) FROM requests r WHERE state <> 'pending' AND 1 <>"
    " (SELECT count(*) FROM history h WHERE h.request_id = r.id AND h.event = r.state)",
    "ended too early": "SELECT count(*) FROM requests r WHERE state = 'pending' AND EXISTS"
    " (SELECT FROM history h WHERE h.request_id = r.id AND h.event <> 'created')",
}


def test_seed_twice_adds_nothing_once_large_enough(server: Server) -> None:
    """A database already as large as wished keeps its requests; the password is renewed."""
    url = server.create()
    prepare(url)
    for password in ("before", PASSWORD):
        source = random.Random(1)
        seed(url, 1, lambda *at: None, password=password, source=source)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM requests").fetchone() == (0,)
    with serving(url) as client:
        log_in(client, "employee")


def test_load_promises_only_what_the_table_keeps(server: Server, tmp_path: Path) -> None:
    """Through a crash of the database, every key in the ledger is in the table."""
    url = server.create()
    prepare(url)
    ledger, secret = tmp_path / "keys", tmp_path / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    status = tmp_path / "keys.status.json"
    with serving(url) as client:
        load = start_load(client, ledger, secret)
        try:
            wait_until(lambda: recorded(ledger) >= 20, "20 requests acknowledged")
            server.stop()
            wait_until(lambda: failures(status) > 0, "the outage is noticed")
            before = recorded(ledger)
            server.start()
            wait_until(lambda: recorded(ledger) >= before + 20, "20 requests more")
            with psycopg.connect(url) as connection:
                connection.execute("UPDATE sessions SET revoked_at = now()")
            before = recorded(ledger)
            wait_until(lambda: recorded(ledger) >= before + 5, "logged in again")
        finally:
            load.terminate()
        assert load.wait(20) == 0
    keys = read_ledger(ledger)
    with psycopg.connect(url) as connection:
        stored = {row[0] for row in connection.execute("SELECT key FROM requests")}
        approved = connection.execute(
            "SELECT count(*) FROM requests WHERE state = 'approved'"
        ).fetchone()
    assert keys <= stored
    final = json.loads(status.read_text())
    assert final["acknowledged"] == len(keys) == recorded(ledger)
    assert final["failed"] == final["sent"] - final["acknowledged"] >= final["turned_away"] > 0
    assert read_status(status).turned_away == final["turned_away"]
    assert approved is not None
    assert approved[0] >= final["approved"] > 0


def start_load(client: httpx.Client, ledger: Path, secret: Path) -> subprocess.Popen[bytes]:
    """Run the load generator as its users do."""
    options = {
        "--url": str(client.base_url),
        "--ledger": str(ledger),
        "--rate": "50",
        "--user": "employee",
        "--approver": "manager",
        "--password-file": str(secret),
    }
    words = [word for option in options.items() for word in option]
    return subprocess.Popen([sys.executable, "-m", f"{APPLICATION}.load", *words])


def recorded(ledger: Path) -> int:
    """Return how many keys the ledger holds."""
    return ledger.read_text().count("\n") if ledger.exists() else 0


def failures(status: Path) -> int:
    """Return how many requests the status counts as failed."""
    return int(json.loads(status.read_text())["failed"])


def test_cut_last_line_of_a_ledger_is_left_out(tmp_path: Path) -> None:
    """A key that was being written when the machine died was promised to nobody."""
    whole = UUID(int=7)
    path = tmp_path / "keys"
    path.write_text(f"{whole}\n{str(UUID(int=8))[:20]}")
    assert read_ledger(path) == {whole}
