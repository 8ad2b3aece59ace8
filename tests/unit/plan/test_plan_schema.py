"""The schema shipped for editors: current, and of one mind with the loader."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from plan_text import PLAN, load, plan_with, problems_of

from processpilot.plan.builtin import ApplicationPlaces, Basics, application_plan, starter_plan
from processpilot.plan.schema import SCHEMA_PATH, schema_text

jsonschema = pytest.importorskip("jsonschema")

BASICS = Basics("shop", "postgresql://postgres@/shop", "backups")
PLACES = ApplicationPlaces("http://127.0.0.1:1", "unix:///run/s.sock", "file:pw", "ledger.txt")


@pytest.fixture
def schema() -> Any:
    """Return the shipped schema."""
    return json.loads(SCHEMA_PATH.read_text())


def complaints(schema: Any, text: str) -> list[str]:
    """Return where the schema finds fault with a plan, as paths joined by dots."""
    validator = jsonschema.Draft202012Validator(schema)
    found = validator.iter_errors(yaml.safe_load(text))
    return [".".join(str(part) for part in error.absolute_path) for error in found]


def test_the_shipped_schema_is_what_the_model_gives() -> None:
    """Nobody edits a plan against yesterday's model."""
    assert SCHEMA_PATH.read_text() == schema_text()


def test_the_schema_is_a_schema(schema: Any) -> None:
    """It keeps the rules of the dialect that it names."""
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema)


def test_the_schema_names_keys_as_the_plan_writes_them(schema: Any) -> None:
    """Objectives are called rto and rpo there, not as their fields are; unknown keys are not."""
    component = schema["$defs"]["Component"]
    assert {"rto", "rpo", "priority"} <= set(component["properties"])
    assert not {"rto_s", "rpo_s"} & set(component["properties"])
    assert component["additionalProperties"] is False


@pytest.mark.parametrize(
    "text",
    [PLAN, starter_plan(BASICS), application_plan(BASICS, PLACES)],
    ids=["small", "starter", "application"],
)
def test_plans_that_load_satisfy_the_schema(schema: Any, text: str) -> None:
    """No editor marks a plan that works, in particular not our own."""
    assert load(text).plan.version == 1
    assert complaints(schema, text) == []


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("version: 1", "version: 2", "version"),
        ("rto: 4h", "rto: [4h]", "components.0.rto"),
        ("priority: high", "priority: urgent", "components.1.priority"),
        ("action: assess", "action: pray", "scenarios.0.steps.0"),
        ("title: API", "titel: API", "components.1"),
        ("title: Database\n", "label: x\n", "components.0"),
    ],
)
def test_mistakes_are_found_by_schema_and_loader_alike(
    schema: Any, old: str, new: str, place: str
) -> None:
    """What an editor marks is refused on loading too, at the same place."""
    text = plan_with(old, new)
    assert place in complaints(schema, text)
    where = place.replace(".0", "[0]").replace(".1", "[1]")
    assert any(problem.place.startswith(where) for problem in problems_of(text))
