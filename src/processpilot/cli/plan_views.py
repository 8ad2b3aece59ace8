"""`processpilot plan show | diff | schema | book`: the plan as people read it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from processpilot.book.page import render_book
from processpilot.book.text import plan_lines, scenario_lines
from processpilot.cli.exits import NOT_WELL
from processpilot.cli.frame import (
    DEFAULT_PLAN,
    JsonOption,
    PlanOption,
    YesOption,
    errors_told,
    opened,
    out,
    print_json,
)
from processpilot.cli.key import read_key
from processpilot.clock import SystemClock
from processpilot.errors import NotFoundError, RefusedError, UsageError
from processpilot.evidence.versions import versions
from processpilot.plan.difference import difference
from processpilot.plan.load import LoadedPlan, load_plan, parse_plan
from processpilot.plan.scenario import Scenario
from processpilot.plan.schema import schema_text
from processpilot.plan.wording import visible
from processpilot.repository.blob import BackupId
from processpilot.repository.repository import Repository, open_repository
from processpilot.runbook.state import stream_of
from processpilot.storage.open import StoreOptions, open_store

BOOK = Path("processpilot-book.html")


def show(
    scenario: Annotated[str | None, typer.Argument(help="Only this scenario.")] = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    from_backup: Annotated[
        str | None,
        typer.Option(help="The text of the plan in this backup (its id, or latest), as it is."),
    ] = None,
    repo: Annotated[
        str | None, typer.Option("--repo", help="The repository, on a machine without a plan.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", help="With --repo: the file of a key that opens it.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="With --from-backup: write it to this new file.")
    ] = None,
) -> None:
    """Show the plan as people read it, or write out the one that a backup carries."""
    with errors_told(as_json=as_json):
        if from_backup is not None:
            if scenario is not None:
                raise UsageError("a backup's plan is shown whole", hint="Leave the scenario out.")
            _show_stored(from_backup, plan, repo, key, output, as_json=as_json)
            return
        if (repo, key, output) != (None, None, None):
            raise UsageError(
                "--repo, --key and --output are for --from-backup", hint="Leave them out."
            )
        loaded = load_plan(plan)
        chosen = None if scenario is None else _scenario(loaded, scenario)
    if as_json:
        part: Any = loaded.plan if chosen is None else chosen
        print_json(part.model_dump(mode="json", by_alias=True))
        return
    lines = plan_lines(loaded.plan) if chosen is None else scenario_lines(loaded.plan, chosen)
    typer.echo("\n".join(lines))


def diff(
    other: Annotated[Path | None, typer.Argument(help="Another plan, the older one.")] = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    run: Annotated[
        str | None, typer.Option("--run", help="Compare with the plan this run began with.")
    ] = None,
    backup: Annotated[
        str | None, typer.Option("--backup", help="Compare with a backup's (its id, or latest).")
    ] = None,
) -> None:
    """Say what changed from another plan to this one, by meaning; status 1 when anything did."""
    with errors_told(as_json=as_json):
        if [other, run, backup].count(None) != 2:
            raise UsageError(
                "say what to compare with", hint="Give one of OTHER, --run ID and --backup ID."
            )
        older = load_plan(other) if other is not None else _older(plan, run, backup)
        newer = load_plan(plan)
        changes = difference(older.plan, newer.plan)
    if as_json:
        print_json(
            {
                "from": {"plan": older.path, "hash": older.hash},
                "to": {"plan": newer.path, "hash": newer.hash},
                "changes": [{"text": str(change), **_fields(change)} for change in changes],
            }
        )
    else:
        for change in changes:
            out(str(change))
        if not changes:
            same = "the same text" if older.hash == newer.hash else "other text, the same meaning"
            out(f"no difference: {same}")
    if changes:
        raise typer.Exit(NOT_WELL)


def schema() -> None:
    """Print the JSON Schema of the plan, for editors."""
    typer.echo(schema_text(), nl=False)


def book(
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    output: Annotated[Path, typer.Option(help="The file to write.")] = BOOK,
    yes: YesOption = False,
) -> None:
    """Write the whole plan as one printable page, for the day when nothing else works."""
    with errors_told(as_json=as_json):
        loaded = load_plan(plan)
        text = render_book(loaded, SystemClock().now(), versions(None))
        _write(output, text, over=yes)
    if as_json:
        print_json({"book": output.absolute(), "plan_hash": loaded.hash})
    else:
        out(f"wrote {output}: print it, and keep it where the machines are not")


def _show_stored(
    wanted: str,
    plan: Path,
    repo: str | None,
    key: Path | None,
    output: Path | None,
    *,
    as_json: bool,
) -> None:
    with ExitStack() as stack:
        if repo is None and key is not None:
            raise UsageError("--key is for --repo", hint="Leave it out; the plan names the key.")
        if repo is not None:
            repository = open_repository(open_store(repo, StoreOptions()), read_key(key))
        else:
            repository = stack.enter_context(opened(plan, as_json=as_json)).repository
        backup_id, text = _stored(repository, wanted)
    if output is not None:
        _write(output, text, over=False)
    if as_json:
        written = None if output is None else str(output)
        print_json({"backup": str(backup_id), "plan": text, "written": written})
    elif output is not None:
        out(f"wrote the plan of backup {backup_id} to {output}")
    else:
        # A file that it is redirected into gets it as it is.
        shown = visible(text) if sys.stdout.isatty() else text
        typer.echo(shown, nl=not text.endswith("\n"))


def _older(plan: Path, run: str | None, backup: str | None) -> LoadedPlan:
    """Return the plan that a run began with or a backup carries."""
    with opened(plan, as_json=False) as wired:
        if run is not None:
            events = wired.journal.read(stream_of(run))
            if not events:
                raise NotFoundError(
                    f"there is no run {run}", hint="Run `processpilot run list` to see the runs."
                )
            details = events[0].data.get("details")
            text = details.get("plan") if isinstance(details, Mapping) else None
            if not isinstance(text, str):
                raise NotFoundError(f"run {run} does not say with which plan it began")
            return parse_plan(text, plan.absolute().with_name(f"plan of run {run}"))
        assert backup is not None
        backup_id, text = _stored(wired.repository, backup)
        return parse_plan(text, plan.absolute().with_name(f"plan of backup {backup_id}"))


def _stored(repository: Repository, wanted: str) -> tuple[BackupId, str]:
    """Return a backup and the text of its plan."""
    if wanted == "latest":
        backups = repository.backup_ids()
        if not backups:
            raise NotFoundError(
                "the repository has no backup", hint="Take one with `processpilot backup create`."
            )
        backup_id = backups[-1]
    else:
        backup_id = BackupId.parse(wanted)
    text = repository.manifest(backup_id).plan
    if text is None:
        raise NotFoundError(
            f"backup {backup_id} carries no plan",
            hint="Name another one; `processpilot backup list` shows them.",
        )
    return backup_id, text


def _scenario(loaded: LoadedPlan, wanted: str) -> Scenario:
    found = loaded.plan.scenario(wanted)
    if found is None:
        known = ", ".join(s.id for s in loaded.plan.scenarios) or "none"
        raise NotFoundError(
            f'the plan has no scenario "{wanted}"; it has: {known}', hint="Name one of these."
        )
    return found


def _fields(change: object) -> dict[str, object]:
    return {name: getattr(change, name) for name in ("kind", "where", "subject", "before", "after")}


def _write(path: Path, text: str, *, over: bool) -> None:
    """Write a file in one step; one that is there is replaced only if somebody said so."""
    if path.exists() and not over:
        raise RefusedError(
            f"{path} exists", hint="Name another file with --output, or move that one away."
        )
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text)
    temporary.replace(path)
