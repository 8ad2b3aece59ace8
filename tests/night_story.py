"""One whole night as it is told: the evening before, the disaster at 03:00, the morning after.

Whatever takes long is real: servers, programs, mail, HTTP. Only the hours in which people sleep or
a vendor says nothing are passed by setting the clock.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from message_receivers import http_receiver, mail_receiver
from night_clock import NightClock
from night_eve import evening, next_three, well, write_plan
from night_plan import FENCE, Doors
from night_site import Night, link_in, look, press
from protected_site import wait_until
from seed_pilot import pilot
from seed_site import seed_site

from processpilot.agent.overview import agent_status
from processpilot.backup.heartbeat import FILE_NAME, last_acknowledged
from processpilot.demo.places import free_ports
from processpilot.incident import people
from processpilot.incident.cadence import FINAL
from processpilot.incident.record import newest_incidents
from processpilot.incident.state import Incident, Update
from processpilot.incident.vendor import answered
from processpilot.runbook.decide import Need, waits_of
from processpilot.web.server import serve
from processpilot.wiring.wired import open_plan

LIMIT_S = 200.0


@dataclass
class Told:
    """What the night left to look at; `promised` counts the writes that people were promised.

    `asleep` is the incident half an hour in; `pages` are those that people saw in their browsers,
    `said` is what commands said in the morning.
    """

    night: Night
    drill: dict[str, Any] | None
    promised: int = 0
    asleep: Incident | None = None
    pages: dict[str, httpx.Response] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)

    @property
    def begun(self) -> datetime:
        """When the incident was declared."""
        return self.night.incident.declared_at

    @property
    def evidence(self) -> Path:
        """The folder of the run's evidence."""
        return self.night.wired.reports_dir(self.night.run.run_id) / "evidence"

    @property
    def review(self) -> str:
        """The post-incident document."""
        folder = self.night.wired.state_dir / "incidents" / self.night.incident.incident_id
        return (folder / "review.md").read_text()


@contextmanager
def told() -> Iterator[Told]:
    """Tell the night; what it left is there for the length of the block."""
    with ExitStack() as stack:
        site = stack.enter_context(seed_site())
        shell = stack.enter_context(pilot(site.places.site, site.places.folder / "said"))
        post, chat, status = (
            stack.enter_context(mail_receiver()),
            stack.enter_context(http_receiver()),
            stack.enter_context(http_receiver()),
        )
        pager, web = free_ports(2)
        doors = Doors(post.port, pager, chat.port, status.port, web)
        clock = NightClock(site.places.folder / "ahead")
        write_plan(site, shell, doors)
        drill = evening(site, shell, clock)
        wired = open_plan(site.plan, clock)
        stack.callback(wired.close)
        night = Night(site, shell, clock, wired, post, chat, status)
        stack.callback(night.end_duty)
        story = Told(night, drill)
        stack.enter_context(serve(wired))
        _disaster(story)
        _nobody_answers(story)
        _recovery(story)
        _vendor_is_late(story)
        _end(story)
        _morning(story)
        yield story


def _disaster(story: Told) -> None:
    """Lose the database at 03:00; the clock holds a second later until all is said and sent.

    Three probes in a row have to fail, a second apart, so nothing is declared before that second.
    """
    night, clock = story.night, story.night.clock
    at = next_three(datetime.now(UTC))
    clock.run(at - timedelta(seconds=1), until=at)
    with night.agent():
        wait_until(lambda: _is_well(night), "protection", LIMIT_S)
        clock.run(at, until=at + timedelta(seconds=1))
        story.promised = night.site.destroy_database()
        wait_until(lambda: _is_declared(night), "the incident", LIMIT_S)
        wait_until(lambda: _reached(night) >= _FIRST, "the first pages", LIMIT_S)
        wait_until(lambda: bool(waits_of(night.run)), "the run to ask for people", LIMIT_S)
    clock.stand()


_FIRST = {"DevOps Engineer", "CTO", "Product Manager"}


def _nobody_answers(story: Told) -> None:
    """Let an hour pass: two more levels are woken, the duty begins anew twice, words go out."""
    night = story.night
    night.begin_duty()
    _pass(story, 4 * 60)
    story.pages["draft"] = look(night.newest_link("product"))
    _approve(night, "product")
    _pass(story, 19 * 60 + 30, 19 * 60)
    _approve(night, "product")
    _pass(story, 30 * 60)
    night.begin_duty()
    _pass(story, 31 * 60)
    story.pages["scanned"] = look(night.newest_link("cto"))
    story.asleep = night.incident
    # The product manager fell asleep: the next word waits until it is late.
    _pass(story, 41 * 60, 34 * 60 + 30, 39 * 60 + 30)
    _approve(night, "project")
    _pass(story, 45 * 60)
    night.begin_duty()
    _pass(story, 56 * 60 + 30, 56 * 60)
    _approve(night, "product")
    _pass(story, 61 * 60 + 40, 60 * 60)
    link = night.newest_link("cto")
    story.pages["asked"] = look(link)
    story.pages["pressed"] = press(link, "acknowledge")
    _pass(story, 62 * 60)
    story.pages["second"] = look(link_in(night.chat.bodies[0]["message"]))


