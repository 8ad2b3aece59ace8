"""What escalation goes by for one incident: the plan, who is on call, the steps that are open."""

from __future__ import annotations

from processpilot.errors import ProcessPilotError
from processpilot.incident.called import roles_of
from processpilot.incident.escalation import Policy
from processpilot.incident.state import Incident
from processpilot.journal.journal import Journal
from processpilot.oncall.roster import Roster
from processpilot.plan.model import Autonomy, Plan
from processpilot.runbook.compose import compose
from processpilot.runbook.history import read_run
from processpilot.runbook.state import RunState
from processpilot.runbook.step import StepSpec


def policy_of(plan: Plan, roster: Roster, incident: Incident, run: RunState | None) -> Policy:
    """Return the policy; a run that is over needs nobody by its steps any more."""
    specs = steps_of(plan, incident, run)
    needed = roles_of([spec for spec in specs if run is None or _is_open(run, spec)])
    return Policy(plan, roster, needed, {} if run is None else run.roles)


def steps_of(plan: Plan, incident: Incident, run: RunState | None) -> tuple[StepSpec, ...]:
    """Return the steps of the incident's run, or of the scenario that will answer it."""
    if run is not None:
        return tuple(step.spec for step in run.steps)
    scenario = None if incident.scenario is None else plan.scenario(incident.scenario)
    if scenario is None:
        return ()
    return compose(plan, scenario, asks=plan.autonomy is Autonomy.APPROVE).steps


def run_of(journal: Journal, incident: Incident) -> RunState | None:
    """Return the incident's run; None when it has none, or it cannot be read.

    One that is about to begin has no events yet, and a damaged one must keep nobody asleep.
    """
    if incident.run_id is None:
        return None
    try:
        return read_run(journal, incident.run_id)
    except ProcessPilotError:
        return None


def _is_open(run: RunState, spec: StepSpec) -> bool:
    step = run.step(spec.id)
    return step is not None and not step.is_settled and not run.is_finished
