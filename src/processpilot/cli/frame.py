"""What every command shares: options, output as text or JSON, progress on stderr, errors."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from processpilot.cli.exits import UNAVAILABLE, exit_status
from processpilot.errors import ProcessPilotError, RefusedError, UnavailableError
from processpilot.plan.load import FILE_NAME
from processpilot.progress import Progress as Report
from processpilot.progress import silent
from processpilot.wiring.wired import Wired, open_plan

PLAN_VARIABLE = "PROCESSPILOT_PLAN"

PlanOption = Annotated[
    Path,
    typer.Option("--plan", "-p", help="The plan.", envvar=PLAN_VARIABLE, show_default=True),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask; do it.")]
AllowGapOption = Annotated[
    bool,
    typer.Option("--allow-gap", help="Accept that the log ends at a hole; what follows is lost."),
]
DEFAULT_PLAN = Path(FILE_NAME)


def out(text: str = "") -> None:
    """Print a line of a command's result; on a terminal it breaks between words."""
    typer.echo(_fitted(text) if sys.stdout.isatty() else text)


def note(text: str) -> None:
    """Print a line for people that is not part of the result."""
    typer.echo(_fitted(text) if sys.stderr.isatty() else text, err=True)


def _fitted(text: str) -> str:
    """Return `text` in lines as wide as the terminal, those after the first indented like it."""
    width = shutil.get_terminal_size().columns
    if len(text) <= width:
        return text
    indent = " " * (len(text) - len(text.lstrip()) + 2)
    lines = textwrap.wrap(
        text,
        width,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
        drop_whitespace=True,
    )
    return "\n".join(lines)


def print_json(document: object) -> None:
    """Print a result as JSON."""
    typer.echo(json.dumps(document, default=_plain, indent=2))


def _plain(value: object) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    return str(value)


@contextmanager
def errors_told(*, as_json: bool) -> Iterator[None]:
    """End the process with one clear message and the right status when something fails."""
    try:
        yield
    except ProcessPilotError as error:
        if as_json:
            document: Mapping[str, object] = {
                "error": {"code": error.code, "message": error.message, "hint": error.hint}
            }
            print_json(document)
        note(f"processpilot: {error.message}")
        if error.hint is not None:
            note(f"hint: {error.hint}")
        raise typer.Exit(exit_status(error)) from error
    except OSError as error:
        told = f"{error.filename or 'the system'}: {error.strerror or error}"
        if as_json:
            code = UnavailableError.code
            print_json({"error": {"code": code, "message": told, "hint": None}})
        note(f"processpilot: {told}")
        raise typer.Exit(UNAVAILABLE) from error


@contextmanager
def opened(plan: Path, *, as_json: bool) -> Iterator[Wired]:
    """Yield the plan, opened; errors are told."""
    with errors_told(as_json=as_json):
        wired = open_plan(plan)
        try:
            yield wired
        finally:
            wired.close()


def confirm(question: str, *, yes: bool) -> None:
    """Return when a person agrees, else raise RefusedError; only `--yes` agrees beforehand."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise RefusedError(
            f"{question} nobody is there to answer", hint="Give --yes to agree beforehand."
        )
    if not typer.confirm(question, err=True):
        raise RefusedError("nothing was done")


def person() -> str:
    """Return the account that decides, for the journal."""
    named = os.environ.get("SUDO_USER") or os.environ.get("USER")
    if named:
        return named
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


@contextmanager
def progress_shown(*, as_json: bool) -> Iterator[Report]:
    """Yield what shows progress on a terminal's stderr; elsewhere it is quiet."""
    console = Console(stderr=True)
    if as_json or not console.is_terminal:
        yield silent
        return
    columns = (
        TextColumn("{task.description:>10}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        yield _Bars(bars)


class _Bars:
    """One bar per phase, drawn at most twenty times a second."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        self._drawn = 0.0

    def __call__(self, phase: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        if now - self._drawn < 0.05 and done != total:
            return
        self._drawn = now
        if phase not in self._tasks:
            self._tasks[phase] = self._bars.add_task(phase, total=total)
        self._bars.update(self._tasks[phase], completed=done, total=total)


def table(rows: Sequence[tuple[str, ...]], head: tuple[str, ...]) -> None:
    """Print rows in aligned columns, for people; a terminal's width cuts them."""
    every = [head, *rows]
    widths = [max(len(row[n]) for row in every) for n in range(len(head))]
    limit = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for row in every:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        line = line.rstrip()
        out(line if limit is None or len(line) <= limit else f"{line[: limit - 1]}…")
