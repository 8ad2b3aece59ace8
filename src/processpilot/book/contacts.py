"""Who fills which role, how they are reached, and who is called when."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from processpilot.plan.model import Plan
from processpilot.plan.team import Contact, EscalationLevel, Person, Role

_PLACEHOLDER = re.compile(r"\[.*\]|<.*>|\{.*\}|[-?.x_ ]*|tbd|todo|n/?a", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reached:
    """Somebody and the ways to reach them; without any there is nothing but the name."""

    name: str
    ways: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FilledRole:
    """A role, who fills it, and the contact of the role itself."""

    title: str
    duties: tuple[str, ...]
    primary: Reached | None
    secondary: Reached | None
    shared: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """Who is called once an incident is that old, each with the roles that are the reason."""

    after_s: float
    title: str
    people: tuple[tuple[str, Reached], ...]


def filled_roles(plan: Plan) -> tuple[FilledRole, ...]:
    """Return the roles in the order of the plan."""
    return tuple(
        FilledRole(
            role.title,
            role.duties,
            _reached(plan, role.primary),
            _reached(plan, role.secondary),
            ways(role.contact),
        )
        for role in plan.team.roles
    )


def calls(plan: Plan) -> tuple[Call, ...]:
    """Return who is called when, earliest first; nobody twice in one level."""
    levels = sorted(plan.team.escalation, key=lambda level: level.after_s)
    return tuple(Call(v.after_s, v.title, tuple(_called(plan, v))) for v in levels)


def unreachable(plan: Plan) -> tuple[str, ...]:
    """Return the names that a role gives and that nobody can reach: placeholders are no contact."""
    names = (n for role in plan.team.roles for n in (role.primary, role.secondary) if n)
    found = dict.fromkeys(names)
    return tuple(n for n in found if all(map(_stands_in, _reached_in(plan, n).ways)))


def ways(contact: Contact | None) -> tuple[str, ...]:
    """Return phone, mail and chat as they stand in the plan."""
    if contact is None:
        return ()
    return tuple(way for way in (contact.phone, contact.email, contact.chat) if way)


def _called(plan: Plan, level: EscalationLevel) -> Iterator[tuple[str, Reached]]:
    reasons: dict[str, dict[str, None]] = {}
    for title, name in _names(plan, level.page):
        if name is not None:
            reasons.setdefault(name, {})[title] = None
    for name, titles in reasons.items():
        yield ", ".join(titles), _reached_in(plan, name)


def _names(plan: Plan, page: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    roles = plan.team.roles
    for word in page:
        role = next((r for r in roles if r.id == word), None)
        if word == "primary":
            yield from ((r.title, r.primary) for r in roles)
        elif word == "secondary":
            yield from ((r.title, r.secondary) for r in roles)
        elif role is not None:
            yield from ((role.title, name) for name in (role.primary, role.secondary))
        else:
            yield _titles(roles, word), word


def _titles(roles: Sequence[Role], name: str) -> str:
    return ", ".join(r.title for r in roles if name in (r.primary, r.secondary)) or "by name"


def _reached(plan: Plan, name: str | None) -> Reached | None:
    return None if name is None else Reached(name, _person_ways(plan, name))


def _reached_in(plan: Plan, name: str) -> Reached:
    own = _person_ways(plan, name)
    return Reached(name, _through_role(plan, name) or own if all(map(_stands_in, own)) else own)


def _person_ways(plan: Plan, name: str) -> tuple[str, ...]:
    person: Person | None = next((p for p in plan.team.people if p.name == name), None)
    return ways(person)


def _stands_in(way: str) -> bool:
    """Return whether a contact is only a place for one, such as [PHONE]."""
    return _PLACEHOLDER.fullmatch(way.strip()) is not None


def _through_role(plan: Plan, name: str) -> tuple[str, ...]:
    held = (r for r in plan.team.roles if name in (r.primary, r.secondary))
    return tuple(dict.fromkeys(way for role in held for way in ways(role.contact)))
