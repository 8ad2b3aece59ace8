"""A review as Markdown, for people to complete."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from processpilot.dossier.review import Review

_ROOM = "_To be written by the people who were there._"


def review_markdown(review: Review) -> str:
    """Return the document's text."""
    return "\n".join(_lines(review)) + "\n"


def _lines(review: Review) -> Iterator[str]:
    incident = review.incident
    yield f"# {_plain(incident.title)}"
    yield ""
    yield f"Incident {incident.incident_id}, {incident.severity},"
    yield f"declared {incident.declared_at:%Y-%m-%d %H:%M:%S} UTC. This review is due {review.due}."
    yield ""
    yield "## What happened"
    yield ""
    yield from _bullets(incident.reasons)
    yield _ROOM
    yield ""
    yield "## Impact"
    yield ""
    yield "| Figure | Value | Source |"
    yield "|---|---|---|"
    for figure in review.figures:
        yield f"| {_cell(figure.name)} | {_cell(figure.value)} | {_cell(figure.source)} |"
    yield ""
    yield from _section("What helped", review.helped)
    yield from _section("What hurt", review.hurt)
    yield from _section("Root cause", ())
    yield "## Actions"
    yield ""
    yield "| Action | Owner | Due | State |"
    yield "|---|---|---|---|"
    for action in review.actions:
        state = "open" if action.closed_at is None else f"done {action.closed_at:%Y-%m-%d}"
        yield f"| {_cell(action.text)} | {_cell(action.owner)} | {action.due or '-'} | {state} |"
    yield ""
    yield "## Timeline (UTC)"
    yield ""
    yield "| Moment | What | Source |"
    yield "|---|---|---|"
    for entry in review.entries:
        yield f"| {entry.at:%Y-%m-%d %H:%M:%S} | {_cell(entry.text)} | {_cell(entry.source)} |"


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    yield f"## {title}"
    yield ""
    yield from _bullets(lines)
    yield _ROOM
    yield ""


def _bullets(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield f"- {_plain(line)}"
    if lines:
        yield ""


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|")


def _plain(text: str) -> str:
    """Return a text on one line, with nothing in it that Markdown would take for its own."""
    line = " ".join(text.split())
    for letter in "\\`*_<>[]":
        line = line.replace(letter, f"\\{letter}")
    return line
