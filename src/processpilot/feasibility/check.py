"""Checking a plan: every rule, each remark with its line, the worst first."""

from __future__ import annotations

from processpilot.feasibility import (
    boxes,
    contradictions,
    escalation,
    losses,
    noticing,
    objectives,
    people,
    placeholders,
    presence,
    providers,
    safety,
    single,
)
from processpilot.feasibility.codes import CODES
from processpilot.feasibility.finding import Finding, Remark, rank
from processpilot.feasibility.places import Places
from processpilot.feasibility.study import study_of
from processpilot.feasibility.world import World
from processpilot.plan.load import LoadedPlan

_RULES = (
    objectives,
    contradictions,
    losses,
    boxes,
    people,
    escalation,
    presence,
    placeholders,
    providers,
    safety,
    noticing,
    single,
)


def check_plan(loaded: LoadedPlan, world: World) -> tuple[Finding, ...]:
    """Return everything about a plan that cannot hold or will hurt, sorted by severity and line."""
    study = study_of(loaded, world)
    places = Places(loaded.text)
    found = (remark for rule in _RULES for remark in rule.remarks(study))
    return tuple(sorted((_finding(remark, places) for remark in found), key=rank))


def _finding(remark: Remark, places: Places) -> Finding:
    line, column = places.position(remark.place)
    severity = remark.severity or CODES[remark.code].severity
    return Finding(
        remark.code,
        severity,
        remark.place,
        line,
        column,
        remark.message,
        remark.arithmetic,
        remark.way_out,
    )
