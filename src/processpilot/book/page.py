"""The book: the whole plan as one page of HTML that needs nothing else, made for paper.

It is for the day when no server, no network and no repository can be reached, so everything a
person needs to begin stands on its first pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from processpilot.book.contacts import calls, filled_roles, unreachable, ways
from processpilot.book.services import service_commands
from processpilot.book.steps import Entry, entries, step_count
from processpilot.plan.load import LoadedPlan
from processpilot.plan.scenario import Scenario
from processpilot.plan.wording import (
    LEFT_OUT,
    duration_words,
    loss_words,
    shell_words,
    visible,
    without_password,
)

_TEMPLATES = Path(__file__).with_name("templates")
_BLANKS = re.compile("( +)")
_TARGET = "/var/lib/postgresql/restored"


@dataclass(frozen=True, slots=True)
class Chapter:
    """A scenario as the book shows it."""

    scenario: Scenario
    entries: tuple[Entry, ...]
    count: int
    timeboxes_s: float


def render_book(loaded: LoadedPlan, printed_at: datetime, versions: Mapping[str, str]) -> str:
    """Return the book's text; `versions` names the software it was printed with."""
    plan = loaded.plan
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Whatever the plan says, nothing in it hides what it is.
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
    environment.filters |= {
        "duration": duration_words,
        "loss": loss_words,
        "ways": ways,
        "rows": _rows,
    }
    return environment.get_template("book.html").render(
        plan=plan,
        hash=loaded.hash,
        file=loaded.path.name,
        printed_at=f"{printed_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        versions=versions,
        roles=filled_roles(plan),
        calls=calls(plan),
        unreachable=unreachable(plan),
        commands=bare_machine_commands(loaded),
        secrets=list(_secrets(loaded)),
        left_out=LEFT_OUT,
        services=[(c, tuple(service_commands(c))) for c in plan.start_order()],
        chapters=[_chapter(loaded, scenario) for scenario in plan.scenarios],
        parts=[
            (title, [(one.title, _note(one), entries(plan, one.steps)) for one in found])
            for title, found in (
                ("Drills", plan.drills),
                ("Database providers", plan.providers),
                ("Procedures", plan.procedures),
            )
            if found
        ],
    )


def bare_machine_commands(loaded: LoadedPlan) -> Mapping[str, str]:
    """Return the repository's address, and the commands that need only it and a key."""
    place = ["--repo", absolute_url(loaded), "--key", "KEYFILE"]
    restore = ["processpilot", "restore", "latest", *place, "--target", _TARGET]
    superuser = loaded.plan.database.superuser
    if superuser != "postgres":
        restore += ["--superuser", superuser]
    show = ["processpilot", "plan", "show", "--from-backup", "latest", *place]
    return {
        "url": absolute_url(loaded),
        "read": shell_words([*show, "--output", loaded.path.name]),
        "restore": shell_words(restore),
        "recover": "\n".join(
            shell_words(["processpilot", "recover", scenario.id])
            for scenario in loaded.plan.scenarios
        ),
    }


def absolute_url(loaded: LoadedPlan) -> str:
    """Return the repository's address as another folder or machine needs it."""
    url = loaded.plan.repository.url
    return without_password(url) if "://" in url else str(loaded.resolve(url))


def _rows(text: str) -> list[list[str]]:
    """Return the lines of exact text, each cut into words and the blanks between them.

    On paper a line breaks between words only, so nobody asks whether a hyphen at its end is typed.
    """
    return [[part for part in _BLANKS.split(row) if part] for row in text.split("\n")]


def _secrets(loaded: LoadedPlan) -> Iterator[tuple[str, str]]:
    """Yield what other secrets a new machine needs, and where the lost one kept them."""
    plan = loaded.plan
    options = plan.repository.options
    given = {
        "Database password": plan.database.password,
        "Access key of the storage": options.access_key,
        "Secret key of the storage": options.secret_key,
    }
    given |= {f"Address of {channel.id}": channel.url for channel in plan.channels}
    yield from ((what, reference) for what, reference in given.items() if reference is not None)


def _chapter(loaded: LoadedPlan, scenario: Scenario) -> Chapter:
    found = entries(loaded.plan, scenario.steps)
    boxes = sum(step.timebox_s or 0 for step in scenario.steps)
    return Chapter(scenario, found, step_count(found), boxes)


def _note(one: object) -> str:
    every_s: float | None = getattr(one, "every_s", None)
    return "" if every_s is None else f"every {duration_words(every_s)}"
