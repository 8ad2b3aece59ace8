"""Beginning the run that answers a scenario: the plan's steps, pinned with what evidence needs."""

from __future__ import annotations

from collections.abc import Iterator

from processpilot.errors import NotFoundError
from processpilot.incident.state import Incident
from processpilot.journal.event import JsonValue
from processpilot.plan.load import LoadedPlan
from processpilot.plan.model import Autonomy, Plan
from processpilot.plan.scenario import Scenario
from processpilot.runbook.compose import compose
from processpilot.runbook.runner import RunRequest


def find_scenario(plan: Plan, scenario_id: str) -> Scenario:
    """Return a scenario of the plan; NotFoundError names those there are."""
    scenario = plan.scenario(scenario_id)
    if scenario is None:
        known = ", ".join(s.id for s in plan.scenarios) or "none"
        raise NotFoundError(f'the plan has no scenario "{scenario_id}"; it has: {known}')
    return scenario


def request_run(
    loaded: LoadedPlan,
    scenario: Scenario,
    run_id: str,
    trigger: str,
    incident: Incident | None,
    *,
    backup: str | None = None,
    allow_gap: bool = False,
) -> RunRequest:
    """Return the run that answers `scenario`; with autonomy to act, no act waits for approval.

    `backup` names the one to restore; None chooses the newest that is whole. `allow_gap` accepts
    that the log ends at a hole.
    """
    asks = loaded.plan.autonomy is Autonomy.APPROVE
    composed = compose(loaded.plan, scenario, asks=asks)
    details: dict[str, JsonValue] = {
        "title": scenario.title,
        "objectives": list(_objectives(loaded.plan, scenario)),
        "plan": loaded.text,
        "incident": None,
        "reasons": [],
        "last_passed_at": None,
        "declared_at": None,
        "backup": backup,
        "allow_gap": allow_gap,
    }
    if incident is not None:
        details |= {
            "incident": incident.incident_id,
            "reasons": list(incident.reasons),
            "last_passed_at": incident.last_passed_at,
            "declared_at": incident.declared_at.isoformat(),
        }
    return RunRequest(
        run_id, scenario.id, trigger, loaded.hash, composed.steps, details, composed.groups
    )


def _objectives(plan: Plan, scenario: Scenario) -> Iterator[JsonValue]:
    """Yield the objectives of the scenario's component, then of all that depend on it."""
    affected = {scenario.component}
    order = plan.start_order()
    for component in order:
        if affected & set(component.depends_on):
            affected.add(component.id)
    chosen = [c for c in order if c.id in affected]
    for component in sorted(chosen, key=lambda c: c.id != scenario.component):
        yield {
            "component": component.id,
            "title": component.title,
            "rto_s": component.rto_s,
            "rpo_s": component.rpo_s,
            "watched": bool(component.probes),
        }
