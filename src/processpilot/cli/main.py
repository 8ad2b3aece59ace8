"""The program `processpilot`: its commands, each loaded when it is asked for.

Loading all of them takes longer than most of them run.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from keyword import iskeyword
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from processpilot import __version__
from processpilot.cli.exits import INTERRUPTED
from processpilot.crew import stand_by

# In the order of the help: each is a module of this package with an `app` or a function of its
# own name; one that Python keeps for itself has an underscore behind it.
COMMANDS = (
    "init",
    "check",
    "plan",
    "backup",
    "up",
    "status",
    "restore",
    "recover",
    "drill",
    "run",
    "incident",
    "oncall",
    "page",
    "evidence",
    "web",
    "journal",
    "key",
    "as",
    "names",
    "uninstall",
    "demo",
)
_HELP = {"help_option_names": ["-h", "--help"]}
# Commands that work with worker processes, and what these need: they load it at the same time.
_CREWED = {
    ("backup", "create"): "processpilot.backup.stretches",
    ("backup", "verify"): "processpilot.repository.examine",
    ("restore",): "processpilot.restore.pieces",
}
_PASSED_ON = {"ignore_unknown_options": True, "allow_extra_args": True}
# Commands whose further words mean something only to what they call.
_SETTINGS: Mapping[str, dict[str, Any]] = {
    "as": {**_HELP, **_PASSED_ON},
    "demo": {**_PASSED_ON, "help_option_names": []},
}


class _Loaded(Mapping[str, Any]):
    """The commands by name, each loaded when it is looked at."""

    def __getitem__(self, name: str) -> Any:
        if name not in COMMANDS:
            raise KeyError(name)
        return _load(name)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class _Commands(TyperGroup):
    """A group whose commands are those, in the order given."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.commands: Any = _Loaded()

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of the help."""
        return list(self.commands)


def _load(name: str) -> Any:
    own_name = f"{name}_" if iskeyword(name) else name
    module: Any = import_module(f"processpilot.cli.{own_name}")
    if hasattr(module, "app"):
        command: Any = get_group(module.app)
    else:
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        settings = _SETTINGS.get(name, _HELP)
        single.command(name, context_settings=settings)(getattr(module, own_name))
        command = get_command(single)
    command.name = name
    return command


app = typer.Typer(
    name="processpilot",
    cls=_Commands,
    help="Disaster recovery you can prove, for applications on PostgreSQL.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings=_HELP,
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


def main() -> None:
    """Run the command line; the process ends with one of the documented statuses."""
    for words, module in _CREWED.items():
        if tuple(sys.argv[1 : 1 + len(words)]) == words and not {"-h", "--help"} & {*sys.argv}:
            stand_by(module)
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
