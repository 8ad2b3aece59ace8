"""The duty: what is due in every incident is done, and written down, about once a second.

Decides nothing by itself: what is due is computed from the journal and the time, so that it goes on
after a restart as if there had been none. Deliveries run in threads of their own, and `tick` waits
for none. One process of a journal has the duty at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial

from processpilot.clock import Clock
from processpilot.errors import LockedError, ProcessPilotError
from processpilot.incident.cadence import SendingDue, due_sendings
from processpilot.incident.called import find_role
from processpilot.incident.contradiction import contradictions
from processpilot.incident.dispatch import Dispatch
from processpilot.incident.escalation import PageDue, Policy, due_pages
from processpilot.incident.news import draft_if_due
from processpilot.incident.paging import NO_CHANNEL, Send, attempt, sender
from processpilot.incident.people import acknowledge, acknowledge_run
from processpilot.incident.policy import policy_of, run_of, steps_of
from processpilot.incident.pulse import Pulse
from processpilot.incident.record import newest_incidents, open_incidents, write
from processpilot.incident.state import Incident, Kind
from processpilot.incident.update_text import Measured
from processpilot.incident.updates import BY_US, write_sent
from processpilot.incident.vendor import due_vendor_alarms, write_late
from processpilot.incident.wording import act_of, page_message
from processpilot.journal.event import JsonValue
from processpilot.journal.journal import Journal
from processpilot.messages.send import Delivery, Message
from processpilot.oncall.feed import Feeds
from processpilot.oncall.roster import Roster, roster_of
from processpilot.plan.load import LoadedPlan
from processpilot.runbook.state import RunState

_CALENDARS_S = 300.0
# Incidents that have ended and whose last word to stakeholders may be still to come.
_ENDED = 10

LinkFor = Callable[[str, str, str], str | None]
ReportOf = Callable[[str], Measured | None]


def no_link(incident_id: str, act: str, who: str) -> None:
    """Give no link: nobody listens."""
    return


def _no_report(run_id: str) -> None:
    return None


@dataclass(frozen=True, slots=True)
class DutyGround:
    """What the duty works with.

    `link_for(incident_id, act, who)` gives a signed address; `act` is "acknowledge" or "update ID".
    `report_of(run_id)` gives what a finished run measured. `send` is the plan's channels if None.
    """

    journal: Journal
    loaded: LoadedPlan
    clock: Clock
    new_id: Callable[[], str]
    link_for: LinkFor = no_link
    report_of: ReportOf = _no_report
    send: Send | None = None


class Duty:
    """Call `tick` about once a second, `close` at the end."""

    def __init__(self, ground: DutyGround) -> None:
        self._ground = ground
        self._send = ground.send or sender(ground.loaded, ground.clock)
        self._dispatch = Dispatch()
        self._feeds = Feeds(ground.loaded, ground.clock)
        self._roster = roster_of(ground.loaded.plan.team, self._feeds.kept())
        self._calendars_at: float | None = None
        self._read_at = -1
        self._incidents: tuple[Incident, ...] = ()
        self._runs: dict[str, RunState | None] = {}
        self._pulse = Pulse(ground.journal, ground.loaded, ground.clock, ground.new_id)
        self._trouble: str | None = None
        # What went out and could not be written down yet: it is written later, not sent again.
        self._unwritten: dict[Hashable, list[Delivery]] = {}

    @property
    def trouble(self) -> str | None:
        """What kept the last tick, or the last delivery, from being done; None when nothing did."""
        return self._trouble or self._dispatch.trouble

    @property
    def roster(self) -> Roster:
        """Who is on call, by the calendars as they are known."""
        return self._roster

    def tick(self) -> bool:
        """Begin whatever is due now; return whether there was anything. Deliveries go on after."""
        self._dispatch.reap()
        self._trouble = None
        self._refresh_calendars()
        busy = False
        for step in (self._pulse.check, self._read):
            self._tried(step)
        for incident in self._incidents:
            busy = self._tried(partial(self._serve, incident)) or busy
        return busy

    def fetch_calendars(self) -> None:
        """Ask for the calendars now, and wait for them; a command does, the agent does not."""
        self._calendars_at = self._ground.clock.monotonic()
        self._roster = roster_of(self._ground.loaded.plan.team, self._feeds.fetched())

    def settle(self) -> None:
        """Do whatever is due now to its end: fallback channels too, but not what is due later."""
        while self.tick():
            self.wait()
            if self.trouble is not None:
                return  # What cannot be done now is done by a later tick.

    def wait(self) -> None:
        """Return when the deliveries under way are done."""
        self._dispatch.wait()

    def close(self) -> None:
        """End; returns when the deliveries under way are written down."""
        self._dispatch.close()

    def _tried(self, work: Callable[[], bool]) -> bool:
        """Do one piece; what fails is told, and nothing else is kept from being done."""
        try:
            return work()
        except LockedError:
            return True  # Somebody else wrote first: the next tick decides anew.
        except ProcessPilotError as error:
            self._trouble = error.message
        except Exception as error:  # noqa: BLE001 - one incident's trouble must wake nobody less
            self._trouble = f"the duty broke: {type(error).__name__}: {error}"
        return False

    def _read(self) -> bool:
        """Read the incidents again if anything was written since."""
        journal = self._ground.journal
        position = next((event.position for event in journal.recent(1)), 0)
        if position != self._read_at:
            found = {one.incident_id: one for one in newest_incidents(journal, _ENDED)}
            found |= {one.incident_id: one for one in open_incidents(journal)}
            self._incidents = tuple(found.values())
            self._runs = {}
            self._read_at = position
        return False

    def _serve(self, incident: Incident) -> bool:
        wrote = False
        if incident.is_open:
            wrote = self._share_acknowledgement(incident)
            wrote = wrote or self._say_contradictions(incident) or self._tell_late(incident)
        if not wrote:
            wrote = self._draft(incident)
        if wrote:
            return True  # What follows from it is decided on what is written.
        plan = self._ground.loaded.plan
        policy = policy_of(plan, self._roster, incident, self._run(incident))
        pages = [self._page(incident, policy, due) for due in self._pages(incident, policy)]
        sendings = due_sendings(incident, plan.updates, self._ground.clock.now())
        return any([*pages, *(self._spread(incident, due) for due in sendings)])

    def _pages(self, incident: Incident, policy: Policy) -> tuple[PageDue, ...]:
        return due_pages(incident, policy, self._ground.clock.now())

    def _share_acknowledgement(self, incident: Incident) -> bool:
        """Have incident and run acknowledged alike; return whether anything was written."""
        run = self._run(incident)
        if run is None or (run.acknowledged_by is None) == (incident.acknowledged_by is None):
            return False
        journal = self._ground.journal
        if incident.acknowledged_by is None:
            acknowledge(journal, incident.incident_id, str(run.acknowledged_by), "run")
            return True
        if run.is_finished:
            return False
        acknowledge_run(journal, incident)
        return True

    def _say_contradictions(self, incident: Incident) -> bool:
        """Write down, once, where the scenario counts on somebody before the policy wakes them."""
        plan = self._ground.loaded.plan
        specs = steps_of(plan, incident, self._run(incident))
        for role, text in contradictions(specs, plan.team):
            topic = f"woken later: {role}"
            if topic not in incident.topics:
                data = {"by": BY_US, "text": f"{text}; the policy decides", "topic": topic}
                write(self._ground.journal, incident, Kind.NOTED, data)
                return True
        return False

    def _tell_late(self, incident: Incident) -> bool:
        late = due_vendor_alarms(incident, self._ground.clock.now())
        for call in late[:1]:
            write_late(self._ground.journal, incident, call)
        return bool(late)

    def _draft(self, incident: Incident) -> bool:
        ground = self._ground
        run = self._run(incident)
        return draft_if_due(ground.journal, ground.loaded.plan, incident, run, ground.report_of)

    def _page(self, incident: Incident, policy: Policy, due: PageDue) -> bool:
        """Begin one attempt; return False when that person's last one is still under way."""
        ground = self._ground
        place = incident.incident_id, due.cause, due.level, due.who

        def sent() -> list[Delivery]:
            link = self._link(incident, due)
            message = page_message(incident, policy, due, ground.clock.now(), link)
            return [attempt(self._send, due.channel, message, ground.clock)]

        def write_down(deliveries: list[Delivery]) -> None:
            self._write_page(incident, due, deliveries[0])

        piece = partial(self._once, (*place, due.channel, due.attempt), sent, write_down)
        return self._dispatch.start(place, piece)

    def _once(
        self,
        key: Hashable,
        send: Callable[[], list[Delivery]],
        write_down: Callable[[list[Delivery]], None],
    ) -> None:
        """Send and write down; what was sent and could not be written is not sent again."""
        if key not in self._unwritten:
            self._unwritten[key] = send()
        write_down(self._unwritten[key])
        del self._unwritten[key]

    def _link(self, incident: Incident, due: PageDue) -> str | None:
        """Return the link for a page; one that cannot be made keeps nobody asleep."""
        act = act_of(due)
        try:
            return act and self._ground.link_for(incident.incident_id, act, due.who)
        except ProcessPilotError:
            return None

    def _write_page(self, incident: Incident, due: PageDue, delivery: Delivery) -> None:
        detail = delivery.detail
        team = self._ground.loaded.plan.team
        if detail == NO_CHANNEL and find_role(team, due.who) is not None:
            detail = f"nobody fills the role {due.who}"
        data: dict[str, JsonValue] = {
            "level": due.level,
            "who": due.who,
            "channel": due.channel,
            "attempt": due.attempt,
            "cause": due.cause,
            "delivered": delivery.delivered,
            "detail": detail,
        }
        write(self._ground.journal, incident, Kind.PAGED, data, exact=False)

    def _spread(self, incident: Incident, due: SendingDue) -> bool:
        """Begin to send an update over the channels that have not taken it."""
        ground = self._ground
        message = Message(due.update.subject, due.update.text)

        def sent() -> list[Delivery]:
            return [attempt(self._send, one, message, ground.clock) for one in due.channels]

        place = incident.incident_id, due.update.update_id
        write_down = partial(write_sent, ground.journal, incident, due.update.update_id)
        piece = partial(self._once, (*place, due.update.tries), sent, write_down)
        return self._dispatch.start(place, piece)

    def _run(self, incident: Incident) -> RunState | None:
        if incident.run_id is None:
            return None
        if incident.run_id not in self._runs:
            self._runs[incident.run_id] = run_of(self._ground.journal, incident)
        return self._runs[incident.run_id]

    def _refresh_calendars(self) -> None:
        """Have calendars asked for, every five minutes, without waiting for them."""
        now_s = self._ground.clock.monotonic()
        if self._calendars_at is not None and now_s - self._calendars_at < _CALENDARS_S:
            return
        self._calendars_at = now_s
        team = self._ground.loaded.plan.team

        def work() -> None:
            self._roster = roster_of(team, self._feeds.fetched())

        if any(rotation.kind == "calendar" for rotation in team.rotations):
            self._dispatch.start("calendars", work)
