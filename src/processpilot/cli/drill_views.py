"""What there is to see of drills: list, show, schedule, learn."""

from __future__ import annotations

from typing import Annotated

import typer

from processpilot.cli.frame import (
    DEFAULT_PLAN,
    JsonOption,
    PlanOption,
    opened,
    out,
    print_json,
    table,
)
from processpilot.drill.builtin import drills_of
from processpilot.drill.history import (
    distribution,
    history,
    losses,
    of_drill,
    read_rehearsal,
    recovery_times,
)
from processpilot.drill.learning import LEAST_COUNT, Lesson, learn, phase_durations
from processpilot.drill.schedule import due_drills
from processpilot.drill.standing import standing_of
from processpilot.drill.state import Rehearsal
from processpilot.drill.tabletop import table_of
from processpilot.errors import NotFoundError
from processpilot.evidence.page import format_duration
from processpilot.runbook.history import measured_durations
from processpilot.wiring.drilling import facts_now
from processpilot.wiring.wired import Wired

LimitOption = Annotated[int, typer.Option("--limit", min=1, help="At most so many, newest first.")]


def list_drills(
    plan: PlanOption = DEFAULT_PLAN, as_json: JsonOption = False, limit: LimitOption = 50
) -> None:
    """List how each drill of the plan stands, then the drills that were begun, newest first."""
    with opened(plan, as_json=as_json) as wired:
        begun = history(wired.journal)
        now = wired.clock.now()
        drills = drills_of(wired.loaded.plan)
        stand = [(d, standing_of(d, begun, facts_now(wired, d), now)) for d in drills]
    if as_json:
        rows = [
            {"drill": d.id, "kind": str(d.kind), "title": d.title, "standing": s} for d, s in stand
        ]
        print_json({"drills": rows, "begun": begun[:limit], "more": len(begun) > limit})
        return
    table(
        [(d.id, str(d.kind), str(s.state), s.why) for d, s in stand],
        ("DRILL", "KIND", "STANDS", "WHY"),
    )
    out()
    table(
        [
            (
                r.rehearsal_id,
                r.drill,
                str(r.verdict or "open"),
                "" if r.recovery_time_s is None else format_duration(r.recovery_time_s),
                _loss(r),
                "; ".join(r.reasons),
            )
            for r in begun[:limit]
        ],
        ("BEGUN", "DRILL", "VERDICT", "RECOVERED IN", "LOST", "WHY"),
    )


def show(
    drill_id: Annotated[
        str | None, typer.Argument(help="A begun drill's id; otherwise the newest.")
    ] = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
) -> None:
    """Show a drill: its phases, its checks, its verdict, and how it compares with earlier ones."""
    with opened(plan, as_json=as_json) as wired:
        begun = history(wired.journal)
        state = _chosen(wired, begun, drill_id)
    same = of_drill(begun, state.drill)
    times, lost = distribution(recovery_times(same)), distribution(losses(same))
    if as_json:
        print_json({"drill": state, "recovery_time_s": times, "data_loss_window_s": lost})
        return
    print_rehearsal(state, whole=True)
    for name, found in (("recovery time", times), ("data lost", lost)):
        if found is not None:
            out(
                f"{name}, {found.count} measured: median {format_duration(found.median_s)}, "
                f"95 % {format_duration(found.p95_s)}, worst {format_duration(found.worst_s)}"
            )


def schedule(plan: PlanOption = DEFAULT_PLAN, as_json: JsonOption = False) -> None:
    """Say when the agent begins which drill."""
    with opened(plan, as_json=as_json) as wired:
        due = list(due_drills(drills_of(wired.loaded.plan), wired.journal))
    if as_json:
        print_json({"due": [{"drill": d.drill.id, "at": d.at, "why": d.why} for d in due]})
        return
    table(
        [
            (d.drill.id, "not by itself" if d.at is None else f"{d.at:%Y-%m-%d %H:%M:%S}", d.why)
            for d in due
        ],
        ("DRILL", "DUE (UTC)", "WHY"),
    )


