"""Which questions of a plan a familiar name is about, and when an answer is green."""

from __future__ import annotations

from pathlib import Path

import pytest
from plan_text import PLAN

from processpilot.checks.result import CheckResult, Outcome
from processpilot.errors import NotFoundError
from processpilot.familiar.answer import Answer, Section
from processpilot.familiar.change import to_migrate, to_restart
from processpilot.familiar.selection import (
    Questions,
    about_signing_in,
    every_question,
    of_critical_components,
)
from processpilot.plan.builtin import (
    ApplicationPlaces,
    Basics,
    FrontPlaces,
    ReleasePlaces,
    application_plan,
    starter_plan,
)
from processpilot.plan.load import parse_plan
from processpilot.plan.model import Plan
from processpilot.runbook.state import Verdict

BASICS = Basics("app", "postgresql://u@h/x", "/backups")


def loaded(text: str) -> Plan:
    """Return the plan written as `text`."""
    return parse_plan(text, Path("/nowhere/processpilot.yaml")).plan


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Give the application's plan with nginx in front and releases."""
    places = ApplicationPlaces(
        "http://127.0.0.1:5000",
        "unix:///s",
        "env:PASSWORD",
        front=FrontPlaces("http://127.0.0.1:8080", "/maintenance"),
        releases=ReleasePlaces("/app", "/python", "/url"),
    )
    return loaded(application_plan(BASICS, places))


def names(questions: Questions) -> set[str]:
    """Return what is asked, by name."""
    probes = {f"{component.id}.{spec.id}" for component, spec in questions.probes}
    return probes | {check.name for check in questions.checks}


def test_signing_in_is_told_by_words_of_names_and_addresses(plan: Plan) -> None:
    """A guarded endpoint is not about signing in; an address with auth in it is."""
    assert names(about_signing_in(plan)) == {
        "api.authentication",
        "API authentication status",
        "User authentication working",
    }


@pytest.mark.parametrize(
    ("name", "url", "counts"),
    [
        ("Authors are listed", "http://h/authors", False),
        ("Unauthorised", "http://h/x", False),
        ("LOGIN works", "http://h/x", True),
        ("Sign-in", "http://h/x", True),
        ("x", "http://h/api/auth", True),
        ("x", "http://h/oauth", False),
        ("Authenticated pages", "http://h/x", True),
    ],
)
def test_words_count_whole(name: str, url: str, counts: bool) -> None:
    """Authors do not sign in."""
    check = f'validation:\n  - {{name: "{name}", kind: http, url: "{url}"}}\n'
    assert bool(about_signing_in(loaded(PLAN + check)).checks) is counts


def test_critical_components_and_the_checks_that_reach_them(plan: Plan) -> None:
    """The page behind nginx is not critical; queries on the plan's database are."""
    found = names(of_critical_components(plan))
    assert {"database.connect", "api.health", "Every request has its approval steps"} <= found
    assert "API health endpoint" in found
    assert "Frontend is served" not in found
    assert not any(name.startswith(("email.", "analytics.", "frontend.")) for name in found)
    assert found < names(every_question(plan))


def test_everything_but_the_database_is_restarted_after_what_it_needs(plan: Plan) -> None:
    """The database is the component whose loss is recovered by a restore."""
    order = [component.id for component in to_restart(plan)]
    assert order[0] == "api"
    assert set(order) == {"api", "frontend", "email", "analytics"}
    assert [component.id for component in to_migrate(plan)] == ["api"]


def test_a_plan_that_says_nothing_is_told_what_to_add() -> None:
    """Nothing is restarted or migrated by guessing."""
    bare = loaded(starter_plan(BASICS))
    for choose in (to_restart, to_migrate):
        with pytest.raises(NotFoundError) as told:
            choose(bare)
        assert told.value.hint is not None
    assert about_signing_in(bare).is_empty


def result(outcome: Outcome) -> CheckResult:
    """Return some check's result."""
    return CheckResult("c", outcome, "x", "y")


def test_not_run_is_never_green() -> None:
    """Only sections in which something was asked, and nothing failed or is unknown, pass."""
    passed = Section("a", [result(Outcome.PASSED), result(Outcome.SKIPPED)])
    skipped = Section("b", [result(Outcome.SKIPPED)])
    for sections, verdict in (
        ([passed], Verdict.PASSED),
        ([passed, Section("c", [])], Verdict.NOT_RUN),
        ([passed, skipped], Verdict.NOT_RUN),
        ([], Verdict.NOT_RUN),
        ([passed, Section("d", [result(Outcome.UNKNOWN)])], Verdict.FAILED),
        ([skipped, Section("e", [result(Outcome.FAILED)])], Verdict.FAILED),
    ):
        assert Answer(sections).verdict is verdict
