"""The whole story of one written runbook: imported for a live site, checked, mended, accepted."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import seed_mend
import seed_mend_wiki
from message_receivers import http_receiver, mail_receiver
from seed_mend import Facts
from seed_pilot import Ended, Pilot, pilot
from seed_run import Ordeal, journal_of
from seed_site import CLOCK, SeedSite, seed_site

from processpilot.demo import stage
from processpilot.plan.secrets import write_secret
from processpilot.progress import silent
from processpilot.runbook.state import RunState

_OWN = Path(__file__).parent / "runbooks"
_SHARED = Path(__file__).resolve().parents[2] / "shared" / "seed"


@dataclass(frozen=True, slots=True)
class Edition:
    """A document, the mend of its plan, what its scenarios are called, and what is accepted."""

    document: Path
    mended: Callable[[str, Facts], str]
    database: str
    application: str
    accepted: tuple[str, ...]


SEED = Edition(
    _SHARED / "DISASTER_RECOVERY.md",
    seed_mend.mended,
    "complete-database-failure",
    "application-server-failure",
    ("verify-core-functionality", "check-logs-tail-100-var-log-processpilot-error"),
)
WIKI = Edition(
    _OWN / "wiki.md",
    seed_mend_wiki.mended,
    "ticket-database-is-lost",
    "api-does-not-answer",
    ("tail-n-100-var-log-kestrel-api-log",),
)


@dataclass
class Story:
    """What was told on the way, and the site that it leads to: protected, and under load."""

    edition: Edition
    site: SeedSite
    pilot: Pilot
    found: dict[str, int]
    before: list[dict[str, Any]]
    after: list[dict[str, Any]]
    changes: list[str]
    accepted: Ended
    book: str

    def ordeal(self, scenario: str, seed: int) -> tuple[Ordeal, RunState]:
        """Lead a run of a scenario to its end, with controllers that die; return both."""
        with journal_of(self.site.plan) as journal:
            ordeal = Ordeal(self.pilot, journal, self.site.places.folder, seed)
            return ordeal, ordeal.lead("recover", scenario, "--yes")


@contextmanager
def told(edition: Edition) -> Iterator[Story]:
    """Give the story of a document up to the eve of the disaster."""
    with ExitStack() as stack:
        site = stack.enter_context(seed_site())
        shell = stack.enter_context(pilot(site.places.site, site.places.folder / "said"))
        chat = stack.enter_context(http_receiver())
        mail = stack.enter_context(mail_receiver())
        words = ("plan", "import", str(edition.document), "--base", "base.yaml", "--json")
        found = json.loads(_well(shell.run(*words)).said)["found"]
        before = _findings(shell)
        imported = site.places.site / "imported.yaml"
        imported.write_text(site.plan.read_text())
        secrets = site.places.site / ".processpilot" / "secrets"
        write_secret(secrets / "chat", f"json://127.0.0.1:{chat.port}/hook")
        post = (
            f"mailto://127.0.0.1:{mail.port}?from=pilot@site.test&to=team@site.test&mode=insecure"
        )
        write_secret(secrets / "mail", post)
        facts = Facts(site.places.url, str(site.places.logs / "api.log"))
        site.plan.write_text(edition.mended(imported.read_text(), facts))
        _well(shell.run("names", "install", "."))
        after = _findings(shell)
        changes = _changes(shell, site)
        accepted = _well(shell.run("plan", "accept", "--yes", "--as", "CTO", *edition.accepted))
        _well(shell.run("plan", "book"))
        book = (site.places.site / "processpilot-book.html").read_text()
        stage.take_first_backup(site.places, silent)
        site.protect()
        stage.start_load(site.places, site.supervisor, CLOCK)
        yield Story(edition, site, shell, found, before, after, changes, accepted, book)


def _well(done: Ended) -> Ended:
    assert done.status == 0, done.said
    return done


def _findings(shell: Pilot) -> list[dict[str, Any]]:
    done = shell.run("plan", "check", "--json")
    assert done.status in (0, 1), done.said
    found: list[dict[str, Any]] = json.loads(done.said)["findings"]
    return found


def _changes(shell: Pilot, site: SeedSite) -> list[str]:
    """Return what `plan diff` says of the mend, without what is another at each site."""
    done = shell.run("plan", "diff", "imported.yaml", "--json")
    assert done.status == 1, done.said
    texts = [change["text"] for change in json.loads(done.said)["changes"]]
    texts = [text.replace(str(site.places.folder), "SITE") for text in texts]
    return [re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text) for text in texts]


def editions() -> list[Edition]:
    """Return the seed where it is, else our own; every night both."""
    if not SEED.document.exists():
        return [WIKI]
    return [SEED, WIKI] if os.environ.get("PROCESSPILOT_NIGHTLY") else [SEED]