def learn_from(
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    apply: Annotated[
        bool, typer.Option("--apply", help="Write the plan; otherwise the change is printed.")
    ] = False,
) -> None:
    """Propose estimates and time boxes from what runs and drills took, as a change of the plan."""
    with opened(plan, as_json=as_json) as wired:
        runs = {
            scenario.id: measured_durations(wired.journal, scenario.id)
            for scenario in wired.loaded.plan.scenarios
        }
        lesson = learn(wired.loaded, runs, phase_durations(history(wired.journal)))
        if apply and lesson.proposals:
            path = wired.loaded.path
            fresh = path.with_name(f".{path.name}.new")
            fresh.write_text(lesson.text)
            fresh.chmod(path.stat().st_mode & 0o777)
            fresh.replace(path)
        difference = lesson.difference(wired.loaded.text, wired.loaded.path.name)
    if as_json:
        print_json(
            {
                "proposals": lesson.proposals,
                "too_few": lesson.too_few,
                "difference": difference,
                "applied": apply and bool(lesson.proposals),
            }
        )
        return
    _print_lesson(lesson, difference, applied=apply)


def _print_lesson(lesson: Lesson, difference: str, *, applied: bool) -> None:
    for proposal in lesson.proposals:
        out(str(proposal))
    if lesson.proposals:
        typer.echo(difference, nl=False)
        out(
            "the plan was written" if applied else "apply it with: processpilot drill learn --apply"
        )
    else:
        out("nothing to change")
    if lesson.too_few:
        out(
            f"measured fewer than {LEAST_COUNT} times, so nothing is said of them: "
            f"{', '.join(lesson.too_few)}"
        )


def print_rehearsal(state: Rehearsal, *, whole: bool = False) -> None:
    """Print what a drill came to, or where it stands."""
    out(f"{state.title}: {state.verdict or 'open'}  (drill {state.rehearsal_id})")
    for reason in state.reasons:
        out(f"  why           {reason}")
    aim = state.details["objective"]
    if state.recovery_time_s is not None:
        took, allowed = format_duration(state.recovery_time_s), format_duration(aim["rto_s"])
        out(f"  recovered in  {took}, objective {allowed}")
    if _loss(state):
        out(f"  data lost     {_loss(state)}, objective {format_duration(aim['rpo_s'])}")
    for phase in state.phases:
        failed = "" if phase.passed else "  did not pass"
        out(f"    {phase.phase:<12} {format_duration(phase.duration_s)}{failed}")
    for step in table_of(state):
        took = "" if step.duration_s is None else f"  {format_duration(step.duration_s)}"
        who = "ready" if step.is_ready else "" if step.confirmed is None else step.confirmed.by
        out(f"    {step.spec.id:<18} {step.spec.title}  {who}{took}".rstrip())
    if state.checks:
        passed = sum(1 for check in state.checks if check.outcome == "passed")
        out(f"  checks        {passed} of {len(state.checks)} passed")
    for check in state.checks:
        if whole or check.outcome not in ("passed", "skipped"):
            said = f" ({check.detail})" if check.detail else ""
            out(
                f"    {check.outcome}: {check.name}: expected {check.expected}, "
                f"found {check.actual}{said}"
            )
    for finding in state.findings:
        out(f"  finding       {finding}")


def _loss(state: Rehearsal) -> str:
    if state.data_loss_window_s is not None:
        return format_duration(state.data_loss_window_s)
    if state.data_loss_bound_s is not None:
        return f"at most {format_duration(state.data_loss_bound_s)}"
    return ""


def _chosen(wired: Wired, begun: tuple[Rehearsal, ...], drill_id: str | None) -> Rehearsal:
    if drill_id is not None:
        return read_rehearsal(wired.journal, drill_id)
    if not begun:
        raise NotFoundError(
            "no drill was begun yet", hint="Run `processpilot drill run` to begin one."
        )
    return begun[0]


def register(app: typer.Typer) -> None:
    """Add these to the command's subcommands."""
    app.command("list")(list_drills)
    app.command("show")(show)
    app.command("schedule")(schedule)
    app.command("learn")(learn_from)
