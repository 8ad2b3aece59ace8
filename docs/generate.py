"""Writes the references made from the code: the commands, and the plan's JSON Schema."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import typer
from plan_reference import plan_text

from processpilot.cli.exits import MEANINGS
from processpilot.cli.main import app
from processpilot.plan.schema import SCHEMA_PATH, schema_text

COMMANDS = Path(__file__).with_name("commands.md")
PLAN = Path(__file__).with_name("plan.md")
_HEAD = """# Commands

Made by `make docs` from the program itself.

Every command takes `--plan FILE` (default `processpilot.yaml`, or `PROCESSPILOT_PLAN`) and
`--json`. Results go to standard output; progress and messages go to standard error, and progress
is quiet when that is not a terminal. Where a person would be asked, `--yes` answers beforehand;
nothing implies it.

## Exit statuses

| Status | Meaning |
|---|---|
"""


def commands_text() -> str:
    """Return the text of docs/commands.md."""
    lines = [_HEAD + "\n".join(f"| {s} | {text} |" for s, text in MEANINGS.items())]
    root = typer.main.get_command(app)
    for name, command in _leaves(root, "processpilot"):
        lines.append(f"\n## {name}\n\n{(command.help or '').strip()}\n")
        rows = [_row(parameter) for parameter in command.params if parameter.name != "help"]
        if rows:
            lines.append("| Argument | Meaning |\n|---|---|\n" + "\n".join(rows))
    return "\n".join(lines) + "\n"


def _leaves(command: click.Command, name: str) -> list[tuple[str, click.Command]]:
    children = getattr(command, "commands", None)
    if not children:
        return [(name, command)]
    return [leaf for key, child in children.items() for leaf in _leaves(child, f"{name} {key}")]


def _row(parameter: click.Parameter) -> str:
    names = ", ".join(f"`{o}`" for o in (*parameter.opts, *parameter.secondary_opts))
    if parameter.param_type_name == "argument":
        names = f"`{parameter.name.upper()}`"
    return f"| {names} | {getattr(parameter, 'help', None) or ''} |"


def main() -> int:
    """Write what changed; with --check only say whether something would."""
    wanted = {COMMANDS: commands_text(), PLAN: plan_text(), SCHEMA_PATH: schema_text()}
    stale = [p for p, text in wanted.items() if not p.exists() or p.read_text() != text]
    if "--check" in sys.argv:
        for path in stale:
            sys.stderr.write(f"{path} is not current; run `make docs`\n")
        return 1 if stale else 0
    for path in stale:
        path.write_text(wanted[path])
    return 0


if __name__ == "__main__":
    sys.exit(main())
