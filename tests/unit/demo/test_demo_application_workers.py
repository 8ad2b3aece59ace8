"""The workers beside the sample application: mail over real SMTP, figures equal to the data."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest
from demo_application import (
    APPLICATION,
    Server,
    ask,
    free_port,
    listens,
    log_in,
    prepare,
    running,
    server,
    serving,
    wait_until,
)

from processpilot.demo.application.accounts import Caller
from processpilot.demo.application.database import Database
from processpilot.demo.application.rollups import advance, differences, rebuild
from processpilot.demo.application.workflow import Draft, create_request
from processpilot.demo.sink import Received, count_received, read_messages

MAIL = f"{APPLICATION}.mail"
ANALYTICS = f"{APPLICATION}.analytics"
SINK = "processpilot.demo.sink"

__all__ = ["server"]


@pytest.fixture
def url(server: Server) -> str:
    """Give the address of a migrated database of this test's own."""
    made = server.create()
    prepare(made)
    return made


@dataclass(frozen=True)
class Postbox:
    """Where mail goes in a test."""

    port: int
    file: Path

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def received(self) -> Received:
        return count_received(self.file)

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        with running(SINK, "--port", str(self.port), "--file", str(self.file)):
            wait_until(lambda: listens(self.port), "the mail server listens")
            yield


@pytest.fixture
def postbox(tmp_path: Path) -> Postbox:
    """Give a mail server that is not running yet."""
    return Postbox(free_port(), tmp_path / "messages.jsonl")


def scalar(url: str, statement: str) -> object:
    """Return the first value of a query's answer."""
    with psycopg.connect(url) as connection:
        row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return row[0]