def _recovery(story: Told) -> None:
    """Carry the run on with people, up to the question to the hosting company."""
    night = story.night
    night.end_duty()
    night.clock.run(night.clock.now())
    with night.agent():
        wait_until(lambda: _goes_on(story), "the recovery", LIMIT_S)
        wait_until(lambda: bool(night.mails_to("hosting")), "the question", LIMIT_S)
        wired, incident_id = night.wired, night.incident.incident_id
        people.mitigate(wired.journal, incident_id, "CTO", "everything answers again")
    night.clock.stand()


def _goes_on(story: Told) -> bool:
    """Do what the run asks people for; return whether it waits for the hosting company."""
    night, run = story.night, story.night.run
    for wait in waits_of(run):
        assert wait.step_id is not None, wait.text
        if wait.need is Need.CONFIRMATION:
            press(night.links.step(run.run_id, wait.step_id, "DevOps Engineer"), "done")
        elif wait.need is Need.APPROVAL:
            assert wait.step_id == FENCE, wait.text
            step = run.run_id, wait.step_id
            story.pages["outsider"] = press(night.links.step(*step, "Backend Developer"), "approve")
            story.pages["holder"] = press(night.links.step(*step, "CTO"), "approve")
        else:
            raise AssertionError(wait.text)
    return bool(night.incident.vendors)


def _vendor_is_late(story: Told) -> None:
    """Keep stakeholders informed while the hosting company says nothing for four hours."""
    night = story.night
    night.begin_duty()
    (call,) = night.incident.vendors
    assert call.due_at is not None
    _keep_told(night, call.due_at)
    night.pass_until(call.due_at + timedelta(minutes=5))
    words = "the new disk is sound; the old one lost its rack"
    answered(night.wired.journal, night.incident.incident_id, call.call_id, "CTO", words)


def _keep_told(night: Night, end: datetime) -> None:
    """Approve each word a minute after it was written."""
    while night.clock.now() < end:
        sent_at = night.incident.updates[-1].sent_at
        assert sent_at is not None
        drafted_at = sent_at + timedelta(minutes=15)
        night.pass_until(min(drafted_at, end))
        if _waiting(night.incident):
            night.pass_until(min(drafted_at + timedelta(minutes=1), end))
            _approve(night, "product")


def _end(story: Told) -> None:
    """Finish the run; the last word is written, approved and sent."""
    night = story.night
    night.end_duty()
    with night.agent():
        wait_until(lambda: not night.incident.is_open, "the end", LIMIT_S)
        wait_until(lambda: _last_word_waits(night.incident), "the last word", LIMIT_S)
        press(night.newest_link("product"), "approve")
        wait_until(lambda: night.incident.updates[-1].sent_at is not None, "it to go", LIMIT_S)


def _morning(story: Told) -> None:
    """Review the night, verify its evidence and its journal, and tamper with a copy."""
    night, said = story.night, story.said
    run_id = night.run.run_id
    well(night.shell, "evidence", "make", run_id)
    said["show"] = well(night.shell, "incident", "show")
    said["review"] = well(night.shell, "incident", "review")
    key = well(night.shell, "evidence", "key").strip()
    verify = ("evidence", "verify", "--public-key", key)
    said["genuine"] = well(night.shell, *verify, str(story.evidence))
    if story.drill is not None:
        folder = night.wired.state_dir / "drills" / story.drill["rehearsal_id"] / "evidence"
        said["drill"] = well(night.shell, *verify, str(folder))
    copy = night.site.places.folder / "copy"
    shutil.copytree(story.evidence, copy)
    flip(copy / "evidence.json")
    done = night.shell.run(*verify, str(copy))
    said["tampered"] = f"{done.status}\n{done.said}"
    said["journal"] = well(night.shell, "journal", "verify")


def flip(path: Path) -> None:
    """Turn over one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _pass(story: Told, seconds: int, *marks: int) -> None:
    """Let it be that many seconds after the declaration."""
    begun = story.begun
    moments = [begun + timedelta(seconds=mark) for mark in marks]
    story.night.pass_until(begun + timedelta(seconds=seconds), moments)


def _approve(night: Night, who: str) -> None:
    """Have somebody send a word that waits, by the link in their newest mail."""
    assert _waiting(night.incident) is not None
    answer = press(night.newest_link(who), "approve")
    assert answer.status_code == httpx.codes.OK, answer.text
    night.do_what_is_due()


def _waiting(incident: Incident) -> Update | None:
    return next((one for one in incident.updates if one.is_pending), None)


def _last_word_waits(incident: Incident) -> bool:
    """Whether the last word is written and somebody was asked to send it."""
    causes = {page.cause for page in incident.pages if page.delivered}
    last = incident.updates[-1]
    return last.kind == FINAL and f"update {last.update_id}" in causes


def _is_well(night: Night) -> bool:
    """Whether commits are protected, every probe passes, and the server lives in this night."""
    status = agent_status(night.wired)
    beat = last_acknowledged(night.wired.state_dir / FILE_NAME)
    if status is None or beat is None or beat < night.clock.now() - timedelta(seconds=1):
        return False
    well = all(probe["health"] == "healthy" for probe in status["probes"].values())
    return well and bool(status["stream"]["commits_wait"])


def _is_declared(night: Night) -> bool:
    found = newest_incidents(night.wired.journal, 1)
    return bool(found) and found[0].run_id is not None


def _reached(night: Night) -> set[str]:
    return {page.who for page in night.incident.pages if page.delivered}
