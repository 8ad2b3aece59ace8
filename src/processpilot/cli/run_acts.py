"""What people do to a run from the command line; who decided is left in the journal."""

from __future__ import annotations

import re
from typing import Annotated

import typer

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
)
from processpilot.cli.recover import end_with, lead_or_follow
from processpilot.errors import NotFoundError, UsageError
from processpilot.runbook import people
from processpilot.runbook.history import open_runs, read_run
from processpilot.runbook.people import Person
from processpilot.runbook.step import StepSpec
from processpilot.wiring.running import team_of
from processpilot.wiring.wired import Wired

RunArgument = Annotated[
    str | None, typer.Argument(help="A run's id; otherwise the one that is not finished.")
]
StepOption = Annotated[
    str | None, typer.Option("--step", help="Which step, where several of them wait.")
]
AsOption = Annotated[str | None, typer.Option("--as", help="Who decides, for the record.")]
CommentOption = Annotated[str | None, typer.Option("--comment", help="Kept with the decision.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Kept with the decision.")]


def chosen_run(wired: Wired, run_id: str | None) -> str:
    """Return the run named, or the one that is not finished; NotFoundError when there is none."""
    if run_id is not None:
        return run_id
    for candidate in open_runs(wired.journal):
        return candidate
    raise NotFoundError("no run is open", hint="Run `processpilot run list` to see them all.")


def _person(wired: Wired, run_id: str | None, by: str | None) -> Person:
    chosen = chosen_run(wired, run_id)
    team = team_of(wired, read_run(wired.journal, chosen))
    return Person(wired.journal, chosen, by or person(), team)


def _decided(who: Person, done: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"run_id": who.run_id, "done": done})
    else:
        out(f"run {who.run_id}: {done}")
        out("The agent carries on by itself; without one: processpilot run resume")


def acknowledge(
    run_id: RunArgument = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    by: AsOption = None,
) -> None:
    """Say that you have taken note and look after the run."""
    with opened(plan, as_json=as_json) as wired:
        who = _person(wired, run_id, by)
        people.acknowledge(who)
        _decided(who, f"acknowledged by {who.by}", as_json=as_json)


def approve(
    run_id: RunArgument = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    yes: YesOption = False,
    by: AsOption = None,
    comment: CommentOption = None,
    step: StepOption = None,
) -> None:
    """Agree to the step that waits for it."""
    with opened(plan, as_json=as_json) as wired:
        who = _person(wired, run_id, by)
        current = people.needs_approval(read_run(wired.journal, who.run_id), step)
        confirm(f"Agree to {current.spec.title!r} of run {who.run_id}?", yes=yes)
        done = people.approve(who, current.spec.id, comment)
        _decided(who, f"{done.spec.id} approved", as_json=as_json)


def refuse(
    run_id: RunArgument = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    by: AsOption = None,
    comment: CommentOption = None,
    step: StepOption = None,
) -> None:
    """Refuse the step that waits for an approval."""
    with opened(plan, as_json=as_json) as wired:
        who = _person(wired, run_id, by)
        done = people.refuse(who, step, comment)
        _decided(who, f"{done.spec.id} refused", as_json=as_json)


def confirm_step(
    run_id: RunArgument = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    by: AsOption = None,
    comment: CommentOption = None,
    step: StepOption = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Say instead that it did not work.")
    ] = False,
) -> None:
    """Say that a step which people do is done."""
    with opened(plan, as_json=as_json) as wired:
        who = _person(wired, run_id, by)
        done = people.confirm(who, step, done=not failed, comment=comment)
        _decided(who, f"{done.spec.id} {'failed' if failed else 'confirmed'}", as_json=as_json)


def retry(
    run_id: RunArgument = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    by: AsOption = None,
    step: StepOption = None,
) -> None:
    """Have the failed step tried again."""
    with opened(plan, as_json=as_json) as wired:
        who = _person(wired, run_id, by)
        done = people.retry(who, step)
        _decided(who, f"{done.spec.id} will be tried again", as_json=as_json)


def skip(
    run_id: RunArgument = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    yes: YesOption = False,
    by: AsOption = None,
    reason: ReasonOption = "",
    step: StepOption = None,
) -> None:
    """Leave the waiting or failed step out, for a reason. The verdict is then at best missed."""
    with opened(plan, as_json=as_json) as wired:
        who = _person(wired, run_id, by)
        left = people.waiting_step(read_run(wired.journal, who.run_id), step, lambda _: True)
        confirm(f"Leave {left.spec.title!r} of run {who.run_id} out?", yes=yes)
        done = people.skip(who, left.spec.id, reason=reason)
        _decided(who, f"{done.spec.id} skipped", as_json=as_json)


