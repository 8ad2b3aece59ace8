"""`processpilot names`: the familiar names, and thin executables of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from processpilot.cli.frame import (
    DEFAULT_PLAN,
    JsonOption,
    PlanOption,
    errors_told,
    note,
    out,
    print_json,
)
from processpilot.familiar.names import USES
from processpilot.familiar.scripts import install as write_all
from processpilot.familiar.scripts import remove as remove_all
from processpilot.plan.load import load_plan

app = typer.Typer(help="Names that are in people's fingers.", no_args_is_help=True)

FolderArgument = Annotated[Path, typer.Argument(help="The folder of the executables.")]


@app.command("list")
def list_names(as_json: JsonOption = False) -> None:
    """List the names that `processpilot as` carries out, with their arguments."""
    if as_json:
        rows = [
            {"name": n, "arguments": use.arguments, "does": use.does} for n, use in USES.items()
        ]
        print_json({"names": rows})
        return
    for name, use in USES.items():
        out(f"{name} {use.arguments}".rstrip())
        out(f"    {use.does}")


@app.command()
def install(
    folder: FolderArgument, plan: PlanOption = DEFAULT_PLAN, as_json: JsonOption = False
) -> None:
    """Write thin executables of all names; a file that is not ours is never overwritten."""
    with errors_told(as_json=as_json):
        written = write_all(folder, load_plan(plan).path)
    if as_json:
        print_json({"written": written})
        return
    for path in written:
        out(f"written: {path}")


@app.command()
def remove(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """Take the executables away again."""
    with errors_told(as_json=as_json):
        done = remove_all(folder)
    if as_json:
        print_json(done)
        return
    for path in done.removed:
        out(f"removed: {path}")
    for path in done.left:
        note(f"left: {path} is not ours")
