"""Whom levels wake, what the policy contradicts, and what comes next."""

from __future__ import annotations

from datetime import timedelta

import pytest
from incident_plans import BEGIN, TEAM, declared, staffed_text, then
from plan_text import PATH

from processpilot.incident.called import Moment, ordered_levels, people_of
from processpilot.incident.contradiction import contradictions
from processpilot.incident.escalation import Policy, due_pages, live_waves
from processpilot.incident.state import Kind
from processpilot.incident.upcoming import upcoming
from processpilot.oncall.roster import roster_of
from processpilot.plan.load import parse_plan
from processpilot.plan.team import EscalationLevel
from processpilot.runbook.step import StepSpec


def policy(team: str = TEAM, extra: str = "") -> Policy:
    """Return the policy of a team."""
    plan = parse_plan(staffed_text(extra, team=team), PATH).plan
    return Policy(plan, roster_of(plan.team, {}))


def woken(words: tuple[str, ...], needed: frozenset[str] = frozenset(), team: str = TEAM) -> str:
    """Return whom a level of these words wakes."""
    found = policy(team)
    level = EscalationLevel(after_s=0, page=words)
    people = people_of(level, found.plan, found.roster, Moment(BEGIN, {}, needed))
    return ", ".join(person.who for person in people)


@pytest.mark.parametrize(
    ("words", "needed", "expected"),
    [
        # The commander has a level of their own.
        (("primary",), (), "Ada, Ben"),
        (("primary",), ("dba",), "Ada"),
        (("primary",), ("dba", "press", "commander"), "Ada, Ben"),
        # Nobody of the roles that are needed is left: those of all others.
        (("primary",), ("commander",), "Ada, Ben"),
        (("secondary",), ("press",), "Ben"),
        (("commander", "Cleo", "Commander"), (), "Cleo"),
        (("Ada", "Zoe"), (), "Ada, Zoe"),
        (("secondary", "primary"), ("dba",), "Ben, Ada"),
    ],
)
def test_words_stand_for_people(
    words: tuple[str, ...], needed: tuple[str, ...], expected: str
) -> None:
    """Each once, in the order of the plan."""
    assert woken(words, frozenset(needed)) == expected


def test_levels_that_name_every_role_still_wake_the_primaries() -> None:
    """Nobody stays asleep because two levels name the same role."""
    team = TEAM.replace("page: [commander]", "page: [commander, dba, press]")
    assert woken(("primary",), frozenset({"dba"}), team) == "Ada"


def test_a_role_that_nobody_fills_stands_for_itself() -> None:
    """So that it is seen to have reached nobody."""
    team = TEAM.replace(", primary: Cleo, secondary: Dan", "")
    found = policy(team)
    last = ordered_levels(found.plan.team)[-1]
    (person,) = people_of(last, found.plan, found.roster, Moment(BEGIN, {}))
    assert (person.who, person.channels) == ("commander", ())


def test_the_scenario_calls_before_the_policy_wakes() -> None:
    """With both figures; steps side by side begin together."""
    team = policy().plan.team
    steps = [
        StepSpec("a", "A", "manual", timebox_s=900, role="commander"),
        StepSpec("b", "B", "manual", timebox_s=2700, after=("a",)),
        StepSpec("c", "C", "manual", timebox_s=600, after=("b",), role="commander"),
        StepSpec("d", "D", "manual", estimate_s=60, after=("b",), approval="dba"),
    ]
    assert list(contradictions(steps, team)) == [
        (
            "commander",
            "the scenario calls commander in minutes 0 to 15; the policy wakes them after 60 min",
        )
    ]
    assert list(contradictions(steps[2:], team))[0][0] == "commander"
    later = [StepSpec("w", "W", "manual", timebox_s=3600), *steps[2:]]
    later[1:] = [StepSpec("c", "C", "manual", after=("w",), role="commander")]
    assert list(contradictions(later, team)) == []


def test_a_role_that_is_never_woken_is_said_to_be() -> None:
    """When levels exist, and none of them means it."""
    team = policy(TEAM.replace("page: [primary]", "page: [dba]")).plan.team
    steps = [StepSpec("a", "A", "manual", role="press")]
    assert list(contradictions(steps, team)) == [
        ("press", "the scenario calls press from minute 0 on; the policy never wakes them")
    ]


def test_what_comes_next_is_told_with_its_moment() -> None:
    """Levels, drafts, promises; what is overdue says so, and acknowledged levels are gone."""
    extra = "updates: {channels: [word], approval: press}\nvendors: [{id: host, title: Hosting}]\n"
    found = policy(extra=extra)
    incident = declared()
    now = BEGIN + timedelta(minutes=6)
    data = {
        "update": "u1",
        "kind": "first",
        "text": "x",
        "due_at": (BEGIN + timedelta(minutes=5)).isoformat(),
    }
    incident = then(incident, BEGIN, Kind.UPDATE_DRAFTED, data)
    asked = {
        "call": "c1",
        "vendor": "host",
        "severity": "high",
        "text": "?",
        "by": "ada",
        "due_at": (BEGIN + timedelta(hours=4)).isoformat(),
    }
    incident = then(incident, now, Kind.VENDOR_ASKED, asked)
    told = [(one.text, one.overdue) for one in upcoming(incident, found, now)]
    assert told == [
        ("update u1 was due and waits for press", True),
        ("level 2 wakes Ben", False),
        ("level 3 wakes Cleo", False),
        ("Hosting has promised to answer by then", False),
    ]
    incident = then(incident, now, Kind.ACKNOWLEDGED, {"by": "ada"})
    assert not any("level" in one.text for one in upcoming(incident, found, now))


def test_late_vendors_wake_one_level_after_the_other() -> None:
    """The last one again and again, each time as a matter of its own."""
    found = policy(extra="vendors: [{id: host, title: Hosting}]\n")
    incident = then(declared(), BEGIN, Kind.ACKNOWLEDGED, {"by": "ada"})
    for n in range(4):
        asked = {"call": f"c{n}", "vendor": "host", "severity": "high", "text": "?", "by": "ada"}
        incident = then(incident, BEGIN, Kind.VENDOR_ASKED, asked)
        at = BEGIN + timedelta(seconds=1 + n)
        incident = then(incident, at, Kind.VENDOR_LATE, {"call": f"c{n}", "vendor": "host"})
    waves = [(w.cause, w.level) for w in live_waves(incident, found)]
    assert waves == [
        ("vendor-late c0", 2),
        ("vendor-late c1", 3),
        ("vendor-late c2", 3),
        ("vendor-late c3", 3),
    ]
    assert len(due_pages(incident, found, BEGIN + timedelta(minutes=1))) == 4
    for n in range(4):
        answer = {"call": f"c{n}", "vendor": "host", "by": "ada"}
        incident = then(incident, BEGIN + timedelta(seconds=9), Kind.VENDOR_ANSWERED, answer)
    assert live_waves(incident, found) == ()


def test_an_incident_that_is_over_wakes_nobody() -> None:
    """Whatever had not begun."""
    ended = then(declared(), BEGIN, Kind.RESOLVED, {"resolution": "fixed"})
    assert due_pages(ended, policy(), BEGIN + timedelta(hours=9)) == ()
