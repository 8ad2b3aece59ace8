"""`processpilot journal`: prove that nothing written down was changed."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from processpilot.cli.frame import DEFAULT_PLAN, JsonOption, PlanOption, opened, out, print_json
from processpilot.journal.head import Head

app = typer.Typer(help="The record of runs, decisions and evidence.", no_args_is_help=True)


@app.callback()
def _root() -> None:
    pass


@app.command()
def verify(
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    head: Annotated[
        str | None,
        typer.Option("--head", help="POSITION:HASH that an earlier verification printed."),
    ] = None,
) -> None:
    """Check every event, and that the journal still holds what a kept head stands for."""
    with opened(plan, as_json=as_json) as wired:
        kept = None if head is None else Head.parse(head)
        begun = time.monotonic()
        found = wired.journal.verify(kept)
        took_s = time.monotonic() - begun
    if as_json:
        print_json(
            {
                "events": found.position,
                "head": str(found),
                "kept_head": None if kept is None else str(kept),
                "took_s": took_s,
            }
        )
        return
    out(f"{found.position:,} events, each sound and in its place ({took_s:.1f} s)")
    if kept is not None:
        out(f"the first {kept.position:,} are those that the kept head stands for")
    out(f"head: {found}")
    out("Keep this head elsewhere: with --head it shows a journal rewritten or cut short.")
