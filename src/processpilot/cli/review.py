"""`processpilot incident review`: the post-incident document, and the actions that follow."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from processpilot.cli.frame import (
    DEFAULT_PLAN,
    JsonOption,
    PlanOption,
    opened,
    out,
    person,
    print_json,
)
from processpilot.dossier.markdown import review_markdown
from processpilot.dossier.page import render_review
from processpilot.dossier.review import Review
from processpilot.errors import RefusedError, UsageError
from processpilot.incident.kind import Kind
from processpilot.incident.record import newest_incidents, read_incident, write
from processpilot.incident.state import Incident
from processpilot.wiring.dossiers import review_of
from processpilot.wiring.wired import Wired


def review(
    incident_id: Annotated[
        str | None, typer.Argument(help="An incident's id; otherwise the newest.")
    ] = None,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    by: Annotated[str | None, typer.Option("--as", help="Who writes, for the record.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="Folder for review.md and review.html.")
    ] = None,
    action: Annotated[str | None, typer.Option("--action", help="Add something to do.")] = None,
    owner: Annotated[str | None, typer.Option("--owner", help="Who does it.")] = None,
    due: Annotated[str | None, typer.Option("--due", help="Until when, YYYY-MM-DD.")] = None,
    close: Annotated[str | None, typer.Option("--close", help="An action that is done.")] = None,
    done: Annotated[bool, typer.Option("--done", help="Say that the review is done.")] = False,
) -> None:
    """Write the post-incident document; add actions, close them, say that it is done."""
    with opened(plan, as_json=as_json) as wired:
        incident = _chosen(wired, incident_id)
        who = by or person()
        if action is not None:
            incident = _added(wired, incident, action, owner, due, who)
        if close is not None:
            incident = _closed(wired, incident, close, who)
        if done:
            incident = write(wired.journal, incident, Kind.REVIEWED, {"by": who})
        document = review_of(wired, incident)
        folder = output or wired.state_dir / "incidents" / incident.incident_id
        _store(document, folder)
    if as_json:
        print_json({"folder": str(folder), "review": document})
        return
    out(
        f"review of {incident.incident_id}, due {document.due}: {folder / 'review.md'}, review.html"
    )
    for one in document.actions:
        state = "open" if one.closed_at is None else "done"
        out(f"  {one.action_id}  {state:<5} {one.owner}, {one.due or 'no date'}: {one.text}")
    if not document.actions:
        out("  no action yet: --action TEXT --owner NAME --due DATE")


def _chosen(wired: Wired, incident_id: str | None) -> Incident:
    if incident_id is not None:
        return read_incident(wired.journal, incident_id)
    for incident in newest_incidents(wired.journal, 1):
        return incident
    raise RefusedError("there is no incident to review")


def _added(
    wired: Wired, incident: Incident, text: str, owner: str | None, due: str | None, by: str
) -> Incident:
    if not text.strip() or not (owner or "").strip():
        raise UsageError("an action needs a text and an owner", hint="Name them with --owner NAME.")
    if due is not None:
        try:
            date.fromisoformat(due)
        except ValueError as error:
            raise UsageError(f'"{due}" is not a date such as 2026-12-01') from error
    name = f"a{len(incident.actions) + 1}"
    data = {"action": name, "text": text, "owner": owner, "due": due, "by": by}
    return write(wired.journal, incident, Kind.ACTION_ADDED, data)


def _closed(wired: Wired, incident: Incident, name: str, by: str) -> Incident:
    action = next((one for one in incident.actions if one.action_id == name), None)
    if action is None:
        names = ", ".join(one.action_id for one in incident.actions) or "none"
        raise UsageError(f'there is no action "{name}"; there are: {names}')
    if action.closed_at is not None:
        raise RefusedError(f"action {name} was closed by {action.closed_by}")
    return write(wired.journal, incident, Kind.ACTION_CLOSED, {"action": name, "by": by})


def _store(document: Review, folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, text in (
        ("review.md", review_markdown(document)),
        ("review.html", render_review(document)),
    ):
        temporary = folder / f".{name}.new"
        temporary.write_text(text)
        temporary.replace(folder / name)
