"""The duty with real channels on the loopback, under a clock that the test sets."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from incident_plans import BEGIN, TEAM, SetClock, point, staffed
from message_receivers import HttpReceiver, http_receiver, mail_receiver
from plain_server import closed_port

from processpilot.errors import RefusedError, UnavailableError
from processpilot.incident import updates
from processpilot.incident.begin import request_run
from processpilot.incident.cadence import DraftDue
from processpilot.incident.duty import Duty, DutyGround
from processpilot.incident.heartbeat import FOLDER, receive_heartbeat
from processpilot.incident.people import acknowledge, assign, resolve_by_hand
from processpilot.incident.record import Declaration, answer, declare, read_incident
from processpilot.incident.state import Incident, Kind
from processpilot.incident.updates import approve, refuse
from processpilot.incident.vendor import VendorRequest, answered, ask
from processpilot.journal.event import Event
from processpilot.journal.journal import Journal
from processpilot.messages.send import Delivery, Message
from processpilot.plan.load import LoadedPlan
from processpilot.runbook import people as run_people
from processpilot.runbook.history import read_run
from processpilot.runbook.people import Person
from processpilot.runbook.runner import begin_run

MAIL = "mailto://127.0.0.1:{port}?from=pilot@example.org&to=ada@example.org&mode=insecure"
UPDATES = "updates: {channels: [word]}\n"
APPROVED = "updates: {channels: [word], approval: press}\n"
VENDOR = """\
vendors: [{id: host, title: Hosting, channels: [word]}]
support: [{severity: high, response: 4h}]
"""


class Night:
    """A plan, its journal, and a duty that can be ended and begun again at any moment."""

    def __init__(self, folder: Path, loaded: LoadedPlan) -> None:
        self.loaded = loaded
        self.clock = SetClock()
        self.journal = Journal.open(folder / "journal.sqlite", self.clock)
        self.incident_id = "i1"
        self.duty = self.begun()

    def begun(self) -> Duty:
        """Return a new duty, as after a restart."""
        self.duty = Duty(
            DutyGround(
                self.journal,
                self.loaded,
                self.clock,
                lambda: "made",
                lambda incident, act, who: f"https://pilot.example/{act}/{who}",
            )
        )
        return self.duty

    def at(self, **after: float) -> Incident:
        """Let it be that long after the declaration, do what is due, return the incident."""
        self.clock.at = BEGIN + timedelta(**after)
        self.duty.settle()
        assert self.duty.trouble is None
        return self.incident

    def declare(self, scenario: str | None = None) -> Incident:
        reasons = ["database.connect fails"]
        return declare(self.journal, Declaration("i1", scenario, "Database failure", reasons, None))

    @property
    def incident(self) -> Incident:
        return read_incident(self.journal, self.incident_id)

    def paged(self) -> list[tuple[str, str, bool]]:
        pages = self.incident.pages
        return sorted((page.who, page.channel, page.delivered) for page in pages)

    def noted(self) -> list[str]:
        events = self.journal.read("incident/i1")
        return [str(event.data["text"]) for event in events if event.kind == Kind.NOTED]


@contextmanager
def night(folder: Path, extra: str = "", team: str = TEAM) -> Iterator[Night]:
    """Give a night whose incident is not declared yet."""
    made = Night(folder, staffed(folder, extra, team=team))
    with closing(made.journal):
        try:
            yield made
        finally:
            made.duty.close()


@pytest.fixture
def hook() -> Iterator[HttpReceiver]:
    """Give a receiver of everything."""
    with http_receiver() as receiver:
        yield receiver


def all_to(folder: Path, receiver: HttpReceiver, *names: str) -> None:
    """Have channels lead to one receiver, each at a path of its name."""
    for name in names or ("ada-mail", "ada-hook", "ben-hook", "cleo-hook", "word"):
        point(folder, name, f"json://127.0.0.1:{receiver.port}/{name}")


def test_a_page_arrives_by_mail_and_says_what_to_do(tmp_path: Path, hook: HttpReceiver) -> None:
    """Subject, time, reasons, severity, command and link, in a mail that a person can read."""
    with night(tmp_path) as it, mail_receiver() as mails:
        all_to(tmp_path, hook)
        point(tmp_path, "ada-mail", MAIL.format(port=mails.port))
        it.declare()
        it.at(seconds=0)
        assert it.paged() == [("Ada", "ada-mail", True), ("Ben", "ben-hook", True)]
    (mail,) = mails.mails
    assert mail["Subject"] == "SEV-1 shop: Database failure"
    body = mail.get_body(("plain",))
    assert body is not None
    text = body.get_content()
    for part in (
        "Database failure.",
        "SEV-1",
        "2026-11-26 03:00:00 UTC",
        "database.connect fails",
        "processpilot incident acknowledge i1",
        "https://pilot.example/acknowledge/Ada",
        "Ben will be woken at 03:30 UTC",
    ):
        assert part in text, text


def test_a_mail_server_that_is_down_is_passed_over(tmp_path: Path, hook: HttpReceiver) -> None:
    """The person's next channel is used at once; both attempts are written down."""
    with night(tmp_path) as it:
        all_to(tmp_path, hook)
        point(tmp_path, "ada-mail", MAIL.format(port=closed_port()))
        it.declare()
        pages = it.at(seconds=0).pages
    ada = [page for page in pages if page.who == "Ada"]
    assert [(p.channel, p.delivered, p.attempt) for p in ada] == [
        ("ada-mail", False, 1),
        ("ada-hook", True, 1),
    ]
    assert ada[0].detail