def status_of(module: str, url: str) -> subprocess.CompletedProcess[str]:
    """Ask a worker's status command."""
    return subprocess.run(
        [sys.executable, "-m", module, "--status"],
        env={**os.environ, "DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def unsent(url: str) -> object:
    """Return how many mails still have to be sent."""
    return scalar(url, "SELECT count(*) FROM outbox WHERE sent_at IS NULL")


def test_every_turn_and_every_end_is_told_to_whom_it_concerns(url: str) -> None:
    """Approvers hear of their turn, the requester of the end, and nobody of anything else."""
    with serving(url) as client:
        people = {name: log_in(client, name) for name in ("employee", "manager", "finance")}
        number = ask(client, people["employee"], type="expenses", title="A train")
        ask(client, people["manager"], title="The manager's own leave")
        approve = f"/api/requests/{number}/approve"
        for name in ("manager", "finance"):
            client.post(approve, headers=people[name]).raise_for_status()
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT o.event, o.position, u.name FROM outbox o"
            " JOIN users u ON u.id = o.recipient_id ORDER BY o.id"
        ).fetchall()
    assert rows == [
        ("asked", 1, "manager"),
        ("asked", 2, "finance"),
        ("approved", 2, "employee"),
    ]


def test_a_request_that_is_rolled_back_leaves_no_mail(url: str) -> None:
    """Mail and what it tells are one transaction: neither is there without the other."""
    database = Database(url)
    caller = Caller(int(str(scalar(url, "SELECT min(id) FROM users"))), "employee", frozenset())

    def broken() -> None:
        with database.transaction() as session:
            create_request(session, caller, Draft(uuid4(), "leave", "Never"))
            raise KeyError

    with pytest.raises(KeyError):
        broken()
    database.close()
    assert scalar(url, "SELECT count(*) FROM outbox") == 0
    assert scalar(url, "SELECT count(*) FROM requests") == 0


def test_mail_unsent_while_the_worker_was_down_is_sent_once(url: str, postbox: Postbox) -> None:
    """The worker is killed, requests go on, it is started again: every message came once."""
    with postbox.opened(), serving(url) as client:
        employee = log_in(client, "employee")
        with running(MAIL, DATABASE_URL=url, SMTP_URL=postbox.url) as worker:
            for _ in range(5):
                ask(client, employee)
            wait_until(lambda: unsent(url) == 0, "the first mails are sent")
            worker.send_signal(signal.SIGKILL)
            worker.wait(20)
        for _ in range(25):
            ask(client, employee)
        assert postbox.received == Received(5, 0)
        with running(MAIL, DATABASE_URL=url, SMTP_URL=postbox.url):
            wait_until(lambda: unsent(url) == 0, "the others are sent")
    assert postbox.received == Received(30, 0)
    assert scalar(url, "SELECT count(*) FROM outbox WHERE refusal IS NOT NULL") == 0


def test_two_workers_send_no_message_twice(url: str, postbox: Postbox) -> None:
    """What one of them holds, the other leaves alone."""
    with serving(url) as client:
        employee = log_in(client, "employee")
        for _ in range(40):
            ask(client, employee)
    with (
        postbox.opened(),
        running(MAIL, DATABASE_URL=url, SMTP_URL=postbox.url),
        running(MAIL, DATABASE_URL=url, SMTP_URL=postbox.url),
    ):
        wait_until(lambda: unsent(url) == 0, "all are sent")
    assert postbox.received == Received(40, 0)


def test_a_message_accepted_and_not_marked_is_recognised(url: str, postbox: Postbox) -> None:
    """A worker that dies in between repeats itself, and the Message-ID says so."""
    with serving(url) as client:
        ask(client, log_in(client, "employee"))
    with postbox.opened(), running(MAIL, DATABASE_URL=url, SMTP_URL=postbox.url):
        wait_until(lambda: unsent(url) == 0, "it is sent")
        with psycopg.connect(url) as connection:
            connection.execute("UPDATE outbox SET sent_at = NULL")
        wait_until(lambda: unsent(url) == 0, "it is sent again")
    assert postbox.received == Received(1, 1)


def test_a_mail_server_that_is_away_is_waited_for(url: str, postbox: Postbox) -> None:
    """Nothing is lost or refused while nobody takes the mail."""
    with serving(url) as client, running(MAIL, DATABASE_URL=url, SMTP_URL=postbox.url):
        ask(client, log_in(client, "employee"))
        wait_until(lambda: scalar(url, "SELECT count(*) FROM workers") == 1, "the worker came by")
        assert unsent(url) == 1
        with postbox.opened():
            wait_until(lambda: unsent(url) == 0, "it is sent")
    assert [m["to"] for m in read_messages(postbox.file)] == [["manager@localhost"]]


def test_mail_is_held_back_while_the_feature_is_off(url: str, postbox: Postbox) -> None:
    """Switched off, mail waits and nobody calls that a backlog; switched on, it is sent."""
    switch = "UPDATE features SET enabled = {} WHERE name = 'email-notifications' RETURNING name"
    scalar(url, switch.format("false"))
    with (
        postbox.opened(),
        serving(url) as client,
        running(MAIL, DATABASE_URL=url, SMTP_URL=postbox.url),
    ):
        ask(client, log_in(client, "employee"))
        scalar(url, "UPDATE outbox SET created_at = now() - interval '1 hour' RETURNING id")
        wait_until(lambda: status_of(MAIL, url).returncode == 0, "the worker is well")
        assert postbox.received == Received(0, 0)
        scalar(url, switch.format("true"))
        wait_until(lambda: postbox.received == Received(1, 0), "it is sent")


def test_a_name_that_makes_no_address_stops_nobody_else(url: str, postbox: Postbox) -> None:
    """What can never be sent is put aside with its reason; the rest goes out."""
    scalar(
        url, "UPDATE users SET name = 'no address' || chr(10) WHERE name = 'manager' RETURNING 1"
    )
    with serving(url) as client:
        employee, admin = log_in(client, "employee"), log_in(client, "admin")
        ask(client, employee)
        scalar(
            url,
            "INSERT INTO user_roles SELECT u.id, r.id FROM users u, roles r"
            " WHERE u.name = 'admin' AND r.name = 'manager' RETURNING 1",
        )
        ask(client, employee)
        assert admin
    with postbox.opened(), running(MAIL, DATABASE_URL=url, SMTP_URL=postbox.url):
        wait_until(
            lambda: scalar(url, "SELECT count(*) FROM outbox WHERE refusal IS NOT NULL") == 2,
            "two are put aside",
        )
        wait_until(lambda: postbox.received.messages == 1, "the other is sent")


@pytest.mark.parametrize("module", [MAIL, ANALYTICS])
def test_a_worker_that_never_came_round_is_not_well(url: str, module: str) -> None:
    """Not run is never green."""
    asked = status_of(module, url)
    assert (asked.returncode, "it has never run" in asked.stdout) == (1, True)


@pytest.mark.parametrize(
    ("module", "name", "late"),
    [
        (MAIL, "email", "UPDATE outbox SET created_at = created_at - interval '1 hour'"),
        (
            ANALYTICS,
            "analytics",
            "INSERT INTO history (request_id, actor_id, event, created_at)"
            " SELECT id, requester_id, 'created', now() - interval '1 hour' FROM requests",
        ),
    ],
)
def test_a_worker_that_is_behind_or_gone_is_not_well(
    url: str, module: str, name: str, late: str
) -> None:
    """Work left undone is told, and so is a worker that was not seen lately."""
    with serving(url) as client:
        ask(client, log_in(client, "employee"))
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO workers VALUES (%s, now())", (name,))
    assert status_of(module, url).returncode == 0
    with psycopg.connect(url) as connection:
        connection.execute(late.encode())
    asked = status_of(module, url)
    assert (asked.returncode, "allowed 30" in asked.stdout) == (1, True)
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE workers SET beat_at = now() - interval '1 minute'")
    assert re.search(r"last seen (6|7)\d s ago", status_of(module, url).stdout)


def in_transaction(url: str, work: Callable[..., int]) -> int:
    """Do some of the rollups' work as the worker does."""
    database = Database(url)
    try:
        with database.transaction() as session:
            return work(session)
    finally:
        database.close()


def busy(client: httpx.Client) -> None:
    """Make requests of every kind, some of them decided."""
    employee, manager = log_in(client, "employee"), log_in(client, "manager")
    for kind in ("leave", "expenses", "equipment"):
        first, second, _ = (ask(client, employee, type=kind) for _ in range(3))
        client.post(f"/api/requests/{first}/approve", headers=manager).raise_for_status()
        client.post(f"/api/requests/{second}/reject", headers=manager).raise_for_status()


def test_rollups_follow_every_change(url: str) -> None:
    """Added up step by step they say what a query over the requests says."""
    with serving(url) as client:
        for _ in range(3):
            busy(client)
            in_transaction(url, advance)
            assert in_transaction(url, differences) == 0
    counted = Counter(dict(scalar_rows(url, "SELECT state, sum(requests) FROM request_rollups")))
    assert counted == {"pending": 15, "approved": 3, "rejected": 9}


def scalar_rows(url: str, statement: str) -> list[tuple[str, int]]:
    """Return pairs of a state and a figure."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(f"{statement} GROUP BY state".encode()).fetchall()
    return [(str(state), int(figure)) for state, figure in rows]


def test_what_commits_late_is_counted_too(url: str) -> None:
    """A transaction that is open while younger ones are counted is not forgotten."""
    with serving(url) as client:
        employee = log_in(client, "employee")
        with psycopg.connect(url) as open_one:
            open_one.execute(
                "WITH made AS (INSERT INTO requests (request_type_id, requester_id, title)"
                " SELECT t.id, u.id, 'slow' FROM request_types t, users u"
                " WHERE t.name = 'leave' AND u.name = 'employee' RETURNING id, requester_id)"
                " INSERT INTO history (request_id, actor_id, event)"
                " SELECT id, requester_id, 'created' FROM made"
            )
            ask(client, employee)
            in_transaction(url, advance)
        in_transaction(url, advance)
    assert scalar_rows(url, "SELECT state, sum(requests) FROM request_rollups") == [("pending", 2)]


def test_damaged_rollups_are_rebuilt_equal_to_the_data(url: str) -> None:
    """Whatever a recovery left in them, `--rebuild` makes them what the requests say."""
    environment = {**os.environ, "DATABASE_URL": url}
    with serving(url) as client:
        busy(client)
    in_transaction(url, rebuild)
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE request_rollups SET requests = requests + 7")
        connection.execute("DELETE FROM decision_rollups")
    command = [sys.executable, "-m", ANALYTICS]
    verify = [*command, "--verify"]
    assert subprocess.run(verify, env=environment, check=False, timeout=60).returncode == 1
    subprocess.run([*command, "--rebuild"], env=environment, check=True, timeout=60)
    assert subprocess.run(verify, env=environment, check=False, timeout=60).returncode == 0


def test_a_watermark_of_another_server_starts_anew(url: str) -> None:
    """Rows loaded into a server whose transactions have lower numbers are counted once."""
    with serving(url) as client:
        busy(client)
    in_transaction(url, advance)
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE rollup_progress SET watermark = 1000000000000")
    in_transaction(url, advance)
    assert in_transaction(url, differences) == 0


def test_the_analytics_worker_catches_up_after_an_outage(url: str, server: Server) -> None:
    """Through a crash of the database the same process goes on, and the figures are right."""
    with serving(url) as client, running(ANALYTICS, DATABASE_URL=url):
        busy(client)
        server.stop()
        server.start()
        busy(client)
        latest = "SELECT watermark > {} FROM rollup_progress"
        now = "SELECT pg_current_xact_id()::text::bigint"
        passed = latest.format(scalar(url, now))
        wait_until(lambda: scalar(url, passed) is True, "the rollups have caught up")
        assert status_of(ANALYTICS, url).returncode == 0
    assert in_transaction(url, differences) == 0
