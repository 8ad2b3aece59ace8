"""A small valid plan as text, and its loading, for the tests of the plan."""

from __future__ import annotations

from pathlib import Path

from processpilot.plan.load import LoadedPlan, PlanError, Problem, parse_plan

PATH = Path("/plans/processpilot.yaml")

PLAN = """\
version: 1
name: shop
database:
  dsn: postgresql://postgres@localhost:5432/shop
repository:
  url: backups
  identity: file:operator.key
protection:
  tail_interval: 2s
components:
  - id: database
    title: Database
    priority: critical
    rto: 4h
    rpo: 1h
    probes:
      - {id: connect, kind: sql, query: select 1}
  - id: api
    title: API
    priority: high
    rto: 2h
    rpo: 0
    depends_on: [database]
    service: {kind: systemd, unit: api.service}
    probes:
      - {id: health, kind: http, url: "http://127.0.0.1/health"}
team:
  roles:
    - {id: commander, title: Commander}
scenarios:
  - id: failure
    title: Database failure
    component: database
    symptoms:
      - {probe: database.connect, required: true}
    steps:
      - {id: assess, title: Assess, action: assess}
      - {id: checks, title: Check, action: validate, approval: commander}
"""


def plan_with(old: str, new: str) -> str:
    """Return the plan with one passage, which must occur exactly once, replaced."""
    assert PLAN.count(old) == 1, f"{old!r} occurs {PLAN.count(old)} times"
    return PLAN.replace(old, new)


def load(text: str) -> LoadedPlan:
    """Return the plan written as `text`."""
    return parse_plan(text, PATH)


def problems_of(text: str) -> tuple[Problem, ...]:
    """Return everything that is wrong with `text`; nothing wrong fails the test."""
    try:
        load(text)
    except PlanError as error:
        return error.problems
    raise AssertionError("the plan loads")


def position_of(text: str, passage: str) -> tuple[int, int]:
    """Return line and column, from 1, where a passage that occurs once begins."""
    assert text.count(passage) == 1, f"{passage!r} occurs {text.count(passage)} times"
    before = text[: text.index(passage)]
    return before.count("\n") + 1, len(before) - before.rfind("\n")
