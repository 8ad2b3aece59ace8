"""The page docs/night.md: the night with the texts that really went out, and what of it stays.

Every night has its own moments, names of incidents, links and figures; what is left of a line
without them is the same every night, in whatever order things of one second happened.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from email.message import EmailMessage

from night_site import words_of
from night_story import Told

_HEAD = """\
# One night

The runbook this product started from, imported, mended and drilled; its database destroyed at
03:00; three levels of people woken, one mail server down. `tests/surface/test_surface_night.py`
tells this night on real servers, with a clock that it sets where people sleep and vendors say
nothing. What stands here was received by its mailboxes, its webhooks and its browsers, or printed
by its commands; links, addresses and digests are shortened. The test fails when today's texts are
others, and writes this page anew with `PROCESSPILOT_WRITE_GOLDEN=1`.
"""
_SHORTER = (
    (re.compile(r"/(link|login)/[\w.-]+"), r"/\1/..."),
    (re.compile(r"/tmp/pp-[\w]+"), "/srv/processpilot"),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "https://dr.example.org"),
    (re.compile(r"(port |127\.0\.0\.1:)\d{4,5}"), r"\g<1>5432"),
    (re.compile(r"\b([0-9a-f]{16})[0-9a-f]{48}\b"), r"\1..."),
    (re.compile(r"(declared by probes: [^(]*) \(.*\)"), r"\1 (...)"),
)
_OWN = (
    (re.compile(r"Because   .*?(\\n|$)"), ""),
    (re.compile(r"\b\d{8}-\d{6}-[0-9a-f]{4}\b"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\d"), "DATE"),
    (re.compile(r"\b\d\d:\d\d(:\d\d)?\b"), "TIME"),
    (re.compile(r"\b(\d+ h )?\d+(\.\d+)? (min|s|h)\b"), "SPAN"),
    (re.compile(r"\b[0-9a-f]{16}\.\.\."), "DIGEST"),
    (re.compile(r"#\d+|\b\d+ events|\b\d+:DIGEST|\d+ of \d+"), "COUNT"),
)


def page_of(story: Told) -> str:
    """Return the page of a night."""
    return "\n".join([_HEAD, *_awake(story), *_asleep(story), *_recovered(story), *_morning(story)])


def stable(page: str) -> set[str]:
    """Return the lines of a page without what is another each night."""
    return {_without(line) for line in page.splitlines()}


def _without(line: str) -> str:
    for pattern, word in _OWN:
        line = pattern.sub(word, line)
    return line.rstrip()


def _awake(story: Told) -> Iterator[str]:
    night = story.night
    yield "## 03:00, the first level\n"
    yield "The on-call engineer and the commander are woken at once. The commander's mail:"
    yield _mail(night.mails_to("cto")[0])
    yield "The engineer's own mail server is down. That is written down, and the chat gets it:"
    yield _block(json.dumps(night.chat.bodies[0], indent=2, ensure_ascii=False), "json")
    yield "The word to stakeholders is drafted, and whoever may send it is asked:"
    yield _mail(night.mails_to("product")[0])
    yield "Behind the link, as words:"
    yield _browser(story, "draft")
    yield "She sends it. What stakeholders get, by mail and on the status page:"
    yield _mail(night.mails_to("status")[0])


def _asleep(story: Told) -> Iterator[str]:
    night = story.night
    yield "## 03:30 and 04:00, nobody has answered\n"
    yield "Half an hour later, to the second:"
    yield _mail(night.mails_to("backend")[0])
    yield "A word that is not sent in time wakes the lead's deputy, too:"
    yield _mail(night.mails_to("project")[0])
    yield "After an hour the third level is woken. The commander opens the link in that mail:"
    yield _browser(story, "asked")
    yield "and presses the button:"
    yield _browser(story, "pressed")


def _recovered(story: Told) -> Iterator[str]:
    night = story.night
    yield "## The recovery\n"
    yield "It stops before the old server is fenced. Somebody else's agreement is refused:"
    yield _browser(story, "outsider")
    yield "The commander's counts:"
    yield _browser(story, "holder")
    yield "The last step asks the hosting company whether the new disk is sound:"
    yield _mail(night.mails_to("hosting")[0])
    yield "Everything answers again meanwhile, and stakeholders hear so every 20 minutes:"
    yield _mail(night.mails_to("status")[-2])
    yield "The hosting company promised four hours and says nothing. The third level hears of it:"
    yield _mail(night.mails_to("cto")[-1])
    yield "They answer in the end; the run is finished, and so is the incident. The last word:"
    yield _mail(night.mails_to("status")[-1])


def _morning(story: Told) -> Iterator[str]:
    said = story.said
    yield "## The morning after\n"
    yield "`processpilot incident show` has all of it; the first hour:"
    yield _block(_cut(said["show"].splitlines(), "acknowledged by CTO ("))
    yield "`processpilot incident review` writes the document for people to complete. Its figures:"
    yield _table(story.review, "| Figure |", "")
    yield "and from its timeline, each line with the event that says so:"
    yield _excerpt(story.review, "fence", "ask-hosting", "Hosting", "resolved", "(final)")
    yield "`processpilot evidence verify` needs a copy of the folder and the public key:"
    yield _block(_short(said["genuine"]))
    yield "One bit of it turned over:"
    yield _block(_short(said["tampered"].partition("\n")[2]))
    yield "`processpilot journal verify`:"
    yield _block(_short(said["journal"]))


def _mail(mail: EmailMessage) -> str:
    head = [f"{name}: {mail[name]}" for name in ("To", "Subject")]
    return _block("\n".join([*head, "", mail.get_content()]))


def _browser(story: Told, name: str) -> str:
    lines = words_of(story.pages[name].text)
    return _block("\n".join(line for line in lines if not line.startswith("Because: ")))


def _cut(lines: Sequence[str], last: str) -> str:
    """Return the lines up to the one with `last`."""
    end = next(n for n, line in enumerate(lines) if last in line)
    return "\n".join([*lines[: end + 1], "  ..."])


def _table(text: str, head: str, end: str) -> str:
    lines = text.splitlines()
    begin = next(n for n, line in enumerate(lines) if line.startswith(head))
    rows = lines[begin : lines.index(end, begin)]
    return "\n" + "\n".join(_short(row) for row in rows) + "\n"


def _excerpt(review: str, *words: str) -> str:
    lines = review.splitlines()
    begin = lines.index("| Moment | What | Source |")
    rows = (row for row in lines[begin + 2 :] if any(word in row for word in words))
    return "\n" + "\n".join(_short(row) for row in [*lines[begin : begin + 2], *rows]) + "\n"


def _block(text: str, language: str = "") -> str:
    return f"\n```{language}\n{_short(text).strip()}\n```\n"


def _short(text: str) -> str:
    for pattern, word in _SHORTER:
        text = pattern.sub(word, text)
    return "\n".join(line.rstrip() for line in text.splitlines())
