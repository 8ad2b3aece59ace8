"""What people may do to an incident, and when they are told that it cannot be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest
from incident_plans import SetClock, staffed

from processpilot.errors import (
    IntegrityError,
    NotFoundError,
    ProcessPilotError,
    RefusedError,
    UsageError,
)
from processpilot.incident import people, updates, vendor
from processpilot.incident.begin import request_run
from processpilot.incident.cadence import DraftDue
from processpilot.incident.record import Declaration, answer, declare, held_back, read_incident
from processpilot.incident.state import Incident, Kind
from processpilot.incident.vendor import VendorRequest
from processpilot.incident.vendor_step import AskVendor
from processpilot.journal.journal import Journal
from processpilot.messages.send import Message
from processpilot.plan.alarm import Severity
from processpilot.plan.load import LoadedPlan
from processpilot.plan.step import VendorStep
from processpilot.progress import silent
from processpilot.runbook.action import GivenUpError, NotHappened, StepContext
from processpilot.runbook.history import read_run
from processpilot.runbook.people import Person, abort
from processpilot.runbook.runner import begin_run
from processpilot.runbook.state import RunState
from processpilot.runbook.step import StepSpec

EXTRA = """\
updates: {channels: [word], approval: commander}
vendors: [{id: host, title: Hosting, phone: "+1 800 555"}]
support: [{severity: high, response: 4h}, {severity: critical, response: 0}]
"""


class Desk:
    """A plan, a journal, and one incident."""

    def __init__(self, journal: Journal, loaded: LoadedPlan) -> None:
        self.journal = journal
        self.loaded = loaded
        self.incident = declare(journal, Declaration("i1", "failure", "Failure", ["probe"], None))

    def begin_run(self) -> RunState:
        answer(self.journal, self.incident, "r1")
        scenario = self.loaded.plan.scenarios[0]
        begin_run(self.journal, request_run(self.loaded, scenario, "r1", "test", self.incident))
        return read_run(self.journal, "r1")

    def draft(self) -> Incident:
        now = self.journal.clock.now()
        found = read_incident(self.journal, "i1")
        due = DraftDue("first", now, now)
        return updates.draft(self.journal, found, due, Message("shop", "We know."))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Give a desk."""
    with closing(Journal.open(tmp_path / "journal.sqlite", SetClock())) as journal:
        yield Desk(journal, staffed(tmp_path, EXTRA))


def test_an_incident_is_acknowledged_once_with_its_run(desk: Desk) -> None:
    """The second one is told who was first."""
    desk.begin_run()
    found = people.acknowledge(desk.journal, "i1", "ada", "link")
    assert found.acknowledged_by == "ada"
    assert read_run(desk.journal, "r1").acknowledged_by == "ada"
    with pytest.raises(RefusedError, match="ada has acknowledged"):
        people.acknowledge(desk.journal, "i1", "ben")


def test_of_many_at_once_one_acknowledges(desk: Desk) -> None:
    """And all others are refused, none lost."""
    start = Barrier(8)

    def one(name: str) -> bool:
        start.wait()
        try:
            people.acknowledge(desk.journal, "i1", name)
        except RefusedError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(one, [f"p{n}" for n in range(8)])) == 1


def test_a_role_is_handed_over_in_the_run_too(desk: Desk) -> None:
    """Whoever it is with may agree to its steps."""
    desk.begin_run()
    team = desk.loaded.plan.team
    found = people.assign(desk.journal, "i1", team, "commander", "Dan", by="cleo")
    assert found.roles == {"commander": "Dan"}
    assert read_run(desk.journal, "r1").roles == {"commander": "Dan"}


def test_an_incident_does_not_end_before_its_run(desk: Desk) -> None:
    """The hint says how to end that."""
    desk.begin_run()
    with pytest.raises(RefusedError) as told:
        people.resolve_by_hand(desk.journal, "i1", "ada", "fixed")
    assert "processpilot run abort r1" in str(told.value.hint)
    abort(Person(desk.journal, "r1", "ada"), reason="by hand")


def test_a_scenario_resolved_by_hand_is_held_back(desk: Desk) -> None:
    """No recovery begins behind the back of whoever said it is over."""
    people.resolve_by_hand(desk.journal, "i1", "ada", "false alarm")
    held = held_back(desk.journal, "failure", None)
    assert held is not None and (held.resolution, held.resolved_by) == ("false alarm", "ada")


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda d: people.note(d.journal, "i1", "  ", "ada"), UsageError),
        (lambda d: people.note(d.journal, "i9", "x", "ada"), NotFoundError),
        (lambda d: people.resolve_by_hand(d.journal, "i1", "ada", ""), UsageError),
        (lambda d: people.change_severity(d.journal, "i1", Severity.SEV1, "ada"), RefusedError),
        (
            lambda d: people.assign(d.journal, "i1", d.loaded.plan.team, "x", "Dan", by="ada"),
            NotFoundError,
        ),
        (
            lambda d: people.assign(d.journal, "i1", d.loaded.plan.team, "dba", "", by="ada"),
            UsageError,
        ),
        (
            lambda d: updates.approve(d.journal, d.loaded.plan, "i1", "u1", by="ada", text=None),
            NotFoundError,
        ),
        (lambda d: vendor.answered(d.journal, "i1", "host", "ada"), NotFoundError),
        (
            lambda d: vendor.ask(
                d.journal, "i1", d.loaded.plan, VendorRequest("c", "x", "high", "?", "ada")
            ),
            NotFoundError,
        ),
    ],
)
def test_what_cannot_be_writes_nothing(
    desk: Desk, act: Callable[[Desk], object], error: type[ProcessPilotError]
) -> None:
    """And says why."""
    with pytest.raises(error):
        act(desk)
    assert read_incident(desk.journal, "i1").sequence == 1


