"""The plans we write ourselves: they load, and say what the runbook they come from says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_text import load

from processpilot.checks.hysteresis import ProbeHealth, observe
from processpilot.checks.result import Outcome, ProbeResult
from processpilot.checks.symptoms import match_scenarios
from processpilot.plan.act import ActionName
from processpilot.plan.builtin import (
    ApplicationPlaces,
    Basics,
    FrontPlaces,
    ReleasePlaces,
    application_plan,
    starter_plan,
)
from processpilot.plan.model import Autonomy, Plan, ProtectionMode
from processpilot.plan.step import every_step

BASICS = Basics("shop", "postgresql://postgres@/shop?host=/run/pg", "file:///backups")
PLACES = ApplicationPlaces(
    "http://127.0.0.1:5000", "unix:///run/supervisor.sock", "file:password", "ledger.txt"
)
FRONT = FrontPlaces("http://127.0.0.1:8080", "/run/maintenance")
RELEASES = ReleasePlaces("/srv/application", "/usr/bin/python3", "/srv/database-url")
WHOLE = replace(PLACES, front=FRONT, releases=RELEASES)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR_S = 3600
LINES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)


def application() -> Plan:
    """Return the plan of the application, loaded."""
    return load(application_plan(BASICS, WHOLE)).plan


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


def probes_of(plan: Plan) -> dict[str, int]:
    """Return every probe's name and after how many failures it counts."""
    return {f"{c.id}.{p.id}": p.fail_after for c in plan.components for p in c.probes}


@pytest.mark.parametrize(
    ("lost", "named"),
    [
        (["database.connect", "api.health", "api.authentication"], "database-failure"),
        (["api.health", "api.authentication", "frontend.gateway"], "application-failure"),
    ],
)
def test_what_is_lost_is_named_while_it_is_being_noticed(lost: list[str], named: str) -> None:
    """However far each probe is, the first scenario named is the one that happened."""
    plan = application()
    after = probes_of(plan)
    everything = {name: round_of(ProbeHealth(), name, Outcome.PASSED, 1) for name in after}
    health, seen = dict(everything), []
    for turn in range(10):
        # The database's probe is a turn behind: it had just passed when everything was lost.
        for name in sorted(lost if turn else set(lost) - {"database.connect"}):
            health[name] = round_of(health[name], name, Outcome.FAILED, after[name])
            seen += [match.scenario.id for match in match_scenarios(plan.scenarios, health)][:1]
    assert set(seen) == {named}


def round_of(before: ProbeHealth, name: str, outcome: Outcome, fail_after: int) -> ProbeHealth:
    """Return a probe's health after one more result."""
    result = ProbeResult(name, outcome, NOW, 0.0, "")
    return observe(before, result, fail_after=fail_after, recover_after=2)


def test_the_rollback_asks_the_application_team_and_only_after_a_restart() -> None:
    """The restart comes first, the release changes only behind maintenance and only if needed."""
    scenario = application().scenario("application-failure")
    assert scenario is not None
    steps = [step for step in every_step(scenario.steps) if hasattr(step, "only_if")]
    order = [step.id for step in steps]
    assert order.index("restart-api") < order.index("restarted") < order.index("close")
    assert order.index("close") < order.index("rollback") < order.index("open")
    rollback = steps[order.index("rollback")]
    assert (rollback.approval, rollback.only_if is not None) == ("application-team", True)
    assert steps[order.index("close")].undo is not None
    assert [s.timebox_s for s in scenario.steps[:2]] == [15 * 60, 45 * 60]


@pytest.mark.parametrize("front", [None, FRONT])
def test_without_releases_none_is_changed(front: FrontPlaces | None) -> None:
    """What the plan does not know it does not touch: no rollback, and the rest still holds."""
    plan = load(application_plan(BASICS, replace(WHOLE, front=front, releases=None))).plan
    actions = {str(s.action) for scenario in plan.scenarios for s in every_step(scenario.steps)}
    assert not actions & {"release", "maintenance"}
    assert (plan.maintenance is None) is (front is None)
    assert plan.component("api").release is None
    assert len(plan.components) == 5


def test_complete_failure_is_both_and_begins_by_no_probe() -> None:
    """People begin it: the database first, then the application."""
    scenario = application().scenario("complete-failure")
    assert scenario is not None
    assert [getattr(step, "scenario", None) for step in scenario.steps] == [
        "database-failure",
        "application-failure",
    ]
    assert scenario.probes == ()


def test_every_component_can_be_restarted_and_asked() -> None:
    """All five recover: each has what runs it and what says how it is."""
    for component in application().components:
        assert component.service is not None, component.id
        assert component.probes, component.id


def test_people_are_functions_without_contacts() -> None:
    """Whoever roles name is known, nobody has a name or a number that is not theirs."""
    team = application().team
    names = {person.name for person in team.people}
    assert {r.primary for r in team.roles} | {r.secondary for r in team.roles} == names
    assert not any(p.phone or p.email or p.chat or p.accounts for p in team.people)
    assert [level.after_s for level in team.escalation] == [0, HOUR_S / 2, HOUR_S]


def test_the_eight_points_of_the_checklist_are_proven() -> None:
    """Each names a probe, a check of the plan, or a built-in check."""
    plan = application()
    known = {*probes_of(plan), *(check.name for check in plan.validation)}
    known |= {"streaming", "heartbeat", "speed", "backup", "prove"}
    assert len(plan.checklist) == 8
    assert all(item.by and set(item.by) <= known for item in plan.checklist)


def test_how_much_slower_answers_may_be_is_written_in() -> None:
    """Where load goes on during the comparison, more is allowed than the usual three times."""
    text = application_plan(BASICS, replace(WHOLE, performance_factor=12))
    assert (application().performance_factor, load(text).plan.performance_factor) == (3, 12)


def test_a_value_that_looks_like_a_place_is_left_alone() -> None:
    """A path called like another place stays what it is."""
    plan = load(application_plan(BASICS, replace(WHOLE, password='file:a"<url>'))).plan
    login = next(c for c in plan.validation if c.name == "User authentication working")
    assert getattr(login, "json_body", {})["password"] == 'file:a"<url>'


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
    text = application_plan(BASICS, WHOLE)
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
