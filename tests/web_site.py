"""A plan with `web`, its journal with an incident and a run, and the server over it, for tests."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

from processpilot.clock import SystemClock
from processpilot.incident.begin import find_scenario, request_run
from processpilot.incident.record import Declaration, answer, declare, read_incident, write
from processpilot.incident.state import Incident
from processpilot.incident.state import Kind as IncidentKind
from processpilot.journal.event import JsonValue
from processpilot.journal.journal import Journal
from processpilot.plan.alarm import Severity
from processpilot.plan.load import load_plan
from processpilot.runbook.history import read_run
from processpilot.runbook.runner import begin_run
from processpilot.runbook.state import Kind, RunState, stream_of
from processpilot.web.links import Links, links_of
from processpilot.web.server import Listener, serve
from processpilot.wiring.wired import Wired

BEGIN = datetime(2026, 11, 26, 3, 0, tzinfo=UTC)
SECRET = "0123456789abcdef0123456789abcdef"
INCIDENT = "20261126-030000-00aa"
RUN = "20261126-030002-00bb"

PLAN = """\
version: 1
name: shop
database:
  dsn: postgresql://postgres@localhost:1/shop
repository:
  url: backups
  identity: file:operator.key
web:
  listen: 127.0.0.1:0
  url: http://127.0.0.1:1/dr
  secret: file:web-secret
heartbeats:
  - {id: nightly, title: Nightly import, every: 1h}
alerts:
  - {labels: {severity: critical}, severity: SEV-2}
updates:
  approval: press
channels:
  - {id: word, url: "file:word"}
components:
  - {id: database, title: Database, priority: critical, rto: 4h, rpo: 1h,
     probes: [{id: connect, kind: sql, query: select 1}]}
  - {id: api, title: API Backend, priority: high, rto: 2h, rpo: 0, depends_on: [database]}
team:
  people:
    - {name: Ada, accounts: [ada], phone: "+49 30 123-456", email: ada@example.org, chat: "@ada"}
    - {name: Ben, accounts: [ben], phone: "+49 171 765 43 21"}
    - {name: Cleo, accounts: [cleo], chat: "@desk"}
    - {name: Dan, chat: "@desk"}
  roles:
    - {id: commander, title: Commander, primary: Ada, secondary: Ben}
    - {id: dba, title: Database Administrator, primary: Ben}
    - {id: press, title: Communications, primary: Cleo}
scenarios:
  - id: failure
    title: Database failure
    component: database
    symptoms:
      - {probe: database.connect, required: true}
    steps:
      - {id: look, title: Look at the disk, action: manual, role: dba, timebox: 15m,
         instruction: "Look at the disk.\\nSay what you see."}
      - {id: agree, title: Go live with the copy, action: approval, approval: commander}
      - {id: checks, title: Check, action: validate}
"""


@dataclass
class SetClock(SystemClock):
    """A clock that shows what the test sets."""

    at: datetime = BEGIN

    def now(self) -> datetime:
        return self.at

    def later(self, seconds: float) -> None:
        """Let time pass."""
        self.at += timedelta(seconds=seconds)


@dataclass
class Answer:
    """What the server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    def field(self, name: str) -> str:
        """Return the value of a page's hidden field."""
        _, _, rest = self.text.partition(f'name="{name}" value="')
        assert rest, f"there is no field {name} in: {self.text}"
        return rest.partition('"')[0]


