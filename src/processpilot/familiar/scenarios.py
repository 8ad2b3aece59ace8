"""Which scenario of the plan a familiar word means."""

from __future__ import annotations

from processpilot.errors import NotFoundError
from processpilot.plan.act import ActionName
from processpilot.plan.model import Plan
from processpilot.plan.scenario import Scenario
from processpilot.plan.step import every_step

COMPLETE = "complete-failure"
DATABASE = "database-failure"
APPLICATION = "application-failure"


def database_scenario(plan: Plan) -> Scenario | None:
    """Return the first scenario that restores the database itself, or None."""
    return next((s for s in plan.scenarios if _restores(s)), None)


def meant_scenario(plan: Plan, word: str) -> Scenario:
    """Return the scenario of that id, or the one that the familiar word stands for.

    Without a scenario for the loss of everything, the database's is meant: it ends with starting
    and checking the applications.
    """
    named = plan.scenario(word)
    if named is None and word in (DATABASE, COMPLETE):
        named = database_scenario(plan)
    if named is None and word == APPLICATION:
        named = next((s for s in plan.scenarios if _is_about_application(s)), None)
    if named is None:
        known = ", ".join(s.id for s in plan.scenarios) or "none"
        raise NotFoundError(
            f'the plan has no scenario for "{word}"; it has: {known}',
            hint="Name one of these, or add the scenario to the plan.",
        )
    return named


def _restores(scenario: Scenario) -> bool:
    return any(step.action is ActionName.RESTORE for step in every_step(scenario.steps))


def _is_about_application(scenario: Scenario) -> bool:
    """Only names tell: what else leads out of it differs from plan to plan."""
    return scenario.id.startswith("application-") and not _restores(scenario)
