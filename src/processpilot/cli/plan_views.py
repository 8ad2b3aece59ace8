"""`processpilot plan show | diff | schema | book`: the plan as people read it."""

from __future__ import annotations

import typer

from processpilot.plan.schema import schema_text


def schema() -> None:
    """Print the JSON Schema of the plan, for editors."""
    typer.echo(schema_text(), nl=False)