def test_nobody_reachable_is_tried_again_and_given_up(tmp_path: Path, hook: HttpReceiver) -> None:
    """After a minute, five times; every attempt is there, and the others were woken."""
    with night(tmp_path) as it:
        all_to(tmp_path, hook)
        for name in ("ada-mail", "ada-hook"):
            point(tmp_path, name, f"json://127.0.0.1:{closed_port()}/s3cret-token")
        it.declare()
        for minute in range(12):
            it.at(minutes=minute)
            it.duty.close()
            it.begun()
        pages = it.incident.pages
    ada = [page for page in pages if page.who == "Ada"]
    assert [(p.channel, p.attempt) for p in ada] == [
        (channel, n) for n in range(1, 7) for channel in ("ada-mail", "ada-hook")
    ]
    assert [page.delivered for page in pages if page.who == "Ben"] == [True]
    assert "s3cret-token" not in str(it.loaded.path.parent.joinpath("journal.sqlite").read_bytes())


def test_three_levels_wake_in_turn_across_restarts(tmp_path: Path, hook: HttpReceiver) -> None:
    """Level by level to the second; who was woken for one level is not woken for it again."""
    with night(tmp_path) as it:
        all_to(tmp_path, hook)
        it.declare()
        seen = []
        for seconds in (0, 1, 1799, 1800, 1801, 3599, 3600):
            it.duty.close()
            it.begun()
            seen.append(len(it.at(seconds=seconds).pages))
        assert seen == [2, 2, 2, 3, 3, 3, 4]
        levels = sorted((page.level, page.who) for page in it.incident.pages)
    assert levels == [(1, "Ada"), (1, "Ben"), (2, "Ben"), (3, "Cleo")]


def test_acknowledged_is_quiet(tmp_path: Path, hook: HttpReceiver) -> None:
    """No further level is woken, however long it takes."""
    with night(tmp_path) as it:
        all_to(tmp_path, hook)
        it.declare()
        it.at(minutes=1)
        acknowledge(it.journal, "i1", "ada")
        assert len(it.at(hours=9).pages) == 2


def test_somebody_without_channel_is_named(tmp_path: Path, hook: HttpReceiver) -> None:
    """Once, as undeliverable."""
    team = TEAM.replace("primary: Ada, secondary: Ben", "primary: Dan, secondary: Ben")
    with night(tmp_path, team=team) as it:
        all_to(tmp_path, hook)
        it.declare()
        it.at(seconds=0)
        it.at(minutes=5)
        dan = [page for page in it.incident.pages if page.who == "Dan"]
    assert [(p.channel, p.delivered, p.detail) for p in dan] == [
        ("", False, "the plan names no channel")
    ]


def test_who_takes_a_role_over_is_woken_for_it(tmp_path: Path, hook: HttpReceiver) -> None:
    """The level that names the role wakes its holder."""
    with night(tmp_path) as it:
        all_to(tmp_path, hook)
        it.declare()
        assign(it.journal, "i1", it.loaded.plan.team, "commander", "Ben", by="cleo")
        pages = it.at(hours=1).pages
    assert [page.who for page in pages if page.level == 3] == ["Ben"]


def test_where_scenario_and_policy_differ_the_log_says_so(
    tmp_path: Path, hook: HttpReceiver
) -> None:
    """Once, and the policy decides: the commander sleeps until level 3."""
    with night(tmp_path) as it:
        all_to(tmp_path, hook)
        it.declare("failure")
        for minute in range(3):
            it.at(minutes=minute)
        assert it.noted() == [
            "the scenario calls commander from minute 0 on; the policy wakes them after 60 min; "
            "the policy decides"
        ]
        assert "Cleo" not in {page.who for page in it.incident.pages}


