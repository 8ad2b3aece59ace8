"""What people see of incidents and runs, over real HTTP."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from web_site import (
    INCIDENT,
    RUN,
    WebSite,
    web_site,
    with_approval,
    with_draft,
    with_incident,
)

from processpilot.incident.state import Kind as IncidentKind
from processpilot.runbook.people import Person, abort
from processpilot.runbook.state import Kind, stream_of
from processpilot.web.standing import MOST_LINES


@pytest.fixture
def site(tmp_path: Path) -> Iterator[WebSite]:
    """Return a server with an incident that a run answers."""
    with web_site(tmp_path) as found:
        with_incident(found)
        yield found


def test_the_overview_tells_what_is_open(site: WebSite) -> None:
    """Incident, run with its steps, what it waits for, objectives, and the agent's problems."""
    site.problems.append("probe database.connect is failing")
    page = site.ask("/", headers=site.session()).text
    for words in (
        "1 open incident",
        "probe database.connect is failing",
        "Nobody has acknowledged it yet.",
        "Look at the disk",
        "waits for people",
        "API Backend",
        "not measured",
        "No recovery has been run or rehearsed.",
    ):
        assert words in page, words


def test_an_overview_without_trouble_says_so(tmp_path: Path) -> None:
    """And claims no more than it knows."""
    with web_site(tmp_path) as site:
        page = site.ask("/", headers=site.session("Ben")).text
    assert "No incident is open, and the agent is well." in page
    assert "not measured" in page
    assert "for Ben" in page


def test_a_finished_run_has_its_verdict(site: WebSite) -> None:
    """On the overview and on its own page; not green, and no longer live."""
    abort(Person(site.wired.journal, RUN, "Ada"), reason="by hand")
    site.wired.journal.append(stream_of(RUN), Kind.RUN_FINISHED, {"verdict": "aborted"})
    site.note(IncidentKind.RESOLVED, resolution="aborted", stopped_by="Ada")
    session = site.session()
    overview = site.ask("/", headers=session).text
    assert 'class="badge aborted">aborted' in overview
    assert "Incidents before" in overview
    page = site.ask(f"/run/{RUN}", headers=session).text
    assert "not-run" in page
    assert "<script" not in page


def test_a_damaged_run_does_not_take_the_overview_away(site: WebSite) -> None:
    """It is named among the problems, and everything else is shown."""
    site.wired.journal.append("run/r9", Kind.RUN_BEGUN, {"run_id": "r9"})
    site.wired.journal.append("incident/i9", IncidentKind.DECLARED, {"title": "x"})
    session = site.session()
    overview = site.ask("/", headers=session)
    assert overview.status == 200
    assert "run/r9 begins with a damaged event" in overview.text
    assert "incident i9: event 1" in overview.text
    assert "Look at the disk" in overview.text
    assert site.ask("/run/r9", headers=session).status == 500


def test_an_incident_tells_its_log(site: WebSite) -> None:
    """Its own events and its run's, newest first, each with its time."""
    with_draft(site)
    site.note(
        IncidentKind.PAGED, level=1, who="Ada", channel="sms", delivered=False, detail="no answer"
    )
    with_approval(site)
    page = site.ask(f"/incident/{INCIDENT}", headers=site.session()).text
    assert "waits for approval" in page
    order = ["agree: waits until commander agrees", "NOT DELIVERED: no answer", "declared by"]
    places = [page.index(words) for words in order]
    assert places == sorted(places)


def test_a_long_log_is_cut(site: WebSite) -> None:
    """And the page says how much is left out, and where it is."""
    for n in range(MOST_LINES + 2):
        site.note(IncidentKind.NOTED, by="Ada", text=f"note {n}")
    page = site.ask(f"/incident/{INCIDENT}", headers=site.session()).text
    assert page.count("<time>") == MOST_LINES
    assert f"older entries: processpilot incident show {INCIDENT}" in page


@pytest.mark.parametrize(
    "name", ["..", "%2e%2e%2fx", "..%2f..%2fetc%2fpasswd", "x%00", "%3Cscript%3E", "x" * 101, "i9"]
)
@pytest.mark.parametrize("kind", ["incident", "run"])
def test_other_names_lead_nowhere(site: WebSite, kind: str, name: str) -> None:
    """404 and nothing of the name."""
    answer = site.ask(f"/{kind}/{name}", headers=site.session())
    assert answer.status == 404
    if name != "i9":
        assert "of that name" in answer.text or "there is nothing here" in answer.text.lower()
    assert site.ask(f"/{kind}/{name}/events", headers=site.session()).status == 404


def test_pages_are_sound_and_fetch_nothing(site: WebSite) -> None:
    """Every tag is closed, and nothing comes from elsewhere."""
    with_approval(site)
    with_draft(site)
    session = site.session()
    for path in ("/", f"/incident/{INCIDENT}", f"/run/{RUN}"):
        page = site.ask(path, headers=session).text
        balance = _Balance()
        balance.feed(page)
        assert balance.open == [], path
        assert balance.fetched == [], path
        assert "style=" not in page and " onclick" not in page


class _Balance(HTMLParser):
    """Finds tags that are not closed, and attributes that fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [str(value) for name, value in attrs if name == "src"]
        if tag not in ("meta", "br", "input", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()


def test_a_run_is_followed_live(site: WebSite) -> None:
    """What is written meanwhile arrives; the stream ends with the run."""
    session = site.session()
    assert site.listener.address is not None
    connection = http.client.HTTPConnection(*site.listener.address, timeout=30)
    connection.request("GET", f"/run/{RUN}/events", headers=session)
    answer = connection.getresponse()
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "waits for people" in _next(answer)
    with_approval(site)
    assert "commander must agree" in _next(answer)
    abort(Person(site.wired.journal, RUN, "Ada"), reason="by hand")
    site.wired.journal.append(stream_of(RUN), Kind.RUN_FINISHED, {"verdict": "aborted"})
    seen = ""
    while "event: end" not in seen:
        found = _next(answer)
        assert found, "the stream ended without saying so"
        seen += found
    assert 'class="badge aborted"' in seen
    assert answer.read() == b""
    connection.close()


def _next(answer: http.client.HTTPResponse) -> str:
    """Return the next event's text."""
    lines = []
    while (line := answer.readline().decode()).strip():
        lines.append(line)
    return "".join(lines)


def test_health_is_told_to_anybody(site: WebSite) -> None:
    """Well or not and the version; never what is wrong."""
    answer = site.ask("/healthz")
    assert answer.status == 200
    assert json.loads(answer.text).keys() == {"status", "version"}
    site.problems.append("the secret thing fails")
    answer = site.ask("/healthz")
    assert answer.status == 503
    assert json.loads(answer.text)["status"] == "failing"
    assert "secret" not in answer.text
