"""Pages at their moment: never before, none missing after, none twice; whoever asks, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from incident_plans import BEGIN, CHANNELS, declared, staffed_text, then
from plan_text import PATH

from processpilot.incident.escalation import RETRIES, RETRY_S, Policy, due_pages
from processpilot.incident.state import Incident, Kind, Page
from processpilot.oncall.roster import roster_of
from processpilot.plan.load import parse_plan

_TEAM = """\
team:
  people:
    - {{name: Ada, channels: [ada-mail, ada-hook]}}
    - {{name: Ben, channels: [ben-hook]}}
    - {{name: Cleo, channels: [cleo-hook]}}
  roles:
    - {{id: commander, title: Commander, primary: Cleo}}
    - {{id: dba, title: DBA, primary: Ada, secondary: Ben}}
  escalation:
    - {{after: {0}s, page: [primary]}}
    - {{after: {1}s, page: [secondary]}}
    - {{after: {2}s, page: [commander, Ada]}}
"""
_WHO = {1: {"Ada"}, 2: {"Ben"}, 3: {"Cleo", "Ada"}}
_HOW_MANY = {"Ada": 2, "Ben": 1, "Cleo": 1}
assert "cleo-hook" in CHANNELS


@dataclass(frozen=True)
class Course:
    """When somebody looks, after how long each level begins, when it is acknowledged, what fails.

    `fails` says of one attempt after the other whether it does.
    """

    looks: tuple[int, ...]
    after: tuple[int, ...]
    acknowledged: int | None
    fails: tuple[bool, ...]

    @property
    def policy(self) -> Policy:
        after = tuple(f"{one}" for one in self.after)
        plan = parse_plan(staffed_text(team=_TEAM.format(*after)), PATH).plan
        return Policy(plan, roster_of(plan.team, {}))

    def begins(self, level: int) -> datetime:
        return BEGIN + timedelta(seconds=self.after[level - 1])


@st.composite
def courses(draw: st.DrawFn) -> Course:
    """Give a course; looks are at most ten minutes apart, as of an agent that was away."""
    gaps = draw(st.lists(st.integers(1, 600), min_size=1, max_size=40))
    looks = tuple(sum(gaps[:n]) for n in range(len(gaps) + 1))
    after = tuple(sorted(draw(st.lists(st.integers(0, 4000), min_size=3, max_size=3))))
    acknowledged = draw(st.none() | st.integers(0, 5000))
    return Course(looks, after, acknowledged, tuple(draw(st.lists(st.booleans(), max_size=60))))


def lived(course: Course) -> tuple[Incident, list[tuple[datetime, Page]]]:
    """Return the incident at the end, and every page with the moment it was sent."""
    policy, incident, fails = course.policy, declared(), list(course.fails)
    sent: list[tuple[datetime, Page]] = []
    for look in course.looks:
        now = BEGIN + timedelta(seconds=look)
        if course.acknowledged is not None and look >= course.acknowledged:
            incident = then(incident, now, Kind.ACKNOWLEDGED, {"by": "ada"})
        while dues := due_pages(incident, policy, now):
            assert len({(due.level, due.who) for due in dues}) == len(dues)
            for due in dues:
                assert due.due_at <= now
                data = {
                    "level": due.level,
                    "who": due.who,
                    "channel": due.channel,
                    "attempt": due.attempt,
                    "cause": due.cause,
                    "delivered": not (fails.pop(0) if fails else False),
                    "detail": "",
                }
                incident = then(incident, now, Kind.PAGED, data)
                sent.append((now, incident.pages[-1]))
    return incident, sent


def first_look(course: Course, at: datetime) -> datetime | None:
    """Return when somebody first looked at or after a moment."""
    moments = [BEGIN + timedelta(seconds=look) for look in course.looks]
    return next((moment for moment in moments if moment >= at), None)


@given(courses())
def test_each_level_begins_at_the_first_look_after_its_moment(course: Course) -> None:
    """Unless it was acknowledged by then; and nobody is woken before."""
    incident, sent = lived(course)
    for level, people in _WHO.items():
        begun = first_look(course, course.begins(level))
        expected = begun is not None and (
            incident.acknowledged_at is None or begun < incident.acknowledged_at
        )
        firsts = {page.who: at for at, page in reversed(sent) if page.level == level}
        assert set(firsts) == (people if expected else set())
        assert all(at == begun for at in firsts.values())


@given(courses())
def test_no_attempt_is_made_twice_or_after_one_arrived(course: Course) -> None:
    """Channels in their order, rounds a minute apart, five more rounds at most."""
    incident, sent = lived(course)
    tried = [(page.level, page.who, page.channel, page.attempt) for _, page in sent]
    assert len(set(tried)) == len(tried)
    for level, who in {(page.level, page.who) for _, page in sent}:
        own = [(at, page) for at, page in sent if (page.level, page.who) == (level, who)]
        assert all(not page.delivered for _, page in own[:-1])
        assert [page.attempt for _, page in own] == _rounds(len(own), _HOW_MANY[who])
        assert len(own) <= (RETRIES + 1) * _HOW_MANY[who]
        for (before, earlier), (after, later) in zip(own, own[1:], strict=False):
            waited = (after - before).total_seconds()
            assert waited >= RETRY_S if later.attempt > earlier.attempt else waited == 0
    if incident.acknowledged_at is not None:
        assert all(at < incident.acknowledged_at for at, _ in sent)


def _rounds(count: int, channels: int) -> Sequence[int]:
    return [1 + n // channels for n in range(count)]