@dataclass
class WebSite:
    """The server, what it serves, and a browser without a memory of its own."""

    wired: Wired
    clock: SetClock
    links: Links
    listener: Listener
    problems: list[str] = field(default_factory=list)

    def ask(
        self,
        path: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request; links lead to this server whatever host they name."""
        assert self.listener.address is not None, self.listener.trouble
        connection = http.client.HTTPConnection(*self.listener.address, timeout=20)
        try:
            connection.request(method, _path(path), body, dict(headers or {}))
            found = connection.getresponse()
            return Answer(found.status, dict(found.getheaders()), found.read())
        finally:
            connection.close()

    def press(self, link: str, act: str, comment: str = "") -> Answer:
        """Open a link's page and press one of its buttons."""
        form = self.ask(link).field("form")
        return self.send_form(link, {"form": form, "act": act, "comment": comment})

    def send_form(self, link: str, fields: Mapping[str, str]) -> Answer:
        """Post a form as browsers do."""
        return self.ask(link, "POST", urlencode(fields).encode(), FORM)

    def post_json(self, path: str, document: object, token: str | None = SECRET) -> Answer:
        """Post JSON as programs do."""
        headers = {"Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return self.ask(path, "POST", json.dumps(document).encode(), headers)

    def session(self, who: str = "Ada") -> dict[str, str]:
        """Log in; return the headers of whoever did."""
        link = self.links.login(who)
        answer = self.send_form(link, {"form": self.ask(link).field("form")})
        assert answer.status == 303, answer.text
        return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}

    def incident(self) -> Incident:
        """Return the incident as it is."""
        return read_incident(self.wired.journal, INCIDENT)

    def run(self) -> RunState:
        """Return the run as it is."""
        return read_run(self.wired.journal, RUN)

    def note(self, kind: IncidentKind, /, **data: JsonValue) -> None:
        """Write an event of the incident."""
        write(self.wired.journal, self.incident(), kind, data)

    def step(self, kind: Kind, step: str, /, **data: JsonValue) -> None:
        """Write an event of the run as a runner does."""
        self.wired.journal.append(stream_of(RUN), kind, {"step": step, **data})


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def open_wired(folder: Path, clock: SetClock, plan: str = PLAN, secret: str = SECRET) -> Wired:
    """Return a plan in a folder, opened."""
    path = folder / "processpilot.yaml"
    path.write_text(plan)
    keep = folder / "web-secret"
    keep.touch(0o600)
    keep.write_text(f"{secret}\n")
    loaded = load_plan(path)
    numbers = iter(range(1, 100_000))
    journal = Journal.open(loaded.state_dir / "journal.sqlite", clock)
    return Wired(loaded, clock, journal, lambda: next(numbers))


@contextmanager
def web_site(folder: Path, plan: str = PLAN) -> Iterator[WebSite]:
    """Give a server that answers; the journal is empty."""
    clock = SetClock()
    wired = open_wired(folder, clock, plan)
    problems: list[str] = []
    links = links_of(wired.loaded, clock)
    assert links is not None
    try:
        with serve(wired, lambda: problems) as listener:
            yield WebSite(wired, clock, links, listener, problems)
    finally:
        wired.close()


def with_incident(
    site: WebSite, title: str = "Database failure", reason: str = "no answer"
) -> None:
    """Declare an incident that a run answers; people are asked to do its first step."""
    journal = site.wired.journal
    declared = declare(
        journal,
        Declaration(INCIDENT, "failure", title, [reason], BEGIN, Severity.SEV1),
    )
    answer(journal, declared, RUN)
    scenario = find_scenario(site.wired.loaded.plan, "failure")
    request = request_run(site.wired.loaded, scenario, RUN, "the agent", declared)
    begin_run(journal, replace(request, details={**request.details, "title": title}))
    site.clock.later(2)
    site.step(Kind.CONFIRMATION_REQUESTED, "look")


def with_approval(site: WebSite) -> None:
    """Have the first step done, and the second one ask for an agreement."""
    data = {"by": "ben", "role": None, "comment": None, "done": True}
    site.step(Kind.STEP_CONFIRMED, "look", **data)
    site.step(Kind.APPROVAL_REQUESTED, "agree", role="commander")


def with_draft(site: WebSite, text: str = "We are working on it.") -> None:
    """Have a word to stakeholders wait for its approval."""
    site.note(
        IncidentKind.UPDATE_DRAFTED,
        update="u1",
        kind="first",
        subject="shop is down",
        text=text,
        due_at=(BEGIN + timedelta(minutes=5)).isoformat(),
        by="processpilot",
    )


def _path(link: str) -> str:
    """Return the path of an address as the proxy in front of the server passes it on."""
    return link.removeprefix("http://127.0.0.1:1").removeprefix("/dr") or "/"
