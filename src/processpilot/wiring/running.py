"""What carries out the runs of a plan: every action, and the plan that a run keeps to."""

from __future__ import annotations

from dataclasses import replace

from processpilot.checks.condition import Asker
from processpilot.errors import RefusedError
from processpilot.evidence.report import conclude
from processpilot.incident.vendor_step import AskVendor
from processpilot.plan.condition import condition_from_json
from processpilot.plan.load import PlanError, parse_plan
from processpilot.plan.team import Team
from processpilot.recovery.actions import built_in_actions
from processpilot.recovery.ground import Ground, Stream
from processpilot.runbook.history import measured_durations
from processpilot.runbook.runner import Observer, Runner, Surroundings
from processpilot.runbook.state import RunState
from processpilot.runbook.step import Settings
from processpilot.steps.actions import general_actions
from processpilot.steps.ground import StepGround
from processpilot.wiring.drivers import driver_for
from processpilot.wiring.wired import Wired


def pinned(wired: Wired, state: RunState) -> Wired:
    """Return the plan that a run began with, opened; edits since then do not concern it."""
    if state.plan_hash == wired.loaded.hash:
        return wired
    loaded = parse_plan(str(state.details["plan"]), wired.loaded.path)
    return replace(wired, loaded=loaded)


def team_of(wired: Wired, state: RunState) -> Team:
    """Return who may agree in a run: by the plan it began with, else today's."""
    try:
        return pinned(wired, state).loaded.plan.team
    except PlanError:
        return wired.loaded.plan.team


def carrying(wired: Wired, state: RunState) -> Wired:
    """Return the plan that a run is carried on with: the one it began with.

    One that only has to end needs none of it, so that a plan which can no longer be read, as after
    an upgrade, keeps nobody from ending its run and beginning another. RefusedError otherwise.
    """
    try:
        return pinned(wired, state)
    except PlanError as error:
        if state.aborted_by is not None and not state.undoing:
            return wired
        raise RefusedError(
            f"the plan that run {state.run_id} began with cannot be read: {error.message}",
            hint="Use the ProcessPilot that began it, or end it without undoing: "
            f"processpilot run abort {state.run_id}",
        ) from error


def runner_of(wired: Wired, stream: Stream, observer: Observer) -> Runner:
    """Return the runner of a plan's runs."""
    ground = Ground(
        wired.loaded,
        wired.address,
        wired.repository,
        stream,
        wired.prober,
        lambda component: driver_for(component, wired.loaded),
        wired.clock,
        wired.tag,
    )
    around = Surroundings(
        {
            **general_actions(steps_of(wired)),
            **built_in_actions(ground),
            "vendor": AskVendor(wired.journal, wired.loaded.plan, wired.clock),
        },
        conclude,
        wired.clock,
        observer,
        lambda question: ask(wired, question),
        lambda scenario: measured_durations(wired.journal, scenario),
    )
    return Runner(wired.journal, around)


def steps_of(wired: Wired) -> StepGround:
    """Return what the general step kinds work with."""
    return StepGround(
        wired.loaded,
        wired.address,
        wired.prober,
        lambda component: driver_for(component, wired.loaded),
        wired.clock,
        lambda run_id: wired.reports_dir(run_id) / "outputs",
    )


def ask(wired: Wired, question: Settings) -> str | None:
    """Return None when a condition in the journal's form holds, otherwise why not."""
    return Asker(wired.prober, wired.loaded).ask(condition_from_json(question))
