"""From failing probes to a scenario: what must be seen, what ranks first, and why."""

from __future__ import annotations

import pytest

from processpilot.checks.hysteresis import Health, ProbeHealth
from processpilot.checks.symptoms import match_scenarios
from processpilot.plan.act import ActionName
from processpilot.plan.scenario import Scenario, Symptom
from processpilot.plan.step import BuiltInStep

STEPS = (BuiltInStep(id="look", title="Look", action=ActionName.ASSESS),)
REQUIRED = Symptom(probe="db.connect", required=True, means="No connections")
OPTIONAL = Symptom(probe="api.health")
PASSES = Symptom(probe="host.up", passes=True)


def scenario(name: str, *symptoms: Symptom) -> Scenario:
    """Return a scenario with these symptoms."""
    return Scenario(id=name, title=name, component="db", symptoms=symptoms, steps=STEPS)


def seen(**probes: Health) -> dict[str, ProbeHealth]:
    """Return the health of probes, whose dots are written as underscores."""
    return {name.replace("_", "."): ProbeHealth(health) for name, health in probes.items()}


@pytest.mark.parametrize("other", list(Health))
def test_required_symptoms_are_enough(other: Health) -> None:
    """Whatever the others say, the scenario is found once the required ones are there."""
    health = seen(db_connect=Health.FAILING, api_health=other)
    (match,) = match_scenarios([scenario("a", REQUIRED, OPTIONAL)], health)
    assert match.scenario.id == "a"
    assert match.share == (1.0 if other is Health.FAILING else 0.5)


@pytest.mark.parametrize("required", [Health.HEALTHY, Health.UNKNOWN])
def test_without_a_required_symptom_nothing_is_found(required: Health) -> None:
    """Failing optional ones do not name a disaster, and unknown is not failing."""
    health = seen(db_connect=required, api_health=Health.FAILING)
    assert match_scenarios([scenario("a", REQUIRED, OPTIONAL)], health) == []


def test_without_required_symptoms_all_are_needed() -> None:
    """Of a scenario that names none as required, every symptom must be there."""
    two = scenario("a", OPTIONAL, Symptom(probe="db.other"))
    assert match_scenarios([two], seen(api_health=Health.FAILING)) == []
    both = seen(api_health=Health.FAILING, db_other=Health.FAILING)
    assert [match.share for match in match_scenarios([two], both)] == [1.0]


@pytest.mark.parametrize(
    ("up", "found"), [(Health.HEALTHY, 1), (Health.FAILING, 0), (Health.UNKNOWN, 0)]
)
def test_a_symptom_may_be_a_success(up: Health, found: int) -> None:
    """That a host answers can be part of what names the disaster; not knowing is not a success."""
    both = scenario("a", OPTIONAL, PASSES)
    assert len(match_scenarios([both], seen(api_health=Health.FAILING, host_up=up))) == found


def test_a_probe_nobody_ran_is_no_symptom() -> None:
    """Neither failing nor passing is assumed of a probe without results."""
    assert match_scenarios([scenario("a", REQUIRED), scenario("b", PASSES)], {}) == []


def test_the_best_explained_scenario_comes_first() -> None:
    """By the share of symptoms, then by their number, then in the plan's order."""
    scenarios = [
        scenario("half", REQUIRED, PASSES),
        scenario("one", REQUIRED),
        scenario("two", REQUIRED, OPTIONAL),
        scenario("same", OPTIONAL, REQUIRED),
    ]
    health = seen(db_connect=Health.FAILING, api_health=Health.FAILING, host_up=Health.FAILING)
    found = [match.scenario.id for match in match_scenarios(scenarios, health)]
    assert found == ["two", "same", "one", "half"]


def test_the_reasons_say_what_was_seen_and_what_was_not() -> None:
    """In the order of the plan, with its words and the probe's."""
    health = {"db.connect": ProbeHealth(Health.FAILING, detail="refused")}
    (match,) = match_scenarios([scenario("a", REQUIRED, OPTIONAL)], health)
    assert match.present == ("db.connect",)
    assert match.reasons == (
        "No connections. db.connect is failing: refused",
        "not (yet) seen: api.health is unknown",
    )
