"""`processpilot key`: prove that a key opens the newest backup."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

from processpilot.agent.escrow import prove_key
from processpilot.cli.frame import DEFAULT_PLAN, JsonOption, PlanOption, opened, out, print_json
from processpilot.errors import NotFoundError, UsageError
from processpilot.repository.keys import Identity

app = typer.Typer(help="Keys of the repository.", no_args_is_help=True)


@app.command()
def check(
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    key: Annotated[
        Path | None, typer.Option("--key", help="The key's file; otherwise it is asked for.")
    ] = None,
) -> None:
    """Prove that a key (the escrow key, say) opens the newest backup, and write that down."""
    with opened(plan, as_json=as_json) as wired:
        proven = prove_key(wired, read_key(key))
    if as_json:
        print_json(proven)
    else:
        out(f"the {proven.label} key opens backup {proven.backup_id}")


def read_key(path: Path | None) -> Identity:
    """Return the key in a file, or typed in without echo."""
    if path is None:
        prompt = "key (age identity or passphrase): "
        text = getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.read()
        if not text.strip():
            raise UsageError("no key is given", hint="Name its file with --key FILE.")
        return Identity(text.strip())
    try:
        return Identity(path.read_text().strip())
    except OSError as error:
        raise NotFoundError(f"cannot read the key {path}: {error.strerror}") from error
