"""`processpilot plan`: import, accept, check, show, diff, schema, book.

Each is loaded when it is asked for: a check of the plan does not wait for what draws a book.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

# In the order of the help: the module of this package and the function in it.
SUBCOMMANDS = {
    "import": ("plan_import", "import_runbook"),
    "accept": ("plan_import", "accept"),
    "check": ("plan_check", "check"),
    "show": ("plan_views", "show"),
    "diff": ("plan_views", "diff"),
    "schema": ("plan_views", "schema"),
    "book": ("plan_views", "book"),
}
_HELP = {"help_option_names": ["-h", "--help"]}


class _Loaded(Mapping[str, Any]):
    """The commands by name, each loaded when it is looked at."""

    def __getitem__(self, name: str) -> Any:
        module, function = SUBCOMMANDS[name]
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        found = getattr(import_module(f"processpilot.cli.{module}"), function)
        single.command(name, context_settings=_HELP)(found)
        command = get_command(single)
        command.name = name
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(SUBCOMMANDS)

    def __len__(self) -> int:
        return len(SUBCOMMANDS)


class _Subcommands(TyperGroup):
    """A group whose commands are those, in the order given."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.commands: Any = _Loaded()

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of the help."""
        return list(self.commands)


app = typer.Typer(
    cls=_Subcommands,
    help="The plan: written from a runbook, checked, read, compared, printed.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=_HELP,
)


@app.callback()
def _root() -> None:
    pass