def test_run_and_incident_are_acknowledged_alike(tmp_path: Path, hook: HttpReceiver) -> None:
    """Whichever was acknowledged, the other is with the next tick; both ways."""
    with night(tmp_path) as it:
        all_to(tmp_path, hook)
        incident = it.declare("failure")
        answer(it.journal, incident, "r1")
        scenario = it.loaded.plan.scenarios[0]
        begin_run(it.journal, request_run(it.loaded, scenario, "r1", "test", incident))
        run_people.acknowledge(Person(it.journal, "r1", "ada"))
        assert it.at(seconds=1).acknowledged_by == "ada"
        other = declare(it.journal, Declaration("i2", "failure", "Again", ["because"], None))
        acknowledge(it.journal, "i2", "ben")
        answer(it.journal, other, "r2")
        begin_run(it.journal, request_run(it.loaded, scenario, "r2", "test", other))
        it.at(seconds=2)
        assert read_run(it.journal, "r2").acknowledged_by == "ben"


def test_stakeholders_hear_at_once_then_every_twenty_minutes(
    tmp_path: Path, hook: HttpReceiver
) -> None:
    """And one last time, with what is known of data; what was sent stays as it was."""
    with night(tmp_path, UPDATES) as it:
        all_to(tmp_path, hook)
        it.declare("failure")
        counts = [len(it.at(minutes=m).updates) for m in (0, 1, 19, 20, 21, 40)]
        assert counts == [1, 1, 1, 2, 2, 3]
        resolve_by_hand(it.journal, "i1", "ada", "it was the disk")
        updates = it.at(minutes=41).updates
        assert [one.kind for one in updates] == ["first", "progress", "progress", "final"]
        assert all(one.sent_at is not None for one in updates)
        assert len(it.at(hours=3).updates) == 4
    told = [b["message"] for b in hook.bodies if "update" in b["title"]]
    assert "Database and API may not work as usual" in told[0]
    assert "hear from us again by 2026-11-26 03:20 UTC" in told[0]
    assert "Whether data was lost has not been measured." in told[-1]
    for text in told:
        for inside in ("database.connect", "Ada", "ada", "disk"):
            assert inside not in text


def test_a_draft_waits_for_its_role(tmp_path: Path, hook: HttpReceiver) -> None:
    """Its on-call hears of it, again once it is late; then it is sent with their words."""
    with night(tmp_path, APPROVED) as it:
        all_to(tmp_path, hook)
        it.declare()
        it.at(minutes=4)
        pages = it.at(minutes=5).pages
        assert [(p.cause, p.who) for p in pages if p.level == 0] == [
            ("update u1", "Ben"),
            ("update-late u1", "Ben"),
        ]
        assert it.incident.updates[0].sent_at is None
        approve(it.journal, it.loaded.plan, "i1", "u1", by="ben", text="We know, and we are at it.")
        update = it.at(minutes=6).updates[0]
        assert (update.sent_at, update.approved_by) == (BEGIN + timedelta(minutes=6), "ben")
        second = it.at(minutes=21).updates[1]
        assert second.due_at == BEGIN + timedelta(minutes=26)
        refuse(it.journal, it.loaded.plan, "i1", "u2", by="ben", reason="nothing new")
        assert [one.update_id for one in it.at(minutes=26).updates] == ["u1", "u2", "u3"]
    texts = [body["message"] for body in hook.bodies if body["title"].startswith("shop: Database")]
    assert texts == ["We know, and we are at it."]


def test_a_draft_that_was_overtaken_is_not_sent(tmp_path: Path, hook: HttpReceiver) -> None:
    """The last word takes its place, and waits for approval as well."""
    with night(tmp_path, APPROVED) as it:
        all_to(tmp_path, hook)
        it.declare()
        it.at(minutes=1)
        resolve_by_hand(it.journal, "i1", "ada", "false alarm")
        first, final = it.at(minutes=2).updates
        assert (first.refused_by, final.kind) == ("processpilot", "final")
        approve(it.journal, it.loaded.plan, "i1", final.update_id, by="ben", text=None)
        assert it.at(minutes=3).updates[1].sent_at is not None


