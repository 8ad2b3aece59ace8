"""How a run ends: given up because it is void, or with its evidence and its incident resolved."""

from __future__ import annotations

from processpilot.errors import ProcessPilotError
from processpilot.evidence.report import build_report
from processpilot.evidence.store import store_report
from processpilot.evidence.versions import versions
from processpilot.incident.record import read_incident, resolve
from processpilot.incident.watch import Watch
from processpilot.plan.act import ActionName
from processpilot.recovery.look import StillAnswersError
from processpilot.recovery.rebuild import discard_copy
from processpilot.recovery.takeover import StaleCopyError
from processpilot.runbook.state import RunState, Verdict
from processpilot.runbook.step import StepOutcome, StepState
from processpilot.wiring.dossiers import leave_evidence, make_run_evidence
from processpilot.wiring.wired import Wired

BY_AGENT = "the agent"


def why_void(state: RunState, watch: Watch | None) -> str | None:
    """Return why a run that has not taken over yet must not do so any more, or None.

    A new incident begins a new run, with the log written meanwhile, if the database fails again.
    """
    step = state.current
    if state.is_finished or step is None or state.aborted_by is not None:
        return None
    if has_taken_over(state):
        return _why_again(state, step, watch)
    error = step.error
    if error is not None and state.trigger == BY_AGENT:
        if error.code == StillAnswersError.code:
            return "the database answers again"
        if error.code == StaleCopyError.code:
            return "the old server went on after the copy was made"
    rebuilds = any(s.spec.action == ActionName.ASSESS for s in state.steps)
    if rebuilds and watch is not None and watch.is_well_again(state.scenario):
        return "the database answers again"
    return None


def _why_again(state: RunState, step: StepState, watch: Watch | None) -> str | None:
    """Return why a run that has taken over is given up for a new one, or None."""
    if watch is None or step.outcome is not StepOutcome.FAILED:
        return None
    started = state.result_of(ActionName.START_DATABASE) is not None
    if started and watch.is_failing(state.scenario):
        return "the recovered database failed again"
    return None


def conclude_run(wired: Wired, state: RunState) -> None:
    """Store the report, resolve the incident, leave evidence; doing so again changes nothing."""
    if state.verdict is Verdict.ABORTED and not has_taken_over(state):
        data_dir = wired.loaded.plan.database.data_dir
        if data_dir is not None:
            discard_copy(wired.loaded.resolve(data_dir), state)
    server = None
    try:
        server = wired.facts().server_version
    except ProcessPilotError:
        server = None
    store_report(build_report(state, versions(server)), wired.reports_dir(state.run_id))
    _resolve_incident(wired, state)
    leave_evidence(wired, lambda: make_run_evidence(wired, state.run_id), state.run_id)


def _resolve_incident(wired: Wired, state: RunState) -> None:
    incident = state.details.get("incident")
    if incident is None:
        return
    found = read_incident(wired.journal, str(incident))
    if found.is_open:
        stopped_by = None if state.aborted_by == BY_AGENT else state.aborted_by
        resolve(wired.journal, found, str(state.verdict), stopped_by=stopped_by)


def has_taken_over(state: RunState) -> bool:
    """Whether the recovered cluster has begun to take the old one's place."""
    swaps = [step for step in state.steps if step.spec.action == ActionName.SWAP]
    return any(step.attempt > 0 for step in swaps)
