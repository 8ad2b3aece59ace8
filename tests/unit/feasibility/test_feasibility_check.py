"""A whole runbook as teams write it, plans of our own, and the page that explains the codes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from feasibility_plans import PATH, RUNBOOK, Here, findings, of_code
from plan_text import position_of

from processpilot.feasibility.check import check_plan
from processpilot.feasibility.codes import CODES
from processpilot.feasibility.finding import Finding, Severity
from processpilot.plan.builtin import ApplicationPlaces, Basics, application_plan
from processpilot.prose.importing import import_document
from processpilot.prose.source import read_source

PAGE = Path(__file__).parents[3] / "docs" / "plan-check.md"
HERE = Here(programs=frozenset({"sh", "npm", "curl", "ls", "tail"}))


@pytest.fixture(scope="module")
def runbook() -> tuple[Finding, ...]:
    """What is found in the runbook."""
    return findings(RUNBOOK, HERE)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("objective-missed", "15 + 15 + 90 + 60 = 180 min (time boxes) until api is up"),
        ("objective-missed", "15 + 15 + 90 + 60 + 60 = 240 min (time boxes) until frontend is up"),
        ("no-slack", "240 min (time boxes) until database is up"),
        ("beyond-critical", "30 + 150 + 120 = 300 min (time boxes)"),
        ("beyond-critical", "30 + 90 + 180 + 180 = 480 min (time boxes)"),
        ("called-before-woken", "called in minutes 0 to 15, woken 60 min after the beginning"),
        ("two-roles", "2 roles, 1 person"),
        ("dump-cadence", "database 24 h - 1 h = 23 h too much"),
        ("placeholder-contact", "phone [PHONE], email [EMAIL], chat [SLACK]: 3 of 3 contacts"),
        ("placeholder-contact", "[Provider Support Contact]"),
        ("vendor-command", "supabase db restore --backup-id=BACKUP_ID"),
        ("command-missing", "looked for at /plans/backend/scripts/restore.sh"),
        ("script-missing", "named by verify, application-restart, verification"),
        ("placeholder-left", '"FILL-IN" stands where a value belongs'),
    ],
)
def test_what_a_written_runbook_cannot_hold(
    runbook: tuple[Finding, ...], code: str, words: str
) -> None:
    """Each contradiction is found, with its arithmetic."""
    assert any(words in finding.arithmetic for finding in of_code(runbook, code))


def test_a_finding_says_where_it_stands(runbook: tuple[Finding, ...]) -> None:
    """Line and column are those of the step."""
    (api,) = (f for f in of_code(runbook, "objective-missed") if "failure: api" in f.message)
    assert api.place == "scenarios[0].steps[3]"
    assert (api.line, api.column) == position_of(RUNBOOK, "id: application-restart")


def test_the_worst_comes_first(runbook: tuple[Finding, ...]) -> None:
    """Sorted by severity, then by line."""
    order = list(Severity)
    ranks = [(order.index(f.severity), f.line, f.column) for f in runbook]
    assert ranks == sorted(ranks)


def test_what_is_only_kept_for_people_is_no_error(runbook: tuple[Finding, ...]) -> None:
    """Nothing runs a provider's procedure by itself."""
    kept = [f for f in runbook if f.place.startswith("providers")]
    assert kept
    assert all(f.severity is not Severity.ERROR for f in kept)


def test_our_own_application_s_plan_has_only_honest_errors() -> None:
    """Its objectives and its escalation are the runbook's; its roles have no contacts."""
    text = application_plan(
        Basics("shop", "postgresql://postgres@/shop?host=/run/pg", "file:///backups"),
        ApplicationPlaces("http://127.0.0.1:5000", "unix:///run/s.sock", "file:password"),
    )
    errors = {f.code for f in findings(text) if f.severity is Severity.ERROR}
    agreed = {"rto-contradiction", "rpo-contradiction", "loss-bound"}
    honest = {"objective-missed", "beyond-critical", "called-before-woken", "nobody-reachable"}
    assert agreed <= errors <= agreed | honest


def test_the_page_explains_every_code_as_the_table_does() -> None:
    """docs/plan-check.md and the table agree on codes, severities and meanings."""
    text = PAGE.read_text()
    told = dict(re.findall(r"^### (\S+)\n\n(.+)$", text, re.MULTILINE))
    wanted = {
        code: f"{kind.severity.value.capitalize()}. {kind.meaning}" for code, kind in CODES.items()
    }
    assert told == wanted
    for section in text.split("\n### ")[1:]:
        assert "Example: " in section
        assert "Ways out: " in " ".join(section.split())


def test_every_code_is_said_somewhere() -> None:
    """No code is left in the table that nothing yields."""
    room = Path(__file__).parents[3] / "src" / "processpilot" / "feasibility"
    source = "".join(p.read_text() for p in room.glob("*.py") if p.name != "codes.py")
    for code in CODES:
        made = code in source or code.split("-", 1)[1] in ("contradiction", "on-database-disk")
        assert made, code


SEED = Path(__file__).parents[4] / "shared" / "seed" / "DISASTER_RECOVERY.md"


@pytest.mark.skipif(not SEED.exists(), reason="../shared/seed is not here")
def test_the_runbook_this_product_started_from() -> None:
    """Imported as it is, it is told what it cannot hold."""
    found = check_plan(import_document(read_source(SEED), PATH).loaded, HERE.world())
    told = {(f.code, f.message.split(" by ")[0]) for f in found}
    name = "complete-database-failure"
    assert {
        ("objective-missed", f"{name}: api misses its objective of 2 h"),
        ("objective-missed", f"{name}: frontend misses its objective of 1 h"),
        ("no-slack", f"{name}: database has no slack in its objective of 4 h"),
        (
            "beyond-critical",
            "data-corruption takes 300 min, longer than every critical objective",
        ),
        (
            "beyond-critical",
            "security-breach takes 480 min, longer than every critical objective",
        ),
        (
            "two-roles",
            "DevOps Engineer is the primary of both database-administrator and infrastructure-team",
        ),
        ("dump-cadence", "daily dumps against an objective of 1 h for database"),
        ("placeholder-contact", "incident-commander has placeholders for a contact"),
        ("placeholder-contact", "DNS Provider has a placeholder for a contact"),
        ("command-missing", "./restore.sh does not exist here"),
        ("vendor-command", "supabase db dump has no flag --list"),
        ("vendor-command", "pscale branch create makes a branch without rows"),
        ("vendor-command", "Railway's page for them is called Backups"),
    } <= told
    (call,) = [f for f in of_code(found, "called-before-woken") if name in f.message]
    assert "called in minutes 0 to 15, woken 60 min after the beginning" in call.arithmetic
    (api,) = [f for f in of_code(found, "objective-missed") if f"{name}: api" in f.message]
    assert api.arithmetic.startswith("15 + 15 + 90 + 60 = 180 min (time boxes) until api is up")