def test_a_template_that_is_broken_is_named_and_ours_used(
    tmp_path: Path, hook: HttpReceiver
) -> None:
    """A word that does not exist costs nobody their update."""
    extra = 'updates: {channels: [word], first: "{{ nothing.here }}"}\n'
    with night(tmp_path, extra) as it:
        all_to(tmp_path, hook)
        it.declare()
        update = it.at(minutes=0).updates[0]
        assert update.text.startswith("We have noticed a problem with shop")
        assert any("updates.first cannot be used" in text for text in it.noted())


def test_an_update_is_sent_again_to_whom_it_did_not_reach(
    tmp_path: Path, hook: HttpReceiver
) -> None:
    """A channel that took it gets it once."""
    with night(tmp_path, "updates: {channels: [word, ben-hook]}\n") as it:
        all_to(tmp_path, hook)
        with http_receiver(503) as broken:
            all_to(tmp_path, broken, "word")
            it.declare()
            it.at(seconds=1)
        all_to(tmp_path, hook, "word")
        assert it.at(seconds=30).updates[0].tries == 1
        update = it.at(seconds=62).updates[0]
    assert update.tries == 2
    assert [(d["channel"], d["delivered"]) for d in update.deliveries] == [
        ("word", False),
        ("ben-hook", True),
        ("word", True),
    ]


def test_a_vendor_is_asked_and_their_lateness_wakes_the_next_level(
    tmp_path: Path, hook: HttpReceiver
) -> None:
    """Although somebody has acknowledged long ago; an answer ends it."""
    with night(tmp_path, VENDOR) as it:
        all_to(tmp_path, hook)
        it.declare()
        it.at(minutes=1)
        acknowledge(it.journal, "i1", "ada")
        request = VendorRequest("c1", "host", "high", "Our disk is gone.", "ada")
        ask(it.journal, "i1", it.loaded.plan, request)
        ask(it.journal, "i1", it.loaded.plan, request)
        assert ("Hosting", "word", True) in [
            (p.who, p.channel, p.delivered) for p in it.at(minutes=2).pages
        ]
        before = len(it.at(minutes=240).pages)
        late = it.at(minutes=241)
        assert [(p.cause, p.level, p.who) for p in late.pages[before:]] == [
            ("vendor-late c1", 2, "Ben")
        ]
        answered(it.journal, "i1", "host", "ada", "they restart it")
        assert it.at(hours=9).vendors[0].answered_by == "ada"
        assert len(it.incident.pages) == before + 1
    (asked,) = [b for b in hook.bodies if "we need your help" in b["title"]]
    assert asked["message"].startswith("Our disk is gone.")


def test_a_missed_heartbeat_opens_an_incident_once(tmp_path: Path, hook: HttpReceiver) -> None:
    """Its return is noted; after that a new absence is a new matter."""
    extra = "heartbeats: [{id: nightly, every: 60s, grace: 10s, severity: SEV-3}]\n"
    with night(tmp_path, extra) as it:
        all_to(tmp_path, hook)
        it.incident_id = "made"
        it.clock.at = BEGIN + timedelta(seconds=70)
        assert not it.duty.tick()
        first = it.at(seconds=71)
        assert (first.source, str(first.severity)) == ("heartbeat", "SEV-3")
        sequence = it.at(seconds=75).sequence
        it.duty.close()
        it.begun()
        assert it.at(seconds=76).sequence == sequence
        receive_heartbeat(it.loaded.state_dir, it.loaded.plan, it.clock, "nightly")
        assert set(it.at(seconds=80).alerts.values()) == {"resolved"}
        assert set(it.at(seconds=200).alerts.values()) == {"firing"}
        assert set(it.at(seconds=201).alerts.values()) == {"firing"}


def test_what_breaks_beside_an_incident_wakes_nobody_less(
    tmp_path: Path, hook: HttpReceiver
) -> None:
    """Whatever it is: it is told, the pages go out, and the next look is made."""

    def broken() -> str:
        raise LookupError("no identifier")

    extra = "heartbeats: [{id: nightly, every: 60s}]\n"
    with night(tmp_path, extra) as it:
        all_to(tmp_path, hook)
        with closing(Duty(DutyGround(it.journal, it.loaded, it.clock, broken))) as duty:
            it.declare()
            it.clock.at = BEGIN + timedelta(minutes=10)
            duty.tick()
            duty.wait()
            assert "LookupError: no identifier" in str(duty.trouble)
        assert it.paged() == [("Ada", "ada-mail", True), ("Ben", "ben-hook", True)]


