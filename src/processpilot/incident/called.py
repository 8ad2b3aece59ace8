"""Whom an escalation level wakes. Pure.

"primary" and "secondary" stand for whoever is on call for the roles that the open steps need;
without a scenario, or where the steps need none, for every role. A role that a level names by
itself is woken by that level and by none of these words, unless nobody would be left to wake.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from processpilot.oncall.roster import OnCall, Roster, find_person
from processpilot.plan.model import Plan
from processpilot.plan.team import EscalationLevel, Role, Team
from processpilot.runbook.step import StepSpec

GENERIC = ("primary", "secondary")


@dataclass(frozen=True, slots=True)
class Reached:
    """Somebody to be told, and over which channels, in the order in which they are tried."""

    who: str
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """What decides whom a level means: when it begins, who took over which role, which are needed.

    `needed` are roles of steps that are not done yet; empty where nothing says.
    """

    at: datetime
    handed: Mapping[str, str]
    needed: frozenset[str] = frozenset()


def ordered_levels(team: Team) -> tuple[EscalationLevel, ...]:
    """Return the levels by their time; they are numbered from 1 in this order."""
    return tuple(sorted(team.escalation, key=lambda level: level.after_s))


def roles_of(steps: Collection[StepSpec]) -> frozenset[str]:
    """Return the roles that do steps or agree to them."""
    return frozenset(r for step in steps for r in (step.role, step.approval) if r is not None)


def people_of(
    level: EscalationLevel, plan: Plan, roster: Roster, moment: Moment
) -> tuple[Reached, ...]:
    """Return everybody a level wakes, each once; a word that means nobody stands for itself."""
    names = dict.fromkeys(
        name for word in level.page for name in (_meant(word, plan.team, roster, moment) or (word,))
    )
    return tuple(dict.fromkeys(reach(plan, name) for name in names))


def reach(plan: Plan, name: str) -> Reached:
    """Return how somebody is reached; one whom the plan does not list has no channel."""
    person = find_person(plan.team, name)
    return Reached(name, ()) if person is None else Reached(person.name, person.channels)


def named_roles(team: Team) -> frozenset[str]:
    """Return the roles that levels name, by id or title; a person's name wakes them alone."""
    words = {word for level in team.escalation for word in level.page}
    return frozenset(role.id for role in team.roles if words & {role.id, role.title})


def find_role(team: Team, word: str) -> Role | None:
    """Return the role of that id or title."""
    return next((role for role in team.roles if word in (role.id, role.title)), None)


def _meant(word: str, team: Team, roster: Roster, moment: Moment) -> tuple[str, ...]:
    """Return the people a word of the plan means; none where it means nobody."""
    if word in GENERIC:
        return tuple(_generic(word, team, roster, moment))
    role = find_role(team, word)
    if role is None:
        return (word,)
    found = roster.on_call(role.id, moment.at, moment.handed)
    name = found.primary or found.secondary
    return () if name is None else (name,)


def _generic(word: str, team: Team, roster: Roster, moment: Moment) -> Iterator[str]:
    """Yield whoever is on call as primary or secondary, of the narrowest set that has anybody."""
    everyone = frozenset(role.id for role in team.roles)
    needed = (moment.needed & everyone) or everyone
    named = named_roles(team)
    for chosen in (needed - named, everyone - named, needed):
        calls = [
            roster.on_call(role.id, moment.at, moment.handed)
            for role in team.roles
            if role.id in chosen
        ]
        names = [name for call in calls if (name := _seat(word, call)) is not None]
        if names:
            yield from names
            return


def _seat(word: str, call: OnCall) -> str | None:
    return call.primary if word == "primary" else call.secondary
