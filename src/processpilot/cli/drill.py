"""`processpilot drill`: rehearse a recovery in isolation, and see what rehearsals showed."""

from __future__ import annotations

import secrets
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from processpilot.cli import drill_views
from processpilot.cli.exits import NOT_WELL, WAITING
from processpilot.cli.frame import (
    DEFAULT_PLAN,
    JsonOption,
    PlanOption,
    opened,
    out,
    person,
    print_json,
    progress_shown,
)
from processpilot.cli.key import read_key
from processpilot.drill import tabletop
from processpilot.drill.builtin import drills_of, find_drill
from processpilot.drill.history import open_rehearsals, read_rehearsal
from processpilot.drill.lead import DrillRequest, begin_data, objective_of
from processpilot.drill.state import Rehearsal
from processpilot.drill.steps import playable
from processpilot.drill.tabletop import Seat
from processpilot.errors import NotFoundError, RefusedError, UsageError
from processpilot.plan.outside import Drill, DrillKind
from processpilot.runbook.history import open_runs
from processpilot.runbook.state import Verdict
from processpilot.wiring.drilling import (
    BY_SCHEDULE,
    facts_now,
    open_for_drill,
    outputs_dir,
    walk_drill,
)
from processpilot.wiring.wired import Wired

app = typer.Typer(help="Rehearsals of a recovery, in isolation.", no_args_is_help=True)
drill_views.register(app)

TableArgument = Annotated[
    str | None, typer.Argument(help="A tabletop drill's id; otherwise the one that is open.")
]
AsOption = Annotated[str | None, typer.Option("--as", help="Who decides, for the record.")]


@app.command()
def run(
    drill: Annotated[
        str | None, typer.Argument(help="A drill of the plan; otherwise its first.")
    ] = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    key: Annotated[
        Path | None, typer.Option("--key", help="The file of the escrow key; nothing else opens.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Choose the moment as an earlier drill did.")
    ] = None,
    scheduled: Annotated[
        bool, typer.Option("--scheduled", help="Begun by the schedule, not by a person.")
    ] = False,
) -> None:
    """Walk a drill to its verdict; a tabletop drill is begun and waits for people."""
    with opened(plan, as_json=as_json) as wired:
        drills = drills_of(wired.loaded.plan)
        chosen = drills[0] if drill is None else find_drill(drills, drill)
        _refuse_beside_run(wired)
        request = _request(wired, chosen, seed, scheduled=scheduled)
        if chosen.kind is DrillKind.TABLETOP:
            _begin_table(wired, request, as_json=as_json)
            return
        done = _walk(wired, request, key, as_json=as_json)
    if as_json:
        print_json(done)
    else:
        drill_views.print_rehearsal(done)
    if done.verdict is not Verdict.PASSED:
        raise typer.Exit(NOT_WELL)


@app.command()
def confirm(
    drill_id: TableArgument = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    by: AsOption = None,
    step: Annotated[
        str | None, typer.Option("--step", help="Which step, where several of them wait.")
    ] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Say instead that it could not.")
    ] = False,
    comment: Annotated[str | None, typer.Option("--comment", help="Kept with it.")] = None,
) -> None:
    """Say that a step of a tabletop drill would be done."""
    with opened(plan, as_json=as_json) as wired:
        seat = _seat(wired, drill_id, by)
        state = tabletop.confirm(seat, step, done=not failed, comment=comment)
    _tell_table(state, as_json=as_json)


@app.command()
def abort(
    drill_id: TableArgument = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    by: AsOption = None,
    reason: Annotated[str, typer.Option("--reason", help="Kept with it.")] = "no reason given",
) -> None:
    """End a tabletop drill before its time. One that walks is ended with its process."""
    with opened(plan, as_json=as_json) as wired:
        state = tabletop.abort(_seat(wired, drill_id, by), reason)
    _tell_table(state, as_json=as_json)


def _request(wired: Wired, drill: Drill, seed: int | None, *, scheduled: bool) -> DrillRequest:
    rehearsal_id = wired.new_id()
    return DrillRequest(
        rehearsal_id=rehearsal_id,
        drill=drill,
        trigger="schedule" if scheduled else "person",
        by=BY_SCHEDULE if scheduled else person(),
        seed=secrets.randbits(32) if seed is None else seed,
        facts=facts_now(wired, drill),
        kept=outputs_dir(wired, rehearsal_id),
    )


def _walk(wired: Wired, request: DrillRequest, key: Path | None, *, as_json: bool) -> Rehearsal:
    playable(wired.loaded.plan, request.drill)
    repository = open_for_drill(wired, None if key is None else read_key(key))
    with _stoppable() as stopped, progress_shown(as_json=as_json) as progress:
        return walk_drill(wired, request, repository, progress, stopped.is_set)


@contextmanager
def _stoppable() -> Iterator[threading.Event]:
    """Yield what a signal sets: the drill then ends early and cleans up."""
    stopped = threading.Event()
    earlier = {
        number: signal.signal(number, lambda _number, _frame: stopped.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield stopped
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def _refuse_beside_run(wired: Wired) -> None:
    for run_id in open_runs(wired.journal):
        raise RefusedError(
            f"run {run_id} is not finished; no drill is begun beside a recovery",
            hint="Look at it with `processpilot run show`, then drill when it is finished.",
        )


def _begin_table(wired: Wired, request: DrillRequest, *, as_json: bool) -> None:
    objective = objective_of(wired.loaded.plan, request.drill)
    begun = begin_data(wired.loaded.hash, request, objective)
    state = tabletop.begin_table(
        wired.journal, request.rehearsal_id, begun, wired.loaded, request.drill
    )
    _tell_table(state, as_json=as_json)


def _seat(wired: Wired, drill_id: str | None, by: str | None) -> Seat:
    chosen = drill_id or _open_table(wired)
    return Seat(wired.journal, chosen, by or person(), wired.loaded.plan.team)


def _open_table(wired: Wired) -> str:
    found = [
        rehearsal_id
        for rehearsal_id in open_rehearsals(wired.journal)
        if read_rehearsal(wired.journal, rehearsal_id).kind is DrillKind.TABLETOP
    ]
    if not found:
        raise NotFoundError(
            "no tabletop drill is open", hint="Run `processpilot drill run DRILL` to begin one."
        )
    if len(found) > 1:
        raise UsageError(
            f"several tabletop drills are open: {', '.join(found)}", hint="Name one of them."
        )
    return found[0]


def _tell_table(state: Rehearsal, *, as_json: bool) -> None:
    if as_json:
        print_json(state)
    else:
        drill_views.print_rehearsal(state)
        if not state.is_finished:
            out(f"confirm a step with: processpilot drill confirm {state.rehearsal_id}")
    if not state.is_finished:
        raise typer.Exit(WAITING)
    if state.verdict is not Verdict.PASSED:
        raise typer.Exit(NOT_WELL)
