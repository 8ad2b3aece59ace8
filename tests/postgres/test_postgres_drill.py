"""Drills of a real cluster: the real path in isolation, with everything planted that could leak."""

from __future__ import annotations

import socket
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import yaml
from drill_site import (
    a_drill,
    change_plan,
    escrow,
    needs_namespaces,
    outcome_of,
    traces,
    walked,
)
from message_receivers import mail_receiver
from protected_site import SUPERUSER, Site, SiteMaker, wait_until
from site_acts import streaming, wait_stored

from processpilot.demo.application.database import Database
from processpilot.demo.application.migrate import migrate
from processpilot.drill.history import history
from processpilot.drill.state import Phase
from processpilot.repository.expire import plan_expiry
from processpilot.repository.proofs import ProofKind, read_proofs
from processpilot.repository.retention import RetentionPolicy
from processpilot.runbook.state import Verdict
from processpilot.wiring.drilling import scheduled_drills

pytestmark = needs_namespaces

# What a scheduled job and a mail worker would do: each way out is tried, and told of on stdout.
_LEAKS = """
import os, smtplib, socket, sys
import psycopg

outbox, sockets, data, repository, server, port = sys.argv[1:]
done = []
def tried(name, act):
    try:
        act()
        done.append(name)
    except OSError as error:
        print(name, "kept in:", error)
with psycopg.connect(os.environ["DATABASE_URL"]) as copy:
    letters = copy.execute(outbox).fetchall()
assert letters, "the outbox is empty: nothing would be sent anyway"
for receiver, text in letters:
    tried("mail", lambda: smtplib.SMTP("127.0.0.1", int(port), timeout=5).sendmail(
        "a@example.org", [receiver], text))
def connect():
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(sockets + "/.s.PGSQL.5432")
tried("production", connect)
tried("network", lambda: socket.create_connection(("192.0.2.1", 80), timeout=2))
tried("data", lambda: open(data + "/planted", "w"))
tried("repository", lambda: open(repository + "/planted", "w"))
tried("system", lambda: open("/etc/planted", "w"))
tried("server", lambda: os.kill(int(server), 0))
tried("spool", lambda: open("/var/spool/planted/letter", "w"))
assert os.environ["DRILL"] == "1"
sys.exit("; ".join(done) + " got out" if done else 0)
"""

_TABLES = (
    "create table touched(by_whom text)",
    "create table outbox(receiver text, letter text)",
    "create table jobs(due timestamptz, command text)",
    "insert into outbox values ('customer@example.org', 'Your request was approved.')",
    "insert into jobs values (now(), 'send-outbox')",
)


def _plant(site: Site) -> None:
    """Put a foreign server, a subscription, a job and an outbox into the source."""
    site.run(
        *_TABLES,
        "create extension postgres_fdw",
        "create server production foreign data wrapper postgres_fdw"
        f" options (host '{site.sockets}', port '5432', dbname 'postgres')",
        f"create user mapping for public server production options (user '{SUPERUSER}')",
        "create foreign table production_touched(by_whom text) server production"
        " options (table_name 'touched')",
        "create publication everything for table touched",
        f"create subscription follows connection 'host={site.sockets} port=5432 dbname=postgres"
        f" user={SUPERUSER}' publication everything"
        " with (connect = false, slot_name = 'planted')",
        "alter subscription follows enable",
        "create function reached() returns text language plpgsql as $$ begin"
        " insert into production_touched values ('the drill'); return 'reached';"
        " exception when others then return 'kept in'; end $$",
    )


def test_nothing_that_was_planted_gets_out(make_site: SiteMaker) -> None:
    """Foreign server, subscription, job and outbox of the source reach nobody from a drill."""
    site = make_site(15)
    _plant(site)
    program = site.plan.parent / "leaks.py"
    program.write_text(_LEAKS)
    server = (site.data / "postmaster.pid").read_text().split()[0]
    with mail_receiver() as post:
        leaks = [sys.executable, str(program), "select * from outbox", str(site.sockets)]
        leaks += [str(site.data), str(site.folder / "repository"), server, str(post.port)]
        steps: list[dict[str, Any]] = [
            {
                "id": "foreign",
                "title": "Write over the foreign server",
                "action": "sql",
                "query": "select reached()",
                "expect": "kept in",
            },
            {
                "id": "jobs",
                "title": "Run the jobs",
                "action": "command",
                "argv": leaks,
                # What a step says of its own cannot lead the copy's programs to production.
                "env": {"DATABASE_URL": "postgresql://production", "DRILL": "0"},
            },
        ]
        change_plan(site, drills=[a_drill(steps)])
        with streaming(site) as agent:
            site.back_up()
            site.run("insert into touched values ('production')")
            wait_stored(site, agent)
            done = walked(site, "whole", "--key", str(escrow(site)))
        with socket.create_connection(("127.0.0.1", post.port)):
            pass  # The mail server was there all the time.
        assert post.mails == []
    assert (done.verdict, done.reasons) == (Verdict.PASSED, ()), done.reasons
    assert outcome_of(done, "subscriptions disabled") == "passed"
    assert outcome_of(done, "isolation: production's database") == "passed"
    assert outcome_of(done, "step jobs") == "passed"
    assert site.run("select by_whom from touched") == [("production",)]
    assert not (site.data / "planted").exists()
    assert not Path("/etc/planted").exists()
    assert outcome_of(done, "production: server") == "passed"
    assert traces(done.rehearsal_id) == []


