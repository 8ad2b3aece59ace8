"""`processpilot plan check`: can this plan hold? Proves what cannot, before the disaster does."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import datetime
from itertools import groupby
from typing import Annotated

import typer

from processpilot.cli.exits import NOT_WELL
from processpilot.cli.frame import (
    DEFAULT_PLAN,
    JsonOption,
    PlanOption,
    errors_told,
    out,
    print_json,
)
from processpilot.clock import SystemClock
from processpilot.drill.history import history
from processpilot.feasibility.check import check_plan
from processpilot.feasibility.codes import CODES
from processpilot.feasibility.finding import Finding, Severity
from processpilot.feasibility.path import Durations
from processpilot.feasibility.world import this_machine
from processpilot.journal.journal import JOURNAL_FILE, Journal
from processpilot.plan.load import LoadedPlan, load_plan
from processpilot.runbook.history import measured_by_scenario

_WIDTH = 80
# A figure and its unit stay on one line.
_UNIT = re.compile(r"(\d) (min|h|s|%|days)(?=\W|$)")
_HEADS = {
    Severity.ERROR: "Cannot hold",
    Severity.WARNING: "Will hurt on the day",
    Severity.NOTE: "Worth knowing",
}

StrictOption = Annotated[bool, typer.Option("--strict", help="Warnings count like errors.")]


def check(
    plan: PlanOption = DEFAULT_PLAN, as_json: JsonOption = False, strict: StrictOption = False
) -> None:
    """Can the plan hold? Time, data loss, people, commands, against what is here."""
    with errors_told(as_json=as_json):
        loaded = load_plan(plan)
        measured, drills = _remembered(loaded)
        world = this_machine(SystemClock().now(), measured=measured, drills=drills)
        findings = check_plan(loaded, world)
    counts = {severity: sum(f.severity is severity for f in findings) for severity in Severity}
    feasible = not counts[Severity.ERROR] and not (strict and counts[Severity.WARNING])
    if as_json:
        print_json(
            {
                "plan": loaded.path,
                "hash": loaded.hash,
                "feasible": feasible,
                "counts": {f"{severity}s": count for severity, count in counts.items()},
                "findings": [asdict(finding) for finding in findings],
            }
        )
    else:
        for line in report_lines(findings, _width()):
            out(line)
        out(_summary(counts))
    if not feasible:
        raise typer.Exit(NOT_WELL)


def _remembered(loaded: LoadedPlan) -> tuple[Durations, Mapping[str, datetime]]:
    """Return what earlier runs took and when drills last ended; nothing where there is no journal.

    None is made.
    """
    path = loaded.state_dir / JOURNAL_FILE
    if not path.exists():
        return {}, {}
    with closing(Journal.open(path, SystemClock())) as journal:
        ended = {r.drill: r.finished_at for r in reversed(history(journal)) if r.finished_at}
        return measured_by_scenario(journal), ended


def report_lines(findings: Sequence[Finding], width: int) -> list[str]:
    """Return the findings for people: by severity, then by code, in lines of at most `width`."""
    lines: list[str] = []
    for severity, some in groupby(findings, lambda finding: finding.severity):
        lines += [_HEADS[severity], "=" * len(_HEADS[severity]), ""]
        by_code: dict[str, list[Finding]] = {code: [] for code in CODES}
        for finding in some:
            by_code[finding.code].append(finding)
        for code, group in by_code.items():
            if group:
                lines += [*_wrapped(f"{code}: {CODES[code].meaning}", width, "", "  "), ""]
                lines += [*_group_lines(group, width), ""]
    return lines


def _group_lines(group: Sequence[Finding], width: int) -> list[str]:
    """Return the findings of one code; what all of them share comes once, at the end."""
    several = len(group) > 1
    same = several and len({finding.arithmetic for finding in group}) == 1
    shared = several and len({finding.way_out for finding in group}) == 1
    lines: list[str] = []
    for finding in group:
        position = f"{finding.line}:{finding.column}"
        lines += _wrapped(f"{position:<8}{finding.message}", width, "  ", " " * 10)
        if not same:
            lines += _wrapped(finding.arithmetic, width, " " * 10, " " * 10)
        if not shared:
            lines += _wrapped(f"-> {finding.way_out}", width, " " * 10, " " * 13)
    if same:
        lines += _wrapped(group[0].arithmetic, width, "  ", "  ")
    if shared:
        lines += _wrapped(f"-> {group[0].way_out}", width, "  ", "     ")
    return lines


def _wrapped(text: str, width: int, first: str, rest: str) -> list[str]:
    bound = _UNIT.sub("\\1\u00a0\\2", " ".join(text.split()) if "\n" in text else text)
    lines = textwrap.wrap(
        bound,
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_on_hyphens=False,
        replace_whitespace=False,
    )
    return [line.replace("\u00a0", " ") for line in lines]


def _width() -> int:
    """Return how wide lines may be: the terminal's columns, at most 80."""
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDTH
    return min(_WIDTH, columns)


def _summary(counts: dict[Severity, int]) -> str:
    told = ", ".join(
        f"{count} {severity}{'' if count == 1 else 's'}" for severity, count in counts.items()
    )
    return f"{'Cannot hold' if counts[Severity.ERROR] else 'Holds on paper'}: {told}."
