"""`processpilot plan import` and `plan accept`: a plan from a runbook, and people's word for it."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from processpilot.cli.frame import (
    DEFAULT_PLAN,
    JsonOption,
    PlanOption,
    YesOption,
    confirm,
    errors_told,
    note,
    out,
    person,
    print_json,
)
from processpilot.clock import SystemClock
from processpilot.errors import RefusedError
from processpilot.plan.load import load_plan
from processpilot.prose.accept import Waiting, chosen, waiting_commands, write_accepted
from processpilot.prose.draft import Fate, Tone
from processpilot.prose.importing import Import, import_document, other_name, write_new
from processpilot.prose.report import LineFate, Report, Told, grouped
from processpilot.prose.source import read_source

_HEADS = {
    Fate.MAPPED: "done by a built-in action",
    Fate.MANUAL: "kept as a manual step",
    Fate.UNDERSTOOD: "understood",
    Fate.UNUSED: "could not be used",
}
_TONES = {
    Tone.FILL_IN: "to fill in",
    Tone.ASSUMED: "assumed",
    Tone.INFERRED: "inferred",
    Tone.ADDED: "added, not in the document",
    Tone.LATER: "not there yet",
    Tone.NOTE: "to know",
}


def import_runbook(
    document: Annotated[Path, typer.Argument(help="The written runbook: Markdown or plain text.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The plan to write; it must not be there yet.")
    ] = DEFAULT_PLAN,
    base: Annotated[
        Path | None,
        typer.Option("--base", help="A plan whose database, repository and probes are taken over."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a plan from a runbook; says what became of each line, and runs nothing of it."""
    with errors_told(as_json=as_json):
        if output.exists():
            raise RefusedError(
                f"{output} exists and is not overwritten",
                hint=f"Name another file with --output {other_name(output)}.",
            )
        source = read_source(document)
        old = None if base is None else load_plan(base)
        done = import_document(source, output.absolute(), old)
        write_new(done.text, output)
    moved = base is not None and base.absolute().parent != output.absolute().parent
    if as_json:
        print_json(_document(done, output, base))
    else:
        _print_report(done.report, output)
        out("Next: processpilot plan check; processpilot plan accept")
    if moved:
        note("warning: relative paths of the base plan now start from another folder")


def accept(
    steps: Annotated[
        list[str] | None, typer.Argument(help="SCENARIO.STEP, a step's id, or a digest.")
    ] = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    everything: Annotated[bool, typer.Option("--all", help="All that wait.")] = False,
    name: Annotated[
        str | None, typer.Option("--as", help="Who accepts; otherwise your account.")
    ] = None,
    yes: YesOption = False,
) -> None:
    """List imported commands that wait for a person's word, or give it."""
    with errors_told(as_json=as_json):
        loaded = load_plan(plan)
        waiting = waiting_commands(loaded)
        picked = waiting if everything else chosen(waiting, steps or ())
        if not as_json:
            _print_waiting(picked or waiting)
        if picked:
            confirm(f"May these {len(picked)} commands run when the plan says so?", yes=yes)
            by = name or person()
            loaded = write_accepted(loaded, picked, by, SystemClock().now())
        left = waiting_commands(loaded)
    if as_json:
        print_json({"accepted": picked, "waiting": left})
    elif picked:
        out(f"accepted {len(picked)} commands; {len(left)} wait")
    else:
        out(f"{len(left)} commands wait" if left else "no command waits to be accepted")


def _print_waiting(commands: Sequence[Waiting]) -> None:
    for command in commands:
        out(f"{command.name}  ({command.title})")
        for line in command.command.split("\n"):
            out(f"    {line}")
        where = [f"in {command.folder}"] if command.folder else []
        where += [f"with {' '.join(command.env)}"] if command.env else []
        out(f"    {', '.join([*where, f'from {command.origin}', f'digest {command.digest}'])}")


def _print_report(report: Report, output: Path) -> None:
    sizes = {fate: len(report.of(fate)) for fate in Fate}
    said = "" if report.encoding.startswith("utf-8") else f" (read as {report.encoding})"
    out(f"read {report.document}{said}: {len(report.lines)} lines with something on them")
    for fate in (Fate.UNDERSTOOD, Fate.MAPPED, Fate.MANUAL, Fate.UNUSED):
        out(f"{sizes[fate]:>6}  {_HEADS[fate]}")
    out()
    out("found:")
    for what, count in report.found.items():
        if count:
            out(f"{count:>6}  {what}")
    for fate in (Fate.MAPPED, Fate.MANUAL, Fate.UNDERSTOOD, Fate.UNUSED):
        _print_lines(_HEADS[fate], report.of(fate))
    for tone, head in _TONES.items():
        _print_told(head, report.remarks(tone))
    out()
    out(f"wrote {output}")


def _print_lines(head: str, lines: Sequence[LineFate]) -> None:
    if not lines:
        return
    out()
    out(f"{head}:")
    for (first, last), line in grouped(lines):
        number = f"{first}" if first == last else f"{first}-{last}"
        _wrapped(f"{number:>9}  ", f"{line.text}")
        place = f" at {line.places[0]}" if line.places else ""
        more = f" and {len(line.places) - 1} more" if len(line.places) > 1 else ""
        _wrapped(" " * 11 + "-> ", f"{line.became}{place}{more}")


def _print_told(head: str, told: Sequence[Told]) -> None:
    """Print remarks, those with the same words together with all their places."""
    if not told:
        return
    out()
    out(f"{head}:")
    places: dict[str, list[str]] = {}
    for one in told:
        places.setdefault(one.text, []).append(one.place)
    for text, where in places.items():
        _wrapped("  ", text)
        _wrapped("      ", ", ".join(where))


def _wrapped(head: str, text: str) -> None:
    """Print text behind a head, broken between words to 80 columns, or the terminal's width."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 80
    lines = textwrap.wrap(
        text, max(40, width - len(head)), break_long_words=False, break_on_hyphens=False
    ) or [""]  # fmt: skip
    typer.echo(f"{head}{lines[0]}".rstrip())
    for line in lines[1:]:
        typer.echo(f"{' ' * len(head)}{line}")


def _document(done: Import, output: Path, base: Path | None) -> dict[str, object]:
    report = done.report
    return {
        "document": report.document,
        "encoding": report.encoding,
        "output": str(output),
        "base": None if base is None else str(base),
        "hash": done.loaded.hash,
        "found": dict(report.found),
        "classes": {fate.value: len(report.of(fate)) for fate in Fate},
        "lines": report.lines,
        "remarks": report.told,
    }
