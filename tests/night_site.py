"""The parts of the night: one live site, its clock, whoever keeps the duty, and what people see."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from html.parser import HTMLParser

import httpx
from message_receivers import HttpReceiver, MailReceiver
from night_clock import NightClock
from seed_pilot import Pilot
from seed_site import SeedSite

from processpilot.agent.agent import Agent, Duties
from processpilot.incident.duty import Duty, DutyGround
from processpilot.incident.record import newest_incidents, read_incident
from processpilot.incident.state import Incident
from processpilot.journal.event import Event
from processpilot.runbook.history import read_run
from processpilot.runbook.state import RunState
from processpilot.web.links import Links, links_of
from processpilot.wiring.wired import Wired, open_plan

COARSE = timedelta(seconds=30)
_AROUND_S = (-2, -1, 0, 1, 2)
_LINK = re.compile(r"http://\S+/link/\S+")


class _Quiet:
    """Watches runs and says nothing."""

    def on_event(self, event: Event) -> None:
        pass

    def on_progress(self, phase: str, done: int, total: int | None) -> None:
        pass


@dataclass
class Night:
    """What the story works with; everybody's mail and both places of webhooks are kept."""

    site: SeedSite
    shell: Pilot
    clock: NightClock
    wired: Wired
    post: MailReceiver
    chat: HttpReceiver
    status: HttpReceiver
    _duty: Duty | None = None
    _duty_wired: Wired | None = None

    @property
    def incident(self) -> Incident:
        """The incident of the night as it is."""
        (found,) = newest_incidents(self.wired.journal, 1)
        return read_incident(self.wired.journal, found.incident_id)

    @property
    def run(self) -> RunState:
        """The run that answers it."""
        run_id = self.incident.run_id
        assert run_id is not None
        return read_run(self.wired.journal, run_id)

    @property
    def links(self) -> Links:
        """What makes the plan's links."""
        found = links_of(self.wired.loaded, self.wired.clock)
        assert found is not None
        return found

    @contextmanager
    def agent(self) -> Iterator[Agent]:
        """Let what `up` runs be there for the length of the block."""
        self.end_duty()
        duties = Duties(watch=True, schedule=False)
        agent = Agent(self.wired, duties, _Quiet(), self.links.link_for)
        with agent:
            thread = threading.Thread(target=agent.serve, name="agent")
            thread.start()
            try:
                yield agent
            finally:
                agent.stop()
                thread.join()

    def begin_duty(self) -> None:
        """Have somebody keep the duty who has read nothing before, as after a restart."""
        self.end_duty()
        wired = open_plan(self.site.plan, self.clock)
        link_for = self.links.link_for
        ground = DutyGround(wired.journal, wired.loaded, self.clock, wired.new_id, link_for)
        self._duty, self._duty_wired = Duty(ground), wired

    def end_duty(self) -> None:
        """Let nobody keep it."""
        if self._duty is not None and self._duty_wired is not None:
            self._duty.close()
            self._duty_wired.close()
            self._duty = self._duty_wired = None

    def pass_until(self, end: datetime, marks: Sequence[datetime] = ()) -> None:
        """Let time pass with the duty kept: second by second around the marks."""
        for moment in _moments(self.clock.now(), end, marks):
            self.clock.stand(moment)
            self.do_what_is_due()

    def do_what_is_due(self) -> None:
        """Do what is due at this second, to its end."""
        assert self._duty is not None
        self._duty.settle()
        assert self._duty.trouble is None, self._duty.trouble

    def mails_to(self, who: str) -> list[EmailMessage]:
        """Return what that mailbox holds, oldest first."""
        return [mail for mail in list(self.post.mails) if mail["To"].startswith(f"{who}@")]

    def newest_link(self, who: str) -> str:
        """Return the link in the newest mail of a mailbox."""
        return link_in(self.mails_to(who)[-1].get_content())


def link_in(text: str) -> str:
    """Return the one link in a message."""
    (found,) = _LINK.findall(text)
    return str(found)


def look(link: str) -> httpx.Response:
    """Open a link, as a mail scanner does too."""
    return httpx.get(link, timeout=20, trust_env=False)


def press(link: str, act: str) -> httpx.Response:
    """Open a link's page and press one of its buttons; return the page that follows."""
    form = re.search(r'name="form" value="([^"]+)"', look(link).text)
    assert form is not None, "the page has no button"
    fields = {"form": form[1], "act": act, "comment": ""}
    return httpx.post(link, data=fields, timeout=20, trust_env=False, follow_redirects=True)


def words_of(page: str) -> list[str]:
    """Return a page as its reader takes it in: facts with their names, buttons in brackets."""
    reader = _Reader()
    reader.feed(page)
    return reader.lines


class _Reader(HTMLParser):
    """Takes what a browser shows below the title bar."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._inside = ""
        self._name = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note where the next words stand."""
        self._inside = tag

    def handle_data(self, data: str) -> None:
        """Take words, line by line."""
        for line in filter(None, (" ".join(part.split()) for part in data.splitlines())):
            match self._inside:
                case "style" | "script" | "title":
                    pass
                case "dt":
                    self._name = f"{line}: "
                case "button":
                    self.lines.append(f"[{line}]")
                case _:
                    self.lines.append(f"{self._name}{line}")
                    self._name = ""


def _moments(begin: datetime, end: datetime, marks: Sequence[datetime]) -> list[datetime]:
    """Return when to look: coarsely, and second by second around the marks and the end."""
    around = {m + timedelta(seconds=s) for m in (*marks, end) for s in _AROUND_S}
    count = (end - begin) // COARSE
    coarse = {begin + n * COARSE for n in range(count + 1)}
    return sorted(moment for moment in around | coarse if begin <= moment <= end)
