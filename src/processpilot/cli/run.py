"""`processpilot run`: list, show, approve, refuse, retry, skip, resume, abort."""

from __future__ import annotations

from typing import Annotated

import typer

from processpilot.cli.follow import event_json, event_line
from processpilot.cli.frame import (
    DEFAULT_PLAN,
    JsonOption,
    PlanOption,
    YesOption,
    confirm,
    opened,
    out,
    person,
    print_json,
    table,
)
from processpilot.cli.recover import end_with, lead_or_follow
from processpilot.errors import NotFoundError
from processpilot.evidence.page import format_duration
from processpilot.evidence.report import build_report
from processpilot.evidence.versions import versions
from processpilot.runbook import people
from processpilot.runbook.decide import AwaitPeople, decide
from processpilot.runbook.runner import read_run, run_ids
from processpilot.runbook.state import RunState, stream_of
from processpilot.runbook.step import StepOutcome
from processpilot.wiring.wired import Wired

app = typer.Typer(help="Runs of scenarios.", no_args_is_help=True)

RunArgument = Annotated[
    str | None, typer.Argument(help="A run's id; otherwise the one that is not finished.")
]
AsOption = Annotated[str | None, typer.Option("--as", help="Who decides, for the record.")]
CommentOption = Annotated[str | None, typer.Option("--comment", help="Kept with the decision.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Kept with the decision.")]


def _chosen(wired: Wired, run_id: str | None) -> str:
    if run_id is not None:
        return run_id
    for candidate in run_ids(wired.journal):
        if not read_run(wired.journal, candidate).is_finished:
            return candidate
    raise NotFoundError("no run is open", hint="Run `processpilot run list` to see them all.")


def _waits(state: RunState) -> str:
    found = decide(state)
    step = state.current
    if step is not None and step.outcome is StepOutcome.RUNNING:
        return ""
    return found.text if isinstance(found, AwaitPeople) else ""


@app.command("list")
def list_runs(plan: PlanOption = DEFAULT_PLAN, as_json: JsonOption = False) -> None:
    """List the runs, the one with the newest event first."""
    with opened(plan, as_json=as_json) as wired:
        states = [read_run(wired.journal, run_id) for run_id in run_ids(wired.journal)]
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
        print_json({"runs": rows})
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


@app.command()
def show(
    run_id: RunArgument = None, plan: PlanOption = DEFAULT_PLAN, as_json: JsonOption = False
) -> None:
    """Show a run: its steps, its checks, and every event."""
    with opened(plan, as_json=as_json) as wired:
        chosen = _chosen(wired, run_id) if run_id or _has_open(wired) else _newest(wired)
        state = read_run(wired.journal, chosen)
        events = wired.journal.read(stream_of(chosen))
    report = build_report(state, versions(None))
    if as_json:
        print_json({"report": report, "events": [event_json(event) for event in events]})
        return
    out(f"run {state.run_id}: {report.title}, {state.verdict or 'open'}")
    for step in report.steps:
        took = "" if step.duration_s is None else format_duration(step.duration_s)
        out(f"  {step.outcome:<8} {step.title}  {took}".rstrip())
        if step.message:
            out(f"           {step.message}")
    for check in report.checks:
        if check.outcome != "passed":
            out(f"  {check.outcome}: {check.name}: expected {check.expected}, found {check.actual}")
    for event in events:
        out(f"  {event.at:%H:%M:%S}  {event_line(event)}")
    if _waits(state):
        out(f"waits for a person: {_waits(state)}")


def _has_open(wired: Wired) -> bool:
    return any(not read_run(wired.journal, run).is_finished for run in run_ids(wired.journal))


def _newest(wired: Wired) -> str:
    ids = run_ids(wired.journal)
    if not ids:
        raise NotFoundError("there is no run yet")
    return ids[0]


def _decided(wired: Wired, chosen: str, done: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"run_id": chosen, "done": done})
    else:
        out(f"run {chosen}: {done}")
        out("The agent carries on by itself; without one: processpilot run resume")


@app.command()
def approve(
    run_id: RunArgument = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    yes: YesOption = False,
    by: AsOption = None,
    comment: CommentOption = None,
) -> None:
    """Agree to the step that waits for it."""
    with opened(plan, as_json=as_json) as wired:
        chosen = _chosen(wired, run_id)
        _, current = people.needs_approval(wired.journal, chosen)
        confirm(f"Agree to {current.spec.title!r} of run {chosen}?", yes=yes)
        step = people.approve(wired.journal, chosen, by=by or person(), comment=comment)
        _decided(wired, chosen, f"{step.spec.id} approved", as_json=as_json)


@app.command()
def refuse(
    run_id: RunArgument = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    by: AsOption = None,
    comment: CommentOption = None,
) -> None:
    """Refuse the step that waits for an approval."""
    with opened(plan, as_json=as_json) as wired:
        chosen = _chosen(wired, run_id)
        step = people.refuse(wired.journal, chosen, by=by or person(), comment=comment)
        _decided(wired, chosen, f"{step.spec.id} refused", as_json=as_json)


@app.command()
def retry(
    run_id: RunArgument = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    by: AsOption = None,
) -> None:
    """Have the failed step tried again."""
    with opened(plan, as_json=as_json) as wired:
        chosen = _chosen(wired, run_id)
        step = people.retry(wired.journal, chosen, by=by or person())
        _decided(wired, chosen, f"{step.spec.id} will be tried again", as_json=as_json)


@app.command()
def skip(
    run_id: RunArgument = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    yes: YesOption = False,
    by: AsOption = None,
    reason: ReasonOption = "",
) -> None:
    """Leave the waiting or failed step out, for a reason. The verdict is then at best missed."""
    with opened(plan, as_json=as_json) as wired:
        chosen = _chosen(wired, run_id)
        confirm(f"Leave a step of run {chosen} out?", yes=yes)
        step = people.skip(wired.journal, chosen, by=by or person(), reason=reason)
        _decided(wired, chosen, f"{step.spec.id} skipped", as_json=as_json)


@app.command()
def abort(
    run_id: RunArgument = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    yes: YesOption = False,
    by: AsOption = None,
    reason: ReasonOption = "",
) -> None:
    """End the run after the step that is running. Nothing is undone."""
    with opened(plan, as_json=as_json) as wired:
        chosen = _chosen(wired, run_id)
        confirm(f"End run {chosen}?", yes=yes)
        people.abort(wired.journal, chosen, by=by or person(), reason=reason)
        _decided(wired, chosen, "ends", as_json=as_json)
        if not as_json:
            out("No recovery begins by itself before the database was well again in between.")


@app.command()
def resume(
    run_id: RunArgument = None, plan: PlanOption = DEFAULT_PLAN, as_json: JsonOption = False
) -> None:
    """Carry an unfinished run on, after a crash or after a person decided."""
    with opened(plan, as_json=as_json) as wired:
        chosen = _chosen(wired, run_id)
        end_with(lead_or_follow(wired, chosen, as_json=as_json), wired, as_json=as_json)
