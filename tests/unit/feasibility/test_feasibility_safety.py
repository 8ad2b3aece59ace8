"""Steps: what destroys, what is asked, what a crash leaves unknown."""

from __future__ import annotations

import pytest
from feasibility_plans import Here, findings, of_code, small

from processpilot.plan.acceptance import digest_of
from processpilot.plan.act import CommandAct

TEAM = "team: {roles: [{id: commander, title: C, primary: Ada, secondary: Ben}]}\n"


def run(script: str, more: str = "") -> str:
    """Return a step that runs a script."""
    return (
        f"- {{id: run, title: Run, action: command, argv: [sh, -c, '{script}'], timebox: 1m{more}}}"
    )


def unasked(steps: str) -> list[str]:
    """Return why steps are destructive although nobody is asked."""
    found = findings(small(steps, rest=TEAM), Here())
    return [f.arithmetic for f in of_code(found, "destructive-without-approval")]


@pytest.mark.parametrize(
    "script",
    [
        "rm -rf /var/x",
        "dropdb shop",
        'psql -c "drop table orders"',
        "psql shop < x.sql",
        "iptables -A INPUT -j DROP",
        "npm run security:reset-credentials",
        "apt update && apt upgrade",
        "cd x; git checkout HEAD~1",
        "./restore.sh postgresql x.dump",
        "pg_restore -d shop x.dump",
        "neon branches restore main x",
        "curl -X DELETE http://localhost/x",
        "sudo -u postgres dropdb shop",
        'psql -c "delete from orders"',
    ],
)
def test_what_destroys_needs_an_approval(script: str) -> None:
    """Whatever wraps it; with an approval it is fine."""
    quoted = script.replace("'", "''")
    assert len(unasked(run(quoted))) == 1
    assert unasked(run(quoted, ", approval: commander")) == []


@pytest.mark.parametrize(
    "script",
    [
        "./restore.sh postgresql --list",
        "./restore.sh postgresql x.dump --target=staging",
        "systemctl restart api",
        "echo drop the table",
        "npm run db:migrate",
        "git status",
        "apt update",
        'psql -c "select 1"',
    ],
)
def test_what_does_not_destroy_needs_none(script: str) -> None:
    """Looking, restarting and listing are not asked about."""
    assert unasked(run(script)) == []


def test_an_approval_step_agrees_to_what_follows() -> None:
    """Not to what came before it."""
    ask = "- {id: ask, title: Ask, action: approval, approval: commander, timebox: 1m}\n"
    assert unasked(ask + run("rm -rf x")) == []
    assert unasked(run("rm -rf x") + "\n" + ask.strip()) == ["rm -rf x: removes files"]


@pytest.mark.parametrize(
    ("query", "destroys"),
    [("delete from x", True), ("drop table x", True), ("update x set a = 1", True),
     ("select 1", False), ("insert into x values (1)", False)],
)  # fmt: skip
def test_statements_that_destroy(query: str, destroys: bool) -> None:
    """By their words."""
    step = f'- {{id: a, title: A, action: sql, query: "{query}", timebox: 1m}}'
    assert bool(unasked(step)) is destroys


@pytest.mark.parametrize(
    ("step", "severity"),
    [
        (run("npm run db:migrate"), "warning"),
        (run("ls; systemctl status api | head"), "note"),
        (run("npm run x", ", probe: {kind: file, path: done}"), None),
        ('- {id: a, title: A, action: http, method: POST, url: "http://localhost/x"}', "warning"),
        ('- {id: a, title: A, action: http, url: "http://localhost/x"}', None),
        ('- {id: a, title: A, action: sql, query: "select 1"}', "note"),
        ('- {id: a, title: A, action: sql, query: "insert into x values (1)"}', "warning"),
        ("- {id: a, title: A, action: manual}", None),
    ],
)
def test_steps_that_need_a_probe(step: str, severity: str | None) -> None:
    """Worse where repeating may do harm, and never where there is a probe."""
    found = of_code(findings(small(step)), "step-without-probe")
    assert [str(f.severity) for f in found] == ([] if severity is None else [severity])


def test_an_imported_command_counts_once_it_is_accepted() -> None:
    """Just that command: another one needs another word."""
    steps = '- {id: a, title: A, action: command, argv: [ls], timebox: 1m, origin: "R.md:1"}'
    digest = digest_of(CommandAct(action="command", argv=("ls",)))
    accepted = f'accepted: [{{digest: "{digest}", by: ada}}]\n'
    assert of_code(findings(small(steps)), "command-not-accepted")
    assert not of_code(findings(small(steps, rest=accepted)), "command-not-accepted")
    other = steps.replace("[ls]", "[ls, -l]")
    assert of_code(findings(small(other, rest=accepted)), "command-not-accepted")
