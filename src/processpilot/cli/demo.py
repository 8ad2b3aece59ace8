"""`processpilot demo`: hands over to the demo, which is a program of its own."""

from __future__ import annotations

import os
import sys

import typer


def demo(context: typer.Context) -> None:
    """Show a whole disaster and its recovery on this machine: try --help."""
    os.execv(sys.executable, [sys.executable, "-m", "processpilot.demo", *context.args])  # noqa: S606
