"""`processpilot run`: what there is to see of runs. What people do to them is in `run_acts`."""

from __future__ import annotations

from typing import Annotated

import typer

from processpilot.cli import run_acts
from processpilot.cli.frame import (
    DEFAULT_PLAN,
    JsonOption,
    PlanOption,
    opened,
    out,
    print_json,
    table,
)
from processpilot.cli.run_acts import RunArgument, chosen_run
from processpilot.errors import NotFoundError
from processpilot.evidence.page import format_duration
from processpilot.evidence.report import Report, build_report
from processpilot.evidence.versions import versions
from processpilot.runbook.decide import waits_of
from processpilot.runbook.forecast import forecast
from processpilot.runbook.history import measured_durations, newest_runs, open_runs, read_run
from processpilot.runbook.state import RunState, stream_of
from processpilot.runbook.words import event_json, event_line
from processpilot.wiring.wired import Wired

app = typer.Typer(help="Runs of scenarios.", no_args_is_help=True)
run_acts.register(app)

LimitOption = Annotated[int, typer.Option("--limit", min=1, help="At most so many, newest first.")]


def _waits(state: RunState) -> str:
    return "; ".join(wait.text for wait in waits_of(state))


@app.command("list")
def list_runs(
    plan: PlanOption = DEFAULT_PLAN, as_json: JsonOption = False, limit: LimitOption = 50
) -> None:
    """List the runs, the one with the newest event first."""
    with opened(plan, as_json=as_json) as wired:
        found = newest_runs(wired.journal, limit + 1)
        states = [read_run(wired.journal, run_id) for run_id in found[:limit]]
    if as_json:
        rows = [
            {
                "run_id": s.run_id,
                "scenario": s.scenario,
                "trigger": s.trigger,
                "begun_at": s.begun_at,
                "verdict": s.verdict,
                "waits_for": _waits(s) or None,
            }
            for s in states
        ]
        print_json({"runs": rows, "more": len(found) > limit})
        return
    table(
        [
            (
                s.run_id,
                s.scenario,
                f"{s.begun_at:%Y-%m-%d %H:%M:%S}",
                str(s.verdict or "open"),
                _waits(s),
            )
            for s in states
        ],
        ("RUN", "SCENARIO", "BEGUN (UTC)", "VERDICT", "WAITS FOR"),
    )
    if len(found) > limit:
        out(f"There are older ones: --limit {limit * 10}")


@app.command()
def show(
    run_id: RunArgument = None, plan: PlanOption = DEFAULT_PLAN, as_json: JsonOption = False
) -> None:
    """Show a run: its steps, its forecast, its checks, and every event."""
    with opened(plan, as_json=as_json) as wired:
        chosen = run_id or _newest(wired)
        state = read_run(wired.journal, chosen)
        events = wired.journal.read(stream_of(chosen))
        durations = {} if state.is_finished else measured_durations(wired.journal, state.scenario)
        expected = forecast(state, wired.clock.now(), durations)
    report = build_report(state, versions(None))
    if as_json:
        open_forecast = None if state.is_finished else expected
        print_json(
            {
                "report": report,
                "forecast": open_forecast,
                "waits": waits_of(state),
                "events": [event_json(event) for event in events],
            }
        )
        return
    _print_steps(state, report)
    if not state.is_finished:
        basis = f"{expected.measured} of {expected.known} open steps measured before"
        unknown = f", {expected.unknown} of unknown length" if expected.unknown else ""
        out(f"forecast: done at {expected.end_at:%H:%M:%S} UTC ({basis}{unknown})")
    for text in state.warned.values():
        out(f"warning: {text}")
    for check in report.checks:
        if check.outcome != "passed":
            out(f"  {check.outcome}: {check.name}: expected {check.expected}, found {check.actual}")
    for event in events:
        out(f"  {event.at:%H:%M:%S}  {event_line(event)}")
    for wait in waits_of(state):
        out(f"waits for a person: {wait.text}")


def _print_steps(state: RunState, report: Report) -> None:
    out(f"run {state.run_id}: {report.title}, {state.verdict or 'open'}")
    if state.acknowledged_by is not None:
        out(f"  acknowledged by {state.acknowledged_by}")
    for role, holder in state.roles.items():
        out(f"  {role}: {holder}")
    for step in report.steps:
        took = "" if step.duration_s is None else format_duration(step.duration_s)
        box = "" if step.timebox_s is None else f" of {format_duration(step.timebox_s)}"
        timing = f"{took}{box}" if took else ""
        out(f"  {step.outcome:<10} {step.id:<18} {step.title}  {timing}".rstrip())
        if step.message:
            out(f"             {step.message}")


def _newest(wired: Wired) -> str:
    """Return the run that is open, otherwise the newest."""
    if open_runs(wired.journal):
        return chosen_run(wired, None)
    ids = newest_runs(wired.journal, 1)
    if not ids:
        raise NotFoundError("there is no run yet")
    return ids[0]
