"""`processpilot as`: a line in familiar words, carried out."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from processpilot.checks.result import CheckResult, Outcome
from processpilot.cli.exits import NOT_WELL
from processpilot.cli.frame import (
    DEFAULT_PLAN,
    JsonOption,
    PlanOption,
    YesOption,
    confirm,
    errors_told,
    note,
    opened,
    out,
    person,
    print_json,
    progress_shown,
    table,
)
from processpilot.evidence.page import format_bytes
from processpilot.familiar.answer import Answer, Section
from processpilot.familiar.asking import ask
from processpilot.familiar.change import migrate_data, restart_services, to_migrate, to_restart
from processpilot.familiar.meaning import (
    Ask,
    AskStaged,
    Dump,
    ListStock,
    Meaning,
    Migrate,
    OtherCommand,
    Restart,
    Stage,
    meaning_of,
)
from processpilot.familiar.names import Name, find_name
from processpilot.familiar.staging import ask_newest_copy, make_copy, plan_copy
from processpilot.familiar.stock import dump_refused, list_stock
from processpilot.plan.load import load_plan
from processpilot.recovery.stock import Stock
from processpilot.runbook.state import Verdict
from processpilot.wiring.wired import Wired

_MARKS = {
    Outcome.PASSED: "ok  ",
    Outcome.FAILED: "FAIL",
    Outcome.UNKNOWN: "????",
    Outcome.SKIPPED: "note",
}


def as_(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A familiar name: see `processpilot names list`.")],
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    yes: YesOption = False,
) -> None:
    """Carry out a line in familiar words: backup.sh, restore.sh, db:health-check, and others."""
    with errors_told(as_json=as_json):
        known = find_name(name)
        loaded = load_plan(plan)
        meaning = meaning_of(known, context.args, loaded.plan)
    if isinstance(meaning, OtherCommand):
        _hand_over(meaning, known, loaded.path, as_json=as_json, yes=yes)
    with opened(plan, as_json=as_json) as wired:
        if isinstance(meaning, Dump):
            raise dump_refused(wired, meaning.path)
        if isinstance(meaning, ListStock):
            _print_stock(list_stock(wired), as_json=as_json)
            return
        answer = _answer(meaning, wired, as_json=as_json, yes=yes)
    _print_answer(known, answer, as_json=as_json)
    if answer.verdict is not Verdict.PASSED:
        raise typer.Exit(NOT_WELL)


def _hand_over(command: OtherCommand, name: Name, plan: Path, *, as_json: bool, yes: bool) -> None:
    """Become the other command line; what it ends with is what this ends with."""
    words = [*command.words]
    words += ["--yes"] if yes and command.asks else []
    remark = "" if command.remark is None else f" ({command.remark})"
    note(f"{name} is: processpilot {shlex.join(words)}{remark}")
    words += ["--plan", str(plan), *(["--json"] if as_json else [])]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-m", "processpilot", *words])  # noqa: S606


def _answer(meaning: Meaning, wired: Wired, *, as_json: bool, yes: bool) -> Answer:
    match meaning:
        case Ask(name):
            return ask(name, wired)
        case Stage() | AskStaged():
            return _staged(meaning, wired, as_json=as_json)
        case Restart():
            parts = to_restart(wired.loaded.plan)
            confirm(f"Restart {', '.join(c.id for c in parts)}?", yes=yes)
            return restart_services(parts, wired, person())
        case Migrate():
            parts = to_migrate(wired.loaded.plan)
            confirm(f"Run the migrations of {', '.join(c.id for c in parts)}?", yes=yes)
            return migrate_data(parts, wired, person())
        case _:
            raise AssertionError(f"{meaning} is no act of its own")


def _staged(meaning: Stage | AskStaged, wired: Wired, *, as_json: bool) -> Answer:
    if isinstance(meaning, AskStaged):
        with progress_shown(as_json=as_json) as progress:
            return ask_newest_copy(wired, progress)
    operation = plan_copy(wired, meaning.backup, meaning.to_time)
    note(f"backup {operation.manifest.backup_id} is restored into {operation.folder}")
    for warning in operation.warnings:
        note(f"warning: {warning}")
    with progress_shown(as_json=as_json) as progress:
        return make_copy(operation, wired, progress)


def _print_stock(stock: Stock, *, as_json: bool) -> None:
    if as_json:
        print_json(stock)
    else:
        table(
            [
                (
                    b.backup_id,
                    f"{b.end_at:%Y-%m-%d %H:%M:%S}",
                    format_bytes(b.source_bytes),
                    format_bytes(b.stored_bytes),
                )
                for b in stock.backups
            ],
            ("BACKUP", "ENDED (UTC)", "SIZE", "STORED"),
        )
        if stock.window_begin_at is not None:
            end = stock.window_end_at
            shown = "unknown" if end is None else f"{end:%Y-%m-%d %H:%M:%S} UTC"
            out(f"any moment from {stock.window_begin_at:%Y-%m-%d %H:%M:%S} to {shown}")
    if stock.trouble is not None:
        note(f"processpilot: nothing can be restored now: {stock.trouble}")
        raise typer.Exit(NOT_WELL)


def _print_answer(name: Name, answer: Answer, *, as_json: bool) -> None:
    if as_json:
        print_json({"name": name, "verdict": answer.verdict, **_plain(answer)})
        return
    for section in answer.sections:
        _print_section(section)
    if answer.folder is not None:
        out(f"the copy is {answer.folder}; remove it when nobody needs it")
    passed = sum(1 for check in answer.checks if check.outcome is Outcome.PASSED)
    verdict = str(answer.verdict).replace("-", " ")
    out(f"{name}: {verdict}, {passed} of {len(answer.checks)} checks passed")


def _plain(answer: Answer) -> dict[str, object]:
    return {"sections": answer.sections, "folder": answer.folder}


def _print_section(section: Section) -> None:
    out(section.title)
    for check in section.checks:
        out(f"  {_MARKS[check.outcome]}  {check.name}: {_found(check)}")
    if not section.is_run:
        out("  ----  not run: there is nothing to ask")
    if section.hint is not None:
        note(f"hint: {section.hint}")


def _found(check: CheckResult) -> str:
    detail = f" ({check.detail})" if check.detail else ""
    if check.outcome in (Outcome.FAILED, Outcome.UNKNOWN):
        return f"expected {check.expected}, found {check.actual}{detail}"
    return f"{check.actual}{detail}"