def add(
    title: Annotated[str, typer.Argument(help="What is to be done.")],
    run_id: Annotated[str | None, typer.Option("--run", help="A run's id.")] = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    by: AsOption = None,
    after: Annotated[
        list[str] | None, typer.Option("--after", help="Steps it comes after; none: it is next.")
    ] = None,
    command: Annotated[
        list[str] | None,
        typer.Option("--command", help="A program and its arguments, one at a time."),
    ] = None,
    yes: YesOption = False,
) -> None:
    """Put a step into the run: people do it and confirm it, or it runs a command."""
    with opened(plan, as_json=as_json) as wired:
        who = _person(wired, run_id, by)
        state = read_run(wired.journal, who.run_id)
        if command:
            confirm(f"Run {' '.join(command)!r} as a step of run {who.run_id}?", yes=yes)
        names = {step.spec.id for step in state.steps}
        spec = added_step(title, command or [], tuple(after or ()), names)
        people.add_step(who, spec)
        _decided(who, f"{spec.id} added", as_json=as_json)


def added_step(title: str, command: list[str], after: tuple[str, ...], names: set[str]) -> StepSpec:
    """Return a step that people put in, with an id that no other step has."""
    base = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:40] or "step"
    if not title.strip():
        raise UsageError("a step needs a title")
    found = f"added-{base}"
    number = 2
    while found in names:
        found, number = f"added-{base}-{number}", number + 1
    if command:
        settings = {"action": "command", "argv": command}
        return StepSpec(found, title, "command", settings=settings, after=after)
    settings = {"action": "manual", "instruction": title}
    return StepSpec(found, title, "manual", settings=settings, after=after)


def hand_over(
    role: Annotated[str, typer.Argument(help="A role of the plan.")],
    to: Annotated[str, typer.Option("--to", help="Who has it from now on.")],
    run_id: Annotated[str | None, typer.Option("--run", help="A run's id.")] = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    by: AsOption = None,
) -> None:
    """Hand a role over to somebody for the rest of the run."""
    with opened(plan, as_json=as_json) as wired:
        who = _person(wired, run_id, by)
        people.hand_over(who, role, to)
        _decided(who, f"{role} is {to} from now on", as_json=as_json)


def pause(
    run_id: RunArgument = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    by: AsOption = None,
    reason: ReasonOption = "",
) -> None:
    """Let no further step begin; those that run come to their end."""
    with opened(plan, as_json=as_json) as wired:
        who = _person(wired, run_id, by)
        people.pause(who, reason=reason)
        _decided(who, "paused", as_json=as_json)


def go_on(
    run_id: RunArgument = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    by: AsOption = None,
) -> None:
    """Let a paused run go on."""
    with opened(plan, as_json=as_json) as wired:
        who = _person(wired, run_id, by)
        people.go_on(who)
        _decided(who, "goes on", as_json=as_json)


def abort(
    run_id: RunArgument = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    yes: YesOption = False,
    by: AsOption = None,
    reason: ReasonOption = "",
    undo: Annotated[
        bool, typer.Option("--undo", help="Undo what its steps did, the last one first.")
    ] = False,
) -> None:
    """End the run after the steps that are running. Without --undo, nothing is undone."""
    with opened(plan, as_json=as_json) as wired:
        who = _person(wired, run_id, by)
        confirm(f"End run {who.run_id}?", yes=yes)
        people.abort(who, reason=reason, undo=undo)
        _decided(who, "ends", as_json=as_json)
        if not as_json:
            out("No recovery begins by itself before the database was well again in between.")


def resume(
    run_id: RunArgument = None, plan: PlanOption = DEFAULT_PLAN, as_json: JsonOption = False
) -> None:
    """Carry an unfinished run on, after a crash or after a person decided."""
    with opened(plan, as_json=as_json) as wired:
        chosen = chosen_run(wired, run_id)
        end_with(lead_or_follow(wired, chosen, as_json=as_json), wired, as_json=as_json)


_NAMES = {"confirm_step": "confirm", "hand_over": "hand-over", "go_on": "continue"}
_ACTS = (
    acknowledge,
    approve,
    refuse,
    confirm_step,
    retry,
    skip,
    add,
    hand_over,
    pause,
    go_on,
    resume,
    abort,
)


def register(app: typer.Typer) -> None:
    """Add every act to the commands of `run`."""
    for act in _ACTS:
        app.command(_NAMES.get(act.__name__, act.__name__))(act)
