"""The program `processpilot`: its commands, put together."""

from __future__ import annotations

import sys

import typer

from processpilot import __version__
from processpilot.cli import (
    backup,
    check,
    demo,
    init,
    key,
    recover,
    restore,
    run,
    status,
    uninstall,
    up,
)
from processpilot.cli.exits import INTERRUPTED

app = typer.Typer(
    name="processpilot",
    help="Disaster recovery you can prove, for applications on PostgreSQL.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"processpilot {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    pass


app.command("init")(init.init)
app.command("check")(check.check)
app.add_typer(backup.app, name="backup")
app.command("up")(up.up)
app.command("status")(status.status)
app.command("restore")(restore.restore)
app.command("recover")(recover.recover)
app.add_typer(run.app, name="run")
app.add_typer(key.app, name="key")
app.command("uninstall")(uninstall.uninstall)
_HANDED_OVER = {
    "ignore_unknown_options": True,
    "allow_extra_args": True,
    "help_option_names": [],
}
app.command("demo", context_settings=_HANDED_OVER)(demo.demo)


def main() -> None:
    """Run the command line; the process ends with one of the documented statuses."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