def test_after_the_end_only_notes_are_taken(desk: Desk) -> None:
    """Everything else is over."""
    people.resolve_by_hand(desk.journal, "i1", "ada", "fixed")
    assert people.note(desk.journal, "i1", "found the cause", "ada").resolution == "fixed"
    acts: list[Callable[[], object]] = [
        lambda: people.acknowledge(desk.journal, "i1", "ada"),
        lambda: people.mitigate(desk.journal, "i1", "ada", ""),
        lambda: people.change_severity(desk.journal, "i1", Severity.SEV4, "ada"),
        lambda: people.resolve_by_hand(desk.journal, "i1", "ada", "again"),
    ]
    for act in acts:
        with pytest.raises(RefusedError, match="is resolved: fixed"):
            act()


def test_only_its_role_approves_an_update(desk: Desk) -> None:
    """By account or by name; others are told who may."""
    team = desk.loaded.plan.team
    people.assign(desk.journal, "i1", team, "commander", "Ada", by="cleo")
    desk.draft()
    plan = desk.loaded.plan
    with pytest.raises(RefusedError, match="mallory does not fill the role commander"):
        updates.approve(desk.journal, plan, "i1", "u1", by="mallory", text=None)
    found = updates.approve(desk.journal, plan, "i1", "u1", by="ada", text="  Better. ")
    assert (found.updates[0].text, found.updates[0].approved_by) == ("Better.", "ada")
    with pytest.raises(RefusedError, match="ada has approved update u1"):
        updates.approve(desk.journal, plan, "i1", "u1", by="Ada", text="Again")


def test_what_was_sent_is_never_edited(desk: Desk) -> None:
    """Neither approved nor refused any more."""
    found = desk.draft()
    updates.write_sent(desk.journal, found, "u1", [])
    for act in (
        lambda: updates.approve(
            desk.journal, desk.loaded.plan, "i1", "u1", by="Cleo", text="Other"
        ),
        lambda: updates.refuse(desk.journal, desk.loaded.plan, "i1", "u1", by="Cleo", reason=""),
    ):
        with pytest.raises(RefusedError, match="what was sent is never edited"):
            act()


def context(run_id: str | None, desk: Desk, given_up: bool = False) -> StepContext:
    """Return the place of a step that asks the vendor."""
    step = VendorStep(
        id="ask", title="Ask", action="vendor", vendor="host", severity="high", text="Is it you?"
    )
    settings = step.model_dump(include={"action", "vendor", "severity", "text"})
    spec = StepSpec("ask", "Ask", "vendor", settings=settings)
    run = desk.begin_run()
    if run_id is None:
        object.__setattr__(run, "details", {**run.details, "incident": None})
    return StepContext(run, spec, silent, lambda: given_up)


def test_a_vendor_step_asks_once_and_passes_with_the_answer(desk: Desk) -> None:
    """Carried out again after a crash, it waits for the same answer."""
    place = context("r1", desk, given_up=True)
    action = AskVendor(desk.journal, desk.loaded.plan, desk.journal.clock)
    for _ in range(2):
        assert action.probe(place) == NotHappened()
        with pytest.raises(GivenUpError):
            action.execute(place)
    (call,) = read_incident(desk.journal, "i1").vendors
    assert call.due_at is not None
    assert (call.due_at - call.asked_at).total_seconds() == 4 * 3600
    vendor.answered(desk.journal, "i1", "host", "ada")
    assert action.execute(place) == {
        "vendor": "host",
        "answered_by": "ada",
        "answered_after_s": 0.0,
        "late": False,
    }


def test_a_vendor_step_without_incident_says_whom_to_call(desk: Desk) -> None:
    """A run begun by hand answers none."""
    action = AskVendor(desk.journal, desk.loaded.plan, desk.journal.clock)
    with pytest.raises(RefusedError) as told:
        action.execute(context(None, desk))
    assert "+1 800 555" in str(told.value.hint)


def test_a_promise_to_answer_at_once_is_broken_after_five_minutes(desk: Desk) -> None:
    """And without a promise none is broken."""
    assert vendor.response_s(desk.loaded.plan, "critical") == 300
    assert vendor.response_s(desk.loaded.plan, "low") is None


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Kind.PAGED, {"level": "one"}),
        (Kind.UPDATE_DRAFTED, {"update": "u1"}),
        (Kind.UPDATE_SENT, {"update": "u1", "deliveries": [{}]}),
        (Kind.VENDOR_ASKED, {"call": "c1"}),
        (Kind.ALERTED, {"status": "firing"}),
        (Kind.SEVERITY_CHANGED, {"severity": "SEV-9"}),
    ],
)
def test_a_damaged_event_is_named(desk: Desk, kind: Kind, data: dict[str, object]) -> None:
    """With its place, and not taken for something else."""
    desk.draft()
    desk.journal.append("incident/i1", kind, data)  # type: ignore[arg-type]
    with pytest.raises(IntegrityError, match='event 3 "'):
        read_incident(desk.journal, "i1")