def test_a_sign_of_life_written_by_hand_without_a_time_zone_is_none(
    tmp_path: Path, hook: HttpReceiver
) -> None:
    """It cannot be compared with anything; the absence is noticed all the same."""
    extra = "heartbeats: [{id: nightly, every: 60s, grace: 10s, severity: SEV-3}]\n"
    with night(tmp_path, extra) as it:
        all_to(tmp_path, hook)
        it.incident_id = "made"
        receive_heartbeat(it.loaded.state_dir, it.loaded.plan, it.clock, "nightly")
        (it.loaded.state_dir / FOLDER / "nightly").write_text("2026-11-26T03:00:00")
        assert it.at(seconds=71).source == "heartbeat"


def test_a_slow_channel_keeps_nobody_waiting(tmp_path: Path) -> None:
    """The tick returns while it is under way, and nobody is paged twice meanwhile."""
    loaded = staffed(tmp_path)
    clock = SetClock()
    going, told = threading.Event(), []

    def send(channel: str, message: Message) -> Delivery:
        told.append(channel)
        assert going.wait(30)
        return Delivery(channel, clock.now(), True, "")

    with closing(Journal.open(tmp_path / "journal.sqlite", clock)) as journal:
        duty = Duty(DutyGround(journal, loaded, clock, lambda: "x", send=send))
        declare(journal, Declaration("i1", None, "Slow", [], None))
        assert duty.tick()
        assert not duty.tick()
        assert read_incident(journal, "i1").pages == ()
        going.set()
        duty.settle()
        duty.close()
        assert len(read_incident(journal, "i1").pages) == 2
    assert sorted(told) == ["ada-mail", "ben-hook"]


def test_a_channel_that_breaks_is_one_that_did_not_deliver(tmp_path: Path) -> None:
    """Whatever other people's code raises."""
    loaded = staffed(tmp_path)
    clock = SetClock()

    def send(channel: str, message: Message) -> Delivery:
        raise KeyError("s3cret")

    with closing(Journal.open(tmp_path / "journal.sqlite", clock)) as journal:
        duty = Duty(DutyGround(journal, loaded, clock, lambda: "x", send=send))
        declare(journal, Declaration("i1", None, "Broken", [], None))
        duty.settle()
        duty.close()
        details = {page.detail for page in read_incident(journal, "i1").pages}
    assert details == {"the channel broke: KeyError"}


class FullJournal(Journal):
    """A journal that takes nothing while `full`."""

    full = False

    def append(self, *args: Any, **kwargs: Any) -> Event:
        if self.full:
            raise UnavailableError("the disk is full")
        return super().append(*args, **kwargs)


def test_what_cannot_be_written_down_is_not_sent_again_and_again(tmp_path: Path) -> None:
    """A full disk costs the record for a while, and nobody gets a page a second."""
    loaded = staffed(tmp_path, UPDATES)
    clock = SetClock()
    told = []

    def send(channel: str, message: Message) -> Delivery:
        told.append(channel)
        return Delivery(channel, clock.now(), True, "")

    with closing(FullJournal.open(tmp_path / "journal.sqlite", clock)) as journal:
        assert isinstance(journal, FullJournal)
        duty = Duty(DutyGround(journal, loaded, clock, lambda: "x", send=send))
        incident = declare(journal, Declaration("i1", None, "Full", [], None))
        draft = DraftDue("first", BEGIN, BEGIN)
        updates.draft(journal, incident, draft, Message("shop", "We know."))
        journal.full = True
        for _ in range(5):
            duty.settle()
            assert duty.trouble == "the disk is full"
        assert read_incident(journal, "i1").pages == ()
        journal.full = False
        for _ in range(2):
            duty.settle()
        duty.close()
        assert len(read_incident(journal, "i1").pages) == 2
        assert read_incident(journal, "i1").updates[0].sent_at is not None
    assert sorted(told) == ["ada-mail", "ben-hook", "word"]


def test_a_link_that_cannot_be_made_keeps_nobody_asleep(tmp_path: Path) -> None:
    """The command to acknowledge is in the page all the same."""
    loaded = staffed(tmp_path)
    clock = SetClock()
    told: list[str] = []

    def send(channel: str, message: Message) -> Delivery:
        told.append(message.text)
        return Delivery(channel, clock.now(), True, "")

    def link_for(incident_id: str, act: str, who: str) -> str:
        raise RefusedError("the secret is too short")

    with closing(Journal.open(tmp_path / "journal.sqlite", clock)) as journal:
        duty = Duty(DutyGround(journal, loaded, clock, lambda: "x", link_for, send=send))
        declare(journal, Declaration("i1", None, "Dark", [], None))
        duty.settle()
        duty.close()
    assert len(told) == 2
    assert all("processpilot incident acknowledge i1" in text for text in told)