def test_the_application_is_started_and_asked_in_isolation(site: Site) -> None:
    """The sample application serves the copy inside, and its port is not open outside."""
    migrate(Database(f"postgresql://{SUPERUSER}@/postgres?host={site.sockets}"))
    serve = f"{sys.executable} -m processpilot.demo.application --port 5000 >/dev/null 2>&1 &"
    steps: list[dict[str, Any]] = [
        {
            "id": "start",
            "title": "Start the application",
            "action": "command",
            "argv": ["/bin/sh", "-c", serve],
        },
        {
            "id": "ask",
            "title": "Ask the application",
            "action": "check",
            "within": "60s",
            "conditions": [
                {"kind": "http", "url": "http://127.0.0.1:5000/api/health", "timeout": "5s"},
                {"kind": "sql", "query": "select count(*) >= 0 from users", "expect": "true"},
            ],
        },
        {"id": "look", "title": "Look at it", "action": "manual"},
    ]
    change_plan(site, drills=[a_drill(steps)])
    with streaming(site) as agent:
        # Heartbeats come every second: with one in the backup, every moment has one before it.
        wait_until(lambda: _beats(site) > 0, "the first heartbeat")
        site.back_up()
        wait_stored(site, agent)
        done = walked(site, "--key", str(escrow(site)), "--seed", "7")
        again = walked(site, "--key", str(escrow(site)), "--seed", "7")
    assert (done.verdict, done.reasons) == (Verdict.PASSED, ()), done.reasons
    assert outcome_of(done, "step ask") == "passed"
    (finding,) = done.findings
    assert finding.startswith("step look was left out: people do it")
    assert {walked.phase for walked in done.phases} == set(Phase)
    assert done.recovery_time_s is not None
    assert done.data_loss_window_s is not None
    assert done.details["key"] == "escrow"
    first, second = (r.result_of(Phase.RESOLVE)["window_begin_at"] for r in (done, again))
    assert first == second
    assert again.verdict is Verdict.PASSED
    assert traces(done.rehearsal_id) == []


def test_a_backup_that_passed_a_drill_is_never_expired(site: Site) -> None:
    """The proof of a drill keeps its backup, whatever the policy and however many came after."""
    with streaming(site) as agent:
        proven = site.back_up()
        wait_stored(site, agent)
        done = walked(site, "restore", "--key", str(escrow(site)))
        site.back_up()
    assert (done.verdict, done.reasons) == (Verdict.PASSED, ()), done.reasons
    with closing(site.wired()) as wired:
        (proof,) = read_proofs(wired.repository).values()
        assert (proof.kind, proof.backups) == (ProofKind.RECOVERED, (proven.backup_id,))
        assert proof.run_id == f"drill/{done.rehearsal_id}"
        policy = RetentionPolicy(last=1, daily=0, weekly=0, monthly=0)
        assert plan_expiry(wired.repository, policy, wired.clock.now()).backups == ()


def test_damage_in_the_repository_fails_the_drill(site: Site) -> None:
    """One changed byte of a pack is found, the verdict is failed, and nothing is left behind."""
    with streaming(site) as agent:
        site.back_up()
        wait_stored(site, agent)
    for pack in (site.folder / "repository" / "packs").rglob("*"):
        if pack.is_file():
            content = bytearray(pack.read_bytes())
            content[len(content) // 2] ^= 1
            pack.chmod(0o600)
            pack.write_bytes(content)
    done = walked(site, "restore")
    assert done.verdict is Verdict.FAILED
    assert done.recovery_time_s is None
    assert traces(done.rehearsal_id) == []
    with closing(site.wired()) as wired:
        assert read_proofs(wired.repository) == {}


def test_a_missed_objective_is_missed(site: Site) -> None:
    """A drill that takes longer than the objective has missed, though all data is proven."""
    components = yaml.safe_load(site.plan.read_text())["components"]
    components[0] |= {"rto": "1ms", "rpo": "1h"}
    change_plan(site, components=components)
    with streaming(site) as agent:
        site.back_up()
        wait_stored(site, agent)
        done = walked(site, "restore")
    assert done.verdict is Verdict.MISSED
    (reason,) = done.reasons
    assert reason.endswith("the objective is 0.001 s")
    assert done.findings[0].startswith("opened with this machine's own key")


def test_a_drill_that_is_due_is_walked_by_a_process_of_its_own(site: Site) -> None:
    """What the agent calls begins it at once and goes on; the schedule is named as its trigger."""
    change_plan(site, drills=[a_drill(id="often", kind="restore", every="1ms")])
    with streaming(site) as agent, closing(site.wired()) as wired:
        site.back_up()
        wait_stored(site, agent)
        drills = scheduled_drills(wired)
        assert drills.tick() == "often"
        assert drills.under_way
        wait_until(lambda: not drills.under_way, "the drill's verdict", limit_s=120)
        (done,) = history(wired.journal)
    assert (done.verdict, done.reasons) == (Verdict.PASSED, ()), done.reasons
    assert (done.details["trigger"], done.details["by"]) == ("schedule", "the schedule")
    assert traces(done.rehearsal_id) == []


def _beats(site: Site) -> int:
    """Return how many heartbeats the database holds; none while there is no table for them."""
    if site.run("select to_regclass('processpilot.heartbeat')::text") == [(None,)]:
        return 0
    return int(str(site.run("select count(*) from processpilot.heartbeat")[0][0]))
