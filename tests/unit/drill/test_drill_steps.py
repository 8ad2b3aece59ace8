"""Which steps a drill carries out: what could reach production or people is refused beforehand."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from plan_text import PLAN, load

from processpilot.drill.steps import Asking, playable
from processpilot.errors import RefusedError
from processpilot.plan.act import CommandAct, SqlAct
from processpilot.plan.model import Plan


def with_steps(*steps: dict[str, Any]) -> Plan:
    """Return the plan with one drill of those steps."""
    document = yaml.safe_load(PLAN)
    named = [{"id": f"s{n}", "title": "Step", **step} for n, step in enumerate(steps)]
    document["drills"] = [{"id": "whole", "title": "Whole", "every": "30d", "steps": named}]
    return load(yaml.safe_dump(document)).plan


def http(url: str) -> dict[str, Any]:
    """Return a condition that asks an address."""
    return {"kind": "http", "url": url}


REFUSED: list[dict[str, Any]] = [
    {"action": "message", "text": "hello"},
    {"action": "service", "component": "api", "do": "restart"},
    {"action": "swap"},
    {"action": "backup"},
    {"action": "http", "url": "http://example.org/"},
    {"action": "http", "url": "http://127.0.0.1.example.org/"},
    {"action": "sql", "query": "select 1", "dsn": "postgresql://production/shop"},
    {"action": "check", "conditions": [http("https://192.0.2.1/")]},
    {"action": "check", "conditions": [{"kind": "sql", "query": "select 1", "dsn": "dbname=x"}]},
    {"action": "check", "conditions": [{"kind": "probe", "probe": "api.health", "passes": False}]},
    {"action": "runbook", "scenario": "failure"},
    {"action": "command", "argv": ["true"], "only_if": http("http://example.org/")},
    {"action": "command", "argv": ["true"], "precondition": http("http://example.org/")},
    {"action": "wait", "for": "1m"},
    {"action": "sequence", "steps": [{"id": "m", "title": "M", "action": "message", "text": "x"}]},
]


@pytest.mark.parametrize("step", REFUSED, ids=lambda step: str(step["action"]))
def test_a_step_that_could_leave_the_drill_is_refused(step: dict[str, Any]) -> None:
    """Before the drill begins, and the step is named."""
    plan = with_steps({"action": "command", "argv": ["true"]}, step)
    with pytest.raises(RefusedError, match="step (s1|m) "):
        playable(plan, plan.drills[0])


def test_commands_checks_loopback_requests_and_statements_are_carried_out() -> None:
    """In the order of the document; probes of the plan are asked on the drill's own loopback."""
    plan = with_steps(
        {"action": "command", "argv": ["true"]},
        {"action": "http", "url": "http://localhost:5000/", "timeout": "7s"},
        {"action": "sql", "query": "select 1"},
        {
            "action": "check",
            "within": "9s",
            "conditions": [
                {"kind": "probe", "probe": "api.health"},
                {"kind": "probe", "probe": "database.connect"},
            ],
        },
    )
    found = playable(plan, plan.drills[0])
    acts = [step.act for step in found.steps]
    assert isinstance(acts[0], CommandAct)
    assert isinstance(acts[2], SqlAct)
    request, check = acts[1], acts[3]
    assert isinstance(request, Asking)
    assert isinstance(check, Asking)
    inside = request.questions[0].inside
    assert inside is not None
    assert (inside["url"], inside["timeout"]) == ("http://localhost:5000/", "7.0s")
    assert check.within_s == 9.0
    probe, query = check.questions
    assert probe.inside is not None
    assert probe.inside["url"] == "http://127.0.0.1/health"
    assert query.sql is not None
    assert query.sql.query == "select 1"


def test_what_people_do_and_what_the_drill_does_itself_is_left_out_and_said() -> None:
    """So is a command out of a written runbook that nobody has accepted."""
    plan = with_steps(
        {"action": "manual"},
        {"action": "restore"},
        {"action": "command", "argv": ["./restore.sh"], "origin": "runbook.md:12"},
    )
    found = playable(plan, plan.drills[0])
    assert found.steps == ()
    assert [left.id for left in found.left_out] == ["s0", "s1", "s2"]
    assert "accepted" in found.left_out[2].why
