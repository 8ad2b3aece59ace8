"""`processpilot recover`: run a scenario now, led by this process or by the agent that runs."""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack
from typing import Annotated

import typer
from rich.console import Console

from processpilot.agent.agent import CONTROLLER, Agent, Duties
from processpilot.agent.overview import agent_status
from processpilot.agent.preview import preview_recovery
from processpilot.cli.exits import NOT_WELL, WAITING
from processpilot.cli.follow import Lines, LiveRun
from processpilot.cli.frame import (
    DEFAULT_PLAN,
    AllowGapOption,
    JsonOption,
    PlanOption,
    YesOption,
    confirm,
    note,
    opened,
    out,
    person,
    print_json,
)
from processpilot.cli.waiting import answer_to
from processpilot.errors import RefusedError
from processpilot.evidence.page import format_duration
from processpilot.evidence.report import Report, build_report
from processpilot.evidence.versions import versions
from processpilot.incident.begin import find_scenario, request_run
from processpilot.journal.lease import holder
from processpilot.repository.blob import BackupId
from processpilot.runbook.decide import AwaitPeople, waits_of
from processpilot.runbook.history import measured_durations, open_runs, read_run
from processpilot.runbook.runner import begin_run
from processpilot.runbook.state import RunState, Verdict, stream_of
from processpilot.wiring.wired import Wired

_POLL_S = 0.3


def recover(
    scenario: Annotated[str, typer.Argument(help="A scenario of the plan.")] = "database-failure",
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    yes: YesOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what each step would do, and stop.")
    ] = False,
    backup: Annotated[
        str | None, typer.Option(help="Restore this backup, not the newest whole one.")
    ] = None,
    allow_gap: AllowGapOption = False,
) -> None:
    """Recover from a disaster: restore beside, replay, prove, then swap."""
    with opened(plan, as_json=as_json) as wired:
        chosen = find_scenario(wired.loaded.plan, scenario)
        preview = preview_recovery(wired, chosen)
        if dry_run:
            if as_json:
                print_json(preview)
            else:
                for line in preview.lines():
                    out(line)
            if preview.refusals:
                raise typer.Exit(NOT_WELL)
            return
        _refuse_second(wired)
        confirm(f"Begin the recovery from {chosen.title!r}?", yes=yes)
        run_id = wired.new_id()
        if backup is not None:
            wired.repository.manifest(BackupId.parse(backup))
        request = request_run(
            wired.loaded, chosen, run_id, person(), None, backup=backup, allow_gap=allow_gap
        )
        begin_run(wired.journal, request)
        end_with(lead_or_follow(wired, run_id, as_json=as_json), wired, as_json=as_json)


def _refuse_second(wired: Wired) -> None:
    for run_id in open_runs(wired.journal):
        state = read_run(wired.journal, run_id)
        wait = next(iter(waits_of(state)), None)
        told = "" if wait is None else f" and waits: {wait.text}"
        on = "`processpilot run resume`" if wait is None else answer_to(state, wait)
        raise RefusedError(
            f"run {run_id} is not finished{told}",
            hint=f"Carry it on with {on}, or end it: processpilot run abort {run_id}",
        )


def lead_or_follow(wired: Wired, run_id: str, *, as_json: bool) -> RunState:
    """Carry a run on in this process, or watch the agent do it; return its state then."""
    console = Console(stderr=True)
    with ExitStack() as stack:
        # Events go to standard error: standard output gets one document, the report.
        view: LiveRun | Lines = Lines(as_json=False)
        if console.is_terminal and not as_json:
            scenario = read_run(wired.journal, run_id).scenario
            durations = measured_durations(wired.journal, scenario)
            view = stack.enter_context(LiveRun(console, durations))
            view.show(wired.journal.read(stream_of(run_id)))
        if holder(CONTROLLER, wired.locks) is not None:
            return _follow(wired, run_id, view)
        agent = Agent(wired, Duties(watch=False, schedule=False), view)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: agent.stop())
        with agent:
            return agent.lead(run_id)


def _follow(wired: Wired, run_id: str, view: LiveRun | Lines) -> RunState:
    """Show what the agent does, until the run is finished or waits for a person."""
    seen = 0
    while True:
        events = wired.journal.read(stream_of(run_id))
        if isinstance(view, LiveRun):
            view.show(events)
            show_progress(wired, view)
        else:
            for event in events[seen:]:
                view.on_event(event)
            seen = len(events)
        state = read_run(wired.journal, run_id)
        if state.is_finished or waits_of(state):
            return state
        time.sleep(_POLL_S)


def show_progress(wired: Wired, view: LiveRun) -> None:
    """Show how far the agent's running step is."""
    status = agent_status(wired)
    progress = None if status is None else status.get("progress")
    if progress is None:
        view.forget_progress()
        return
    phase, done, total = progress
    view.on_progress(phase, done, total)


def end_with(state: RunState, wired: Wired, *, as_json: bool) -> None:
    """Print what a run came to, and end with the status that says so."""
    report = build_report(state, versions(None))
    if as_json:
        out(report.to_json().rstrip())
    else:
        print_summary(report, wired)
    if not state.is_finished:
        for wait in waits_of(state):
            _tell_wait(state, wait)
        raise typer.Exit(WAITING)
    if state.verdict is not Verdict.PASSED:
        raise typer.Exit(NOT_WELL)


def _tell_wait(state: RunState, wait: AwaitPeople) -> None:
    """Say what the run waits for, and the command that people would type."""
    note(f"run {state.run_id} waits: {wait.text}")
    look = f"processpilot run show {state.run_id}"
    note(f"hint: Look with `{look}`; then {answer_to(state, wait)}.")


def print_summary(report: Report, wired: Wired) -> None:
    """Print what a person wants to know first."""
    verdict = "not finished" if report.end_at is None else report.verdict
    out(f"{report.title}: {verdict}  (run {report.run_id})")
    met = "met" if (report.recovery_time_s or 0) <= report.rto_s else "MISSED"
    took = format_duration(report.recovery_time_s)
    if report.recovery_time_s is not None:
        out(f"  recovered in  {took}, objective {format_duration(report.rto_s)}: {met}")
    objective = format_duration(report.rpo_s)
    if report.data_loss_window_s is not None:
        out(f"  data lost     {format_duration(report.data_loss_window_s)}, objective {objective}")
    elif report.data_loss_bound_s is not None:
        bound = format_duration(report.data_loss_bound_s)
        out(f"  data lost     at most {bound}, objective {objective}")
    elif report.recovery_time_s is not None:
        out(f"  data lost     not known, which misses the objective {objective}")
    if report.lost_transactions is not None:
        out(
            f"  writes lost   {report.lost_transactions} of "
            f"{report.acknowledged_transactions} acknowledged"
        )
    for warning in report.warnings:
        out(f"  warning       {warning}")
    for phase in report.phases:
        out(f"    {phase.name:<10} {format_duration(phase.duration_s)}")
    bad = [c for c in report.checks if c.outcome not in ("passed", "skipped")]
    passed = sum(1 for c in report.checks if c.outcome == "passed")
    out(f"  checks        {passed} of {len(report.checks)} passed")
    for check in bad:
        out(f"    {check.outcome}: {check.name}: expected {check.expected}, found {check.actual}")
    if report.old_data_dir is not None:
        out(f"  old cluster   kept in {report.old_data_dir}")
    page = wired.reports_dir(report.run_id) / "report.html"
    if page.exists():
        out(f"  report        {page}")
