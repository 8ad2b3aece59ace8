"""The plans we write ourselves: they load, and say what the runbook they come from says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_text import load

from processpilot.plan.act import ActionName
from processpilot.plan.builtin import ApplicationPlaces, Basics, application_plan, starter_plan
from processpilot.plan.model import Autonomy, Plan, ProtectionMode

BASICS = Basics("shop", "postgresql://postgres@/shop?host=/run/pg", "file:///backups")
PLACES = ApplicationPlaces(
    "http://127.0.0.1:5000", "unix:///run/supervisor.sock", "file:password", "ledger.txt"
)
HOUR_S = 3600
LINES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)


def application() -> Plan:
    """Return the plan of the application, loaded."""
    return load(application_plan(BASICS, PLACES)).plan


@pytest.mark.parametrize(
    ("identifier", "priority", "rto_s", "rpo_s"),
    [
        ("database", "critical", 4 * HOUR_S, 1 * HOUR_S),
        ("api", "critical", 2 * HOUR_S, 0),
        ("frontend", "high", 1 * HOUR_S, 0),
        ("email", "medium", 4 * HOUR_S, HOUR_S / 2),
        ("analytics", "low", 8 * HOUR_S, 4 * HOUR_S),
    ],
)
def test_the_five_components_have_the_runbook_s_objectives(
    identifier: str, priority: str, rto_s: float, rpo_s: float
) -> None:
    """Priority, time and data loss are those that were agreed."""
    component = application().component(identifier)
    assert (component.priority, component.rto_s, component.rpo_s) == (priority, rto_s, rpo_s)


def test_there_are_exactly_five_components_started_after_what_they_need() -> None:
    """The database comes first, the frontend after the API."""
    order = [component.id for component in application().start_order()]
    assert sorted(order) == ["analytics", "api", "database", "email", "frontend"]
    assert order[0] == "database"
    assert order.index("api") < order.index("frontend")


@pytest.mark.parametrize(
    ("role", "primary", "secondary"),
    [
        ("incident-commander", "CTO", "Lead Developer"),
        ("database-administrator", "DevOps Engineer", "Backend Developer"),
        ("application-team", "Full Stack Developer", "Frontend Developer"),
        ("infrastructure-team", "DevOps Engineer", "System Administrator"),
        ("communications-lead", "Product Manager", "Project Manager"),
    ],
)
def test_the_team_is_the_runbook_s(role: str, primary: str, secondary: str) -> None:
    """Each role has the functions that fill it, and nobody's name."""
    found = next(r for r in application().team.roles if r.id == role)
    assert (found.primary, found.secondary) == (primary, secondary)


@pytest.mark.parametrize("text", [starter_plan(BASICS), application_plan(BASICS, PLACES)])
def test_the_scenario_does_every_action_once_and_in_order(text: str) -> None:
    """All that can be done is done, proof before the point of no return, fence before swap."""
    scenario = load(text).plan.scenario("database-failure")
    assert scenario is not None
    looking = {ActionName.LIST_BACKUPS, ActionName.DATABASE_HEALTH, ActionName.VERIFY_DATA}
    wanted = [action for action in ActionName if action not in looking]
    assert [step.action for step in scenario.steps] == wanted
    assert [step.id for step in scenario.steps if step.approval] == ["fence"]


def test_the_database_connection_is_the_required_symptom() -> None:
    """Failing health endpoints alone do not mean that the database is gone."""
    scenario = application().scenario("database-failure")
    assert scenario is not None
    assert [s.probe for s in scenario.symptoms if s.required] == ["database.connect"]
    assert len(scenario.symptoms) == 3


def test_the_starter_plan_names_no_application() -> None:
    """Of an unknown application nothing is claimed: one component, symptoms of it only."""
    plan = load(starter_plan(BASICS)).plan
    assert [component.id for component in plan.components] == ["database"]
    assert plan.components[0].service is None
    assert plan.validation == ()
    assert [s.probe for s in plan.scenarios[0].symptoms] == ["database.connect"]


def test_the_starter_plan_s_comments_are_a_plan_once_they_count() -> None:
    """Whoever takes the comment signs away from the sketched component gets a plan that loads."""
    text = starter_plan(BASICS)
    text = text.replace("\n  # - id: api", "\n  - id: api").replace("\n  #   ", "\n    ")
    text = text.replace("\n      # - {probe: api.health", "\n      - {probe: api.health")
    assert [c.id for c in load(text).plan.components] == ["database", "api"]


def test_what_basics_say_is_what_is_loaded() -> None:
    """Every value comes out where it belongs."""
    basics = Basics(
        "shop",
        "host=/run/pg dbname=shop",
        "s3://bucket/place",
        password="file:pw",
        data_dir="/var/lib/pg",
        bin_dir="/usr/lib/pg/bin",
        superuser="admin",
        identity="env:KEY",
        storage={"endpoint": "http://127.0.0.1:9000", "allow_http": True, "region": "x"},
        mode="synchronous",
        tail_interval="500ms",
        heartbeat=False,
        autonomy="act",
    )
    plan = load(starter_plan(basics)).plan
    database = plan.database
    assert (plan.name, plan.autonomy) == ("shop", Autonomy.ACT)
    assert (database.dsn, database.password) == (basics.dsn, basics.password)
    assert (database.data_dir, database.bin_dir) == (basics.data_dir, basics.bin_dir)
    assert database.superuser == "admin"
    assert (plan.repository.url, plan.repository.identity) == (basics.repository_url, "env:KEY")
    assert (
        plan.repository.options.model_dump(exclude_none=True, exclude_defaults=True)
        == basics.storage
    )
    assert plan.protection.mode is ProtectionMode.SYNCHRONOUS
    assert (plan.protection.tail_interval_s, plan.protection.heartbeat) == (0.5, False)


def test_without_a_ledger_none_is_written() -> None:
    """The ledger is a means of the demonstration, so it may be absent."""
    assert application().ledger is not None
    assert load(application_plan(BASICS, replace(PLACES, ledger=None))).plan.ledger is None


def test_no_name_is_left_to_be_filled() -> None:
    """Every place of the application's plan is written in."""
    text = application_plan(BASICS, PLACES)
    assert '"<' not in text
    assert "http://127.0.0.1:5000/api/auth/login" in text


@settings(deadline=None, max_examples=25)
@given(name=LINES, folder=LINES)
def test_any_name_and_path_survives_being_written(name: str, folder: str) -> None:
    """Quotes, backslashes, braces, hashes and scripts of any kind come back as they were."""
    plan = load(starter_plan(replace(BASICS, name=name, data_dir=folder))).plan
    assert (plan.name, plan.database.data_dir) == (name, folder)


@settings(deadline=None, max_examples=25)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], max_codepoint=0xFFFF), min_size=1))
def test_any_place_of_the_application_survives_being_written(text: str) -> None:
    """The ledger's path may hold what YAML takes for syntax."""
    assert ledger_file(text) == text


def test_a_place_beyond_the_basic_plane_survives_being_written() -> None:
    """A path with a picture in its name is the same path in the plan."""
    assert ledger_file("/data/\U0001f4d2") == "/data/\U0001f4d2"


def ledger_file(text: str) -> str:
    """Return where the ledger is, after it was written into a plan and loaded."""
    ledger = load(application_plan(BASICS, replace(PLACES, ledger=text))).plan.ledger
    assert ledger is not None
    return ledger.file
