"""Documents as text, imported without files, and what became of them, for the tests of prose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from processpilot.plan.load import LoadedPlan
from processpilot.plan.model import Plan
from processpilot.plan.scenario import Scenario
from processpilot.plan.step import Step, every_step
from processpilot.prose.importing import Import, import_document
from processpilot.prose.source import read_source, source_of

RUNBOOKS = Path(__file__).parent / "runbooks"
SEED = Path(__file__).resolve().parents[1].parent / "shared" / "seed" / "DISASTER_RECOVERY.md"
OUTPUT = Path("/plans/processpilot.yaml")

OBJECTIVES = """
## Objectives

| Component | RTO | RPO | Priority |
|---|---|---|---|
| Database | 4 hours | 1 hour | Critical |
| API | 2 hours | 0 | High |

## Roles

- Incident Commander: shift lead
"""


def imported(text: str, base: LoadedPlan | None = None) -> Import:
    """Return the import of a document of that text."""
    return import_document(source_of(text, "RUNBOOK.md"), OUTPUT, base)


def imported_file(path: Path, base: LoadedPlan | None = None) -> Import:
    """Return the import of a document that is a file."""
    return import_document(read_source(path), OUTPUT, base)


def scenario_of(
    body: str, base: LoadedPlan | None = None, title: str = "Database failure"
) -> Scenario:
    """Return the one scenario of a document with objectives, a commander and that body."""
    done = imported(f"# Runbook\n{OBJECTIVES}\n## Scenarios\n\n### {title}\n\n{body}\n", base)
    (scenario,) = done.loaded.plan.scenarios
    return scenario


def step_named(steps: Sequence[Step], identifier: str) -> Step:
    """Return the step or group of that id, wherever it is."""
    return next(step for step in every_step(steps) if step.id == identifier)


def actions(steps: Sequence[Step]) -> list[str]:
    """Return the actions of all steps that are no groups, in order."""
    return [str(step.action) for step in every_step(steps) if step.action != "sequence"]


def timeboxes(steps: Sequence[Step]) -> dict[str, float]:
    """Return the time box of every step and group that has one, in minutes, by id."""
    return {s.id: s.timebox_s / 60 for s in every_step(steps) if s.timebox_s is not None}


def place(document: Any, name: str) -> Any:
    """Return what stands at a place such as scenarios[0].steps[2]; KeyError if nothing does."""
    for part in name.replace("[", ".[").split("."):
        document = document[int(part[1:-1])] if part.startswith("[") else document[part]
    return document


def broken_places(done: Import) -> Iterator[str]:
    """Yield the places that the report names and the written plan does not have."""
    document = yaml.safe_load(done.text)
    for line in done.report.lines:
        for name in line.places:
            try:
                place(document, name)
            except (KeyError, IndexError, TypeError):
                yield f"line {line.line}: {name}"


def unheard_lines(text: str, done: Import) -> set[int]:
    """Return the lines with something on them that the report has not, or has more than once."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    filled = [n for n, line in enumerate(lines, 1) if line.strip()]
    told = [line.line for line in done.report.lines]
    return set(filled) ^ set(told) | {n for n in told if told.count(n) > 1}


def every_command(plan: Plan) -> list[Step]:
    """Return all steps that run a program, of scenarios, drills, providers and procedures."""
    owners = (*plan.scenarios, *plan.drills, *plan.providers, *plan.procedures)
    return [s for owner in owners for s in every_step(owner.steps) if s.action == "command"]
