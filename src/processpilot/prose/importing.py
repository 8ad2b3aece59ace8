"""The import as a whole: from a document to a plan's text that loads, and the report about it.

Pure but for `write_new`: a document never makes anything run, and no file is overwritten.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from processpilot.errors import RefusedError, UsageError
from processpilot.plan.load import LoadedPlan, parse_plan
from processpilot.prose.assemble import base_of, settle, whole_plan
from processpilot.prose.outline import read_outline
from processpilot.prose.report import Report, make_report
from processpilot.prose.sections import find_parts
from processpilot.prose.source import Source
from processpilot.prose.understand import leftover_reasons, read_parts
from processpilot.prose.words import mended
from processpilot.prose.yamltext import yaml_text

_HEAD = """\
# Written by `processpilot plan import` from {file}. Nothing in that document was run.
# Remarks say what was assumed, inferred, added or left to fill in. Steps with an `origin` are
# commands of the document: each runs only once a person has accepted it
# (`processpilot plan accept`). `processpilot plan check` finds what cannot work.
"""


@dataclass(frozen=True, slots=True)
class Import:
    """A plan's text, the plan it is, and what became of the document."""

    text: str
    loaded: LoadedPlan
    report: Report


def import_document(source: Source, output: Path, base: LoadedPlan | None = None) -> Import:
    """Return the plan that a document describes; `output` names it in messages only.

    With `base`, what a document cannot know is taken over from that plan.
    """
    outline = read_outline(source)
    found = find_parts(outline)
    old = base_of(base) if base is not None else None
    file = " ".join(mended(source.name).split()) or "document"
    ground = settle(found, old, file)
    parts = read_parts(found, ground.known)
    root = whole_plan(found, ground, parts, old, outline)
    text = f"{_HEAD.format(file=file)}{yaml_text(root)}"
    loaded = parse_plan(text, output)
    return Import(text, loaded, make_report(source, root, leftover_reasons(outline)))


def other_name(output: Path) -> Path:
    """Return a name beside `output` that is not taken."""
    n, suffix = 1, output.suffix or ".yaml"
    found = output.with_name(f"{output.stem}-imported{suffix}")
    while found.exists():
        n += 1
        found = output.with_name(f"{output.stem}-imported-{n}{suffix}")
    return found


def write_new(text: str, output: Path) -> None:
    """Write the plan durably to a file that is not there yet; RefusedError if it is."""
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        raise RefusedError(
            f"{output} exists and is not overwritten",
            hint=f"Name another file with --output {other_name(output)}.",
        ) from None
    except OSError as error:
        raise UsageError(
            f"cannot write {output}: {error.strerror or error}",
            hint="Name a file in a folder that exists with --output FILE.",
        ) from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
