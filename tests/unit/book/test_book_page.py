"""The book: one page that needs nothing else, with every step, command and contact in it."""

from __future__ import annotations

import html
import re
import shlex
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from plan_text import PATH, PLAN
from rich_plan import HOSTILE, LONG, SCRIPT, SECRETS, rich_text

from processpilot.book.page import render_book
from processpilot.plan.load import parse_plan

PRINTED_AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
VOID = ("meta", "br", "link", "img", "input")


class Page(HTMLParser):
    """What a browser would make of a page: its elements and the text of some of them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.commands: list[str] = []
        self.text = ""
        self._rows: list[str] | None = None
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == [], "an element is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "pre":
            self._rows = []
        elif dict(attrs).get("class") == "row" and self._rows is not None:
            self._rows.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes something else"
        if tag == "pre":
            assert self._rows is not None
            self.commands.append("\n".join(self._rows))
            self._rows = None

    def handle_data(self, data: str) -> None:
        if self._rows is not None:
            self._rows[-1] += data
        if not self._open or self._open[-1] != "style":
            self.text += data


def book_of(text: str) -> str:
    """Return the book of a plan."""
    return render_book(parse_plan(text, PATH), PRINTED_AT, {"processpilot": "1.2.3"})


@pytest.fixture(scope="module")
def rich() -> str:
    """Give the book of the richest plan."""
    return book_of(rich_text())


def test_the_page_asks_for_nothing_outside_itself(rich: str) -> None:
    """No element, style or script that a browser would fetch or run; links stay in the page."""
    page = Page(rich)
    assert not {tag for tag, _ in page.elements} & {
        "script", "link", "img", "iframe", "object", "embed", "form", "base", "svg",
    }  # fmt: skip
    for tag, attributes in page.elements:
        assert not set(attributes) & {"src", "srcset", "style", "onclick", "onload"}, (
            tag,
            attributes,
        )
        assert (attributes.get("href") or "#").startswith("#")
    (style,) = re.findall(r"<style>(.*?)</style>", rich, re.DOTALL)
    assert "url(" not in style and "@import" not in style
    assert "@page" in style and "size: A4" in style


def test_what_the_plan_says_stays_text(rich: str) -> None:
    """Markup in a title is shown, not obeyed."""
    assert HOSTILE in Page(rich).text
    assert "<script" not in rich and "<b>detected" not in rich
    assert html.escape("<b>detected</b>") in rich


def test_no_secret_is_printed(rich: str) -> None:
    """Passwords that stand in a plan, in an address, a body or an environment, are left out."""
    for secret in SECRETS:
        assert secret in rich_text()
        assert secret not in rich
    for reference in ("file:secrets/rsync", "file:secrets/access", "***"):
        assert reference in rich


def test_every_command_is_exact(rich: str) -> None:
    """The text of a command, however it is wrapped, gives a shell the same arguments."""
    typed = [shlex.split(command) for command in Page(rich).commands]
    for argv in (list(LONG), ["bash", "-c", SCRIPT], ["echo", "step 47", "x" * 188]):
        assert argv in typed


def test_every_step_has_a_box_and_blanks(rich: str) -> None:
    """One box for each step of every scenario, procedure, list and follow-up; groups have none."""
    classes = [attributes.get("class") for _, attributes in Page(rich).elements]
    steps = 7 + 4 + 48
    everything = steps + 3 + 1 + 2 + 1
    assert classes.count("box") == everything
    assert classes.count("blanks") == everything
    assert classes.count("group") == 2
    assert "59 steps" in rich


def test_people_come_first_then_how_to_begin_on_a_bare_machine(rich: str) -> None:
    """Contacts stand before everything else, the repository and its commands follow."""
    text = Page(rich).text
    order = ["+49 30 1234567", "Which scenario is it?", "When this machine is gone", "Isolate"]
    assert [text.index(part) for part in order] == sorted(text.index(part) for part in order)
    assert "No contact is known for Nobody Reachable" in " ".join(text.split())
    commands = Page(rich).commands
    place = "--repo s3://acme-recovery/production --key KEYFILE"
    assert (
        f"processpilot restore latest {place} --target /var/lib/postgresql/restored "
        "--superuser pgadmin"
    ) in commands
    assert (
        f"processpilot plan show --from-backup latest {place} --output processpilot.yaml"
    ) in commands


def test_a_scenario_begins_on_a_page_of_its_own(rich: str) -> None:
    """Each is a section, and sections break the page."""
    sections = [a.get("id") for tag, a in Page(rich).elements if tag == "section"]
    assert "scenario-breach" in sections and "scenario-second" in sections
    assert re.search(r"@media print \{.*section \{ break-before: page; \}", rich, re.DOTALL)


def test_the_book_says_what_it_was_printed_from(rich: str) -> None:
    """The plan's hash, the moment and the versions are on it."""
    loaded = parse_plan(rich_text(), PATH)
    for part in (loaded.hash, "2026-03-01 12:30 UTC", "processpilot 1.2.3", PATH.name):
        assert part in rich


def test_a_plan_that_says_little_has_a_book_that_says_so() -> None:
    """Without people, services, lists and scenarios the book is whole and names what is missing."""
    little = PLAN[: PLAN.index("team:")].replace(
        "    service: {kind: systemd, unit: api.service}\n", ""
    )
    text = " ".join(Page(book_of(little)).text.split())
    for part in ("names no escalation levels", "names no roles", "has no scenarios"):
        assert part in text
    assert "/plans/backups" in text


def test_characters_that_cannot_be_seen_are_spelled() -> None:
    """A command that hides text behind control characters shows them."""
    hidden = PLAN.replace(
        "{id: assess, title: Assess, action: assess}",
        '{id: assess, title: "A\\u202Es", action: command, argv: ["rm", "a\\u202Eb", "\\e[2J"]}',
    )
    book = book_of(hidden)
    assert "\u202e" not in book and "\x1b" not in book
    assert r"rm $'a\u202eb' $'\x1b[2J'" in Page(book).commands
