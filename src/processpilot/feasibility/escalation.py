"""Escalation: whether each role is woken before the steps call for it.

A level that names a role, or a person who fills it, wakes it. "primary" and "secondary" stand for
whoever is on call: they wake a role only if no level names it.
"""

from __future__ import annotations

from collections.abc import Iterator

from processpilot.feasibility.calls import roles_called
from processpilot.feasibility.figures import minutes
from processpilot.feasibility.finding import Remark, Severity
from processpilot.feasibility.path import Reach
from processpilot.feasibility.study import Placed, Study
from processpilot.plan.team import EscalationLevel, Role, Team


def remarks(study: Study) -> Iterator[Remark]:
    """Yield roles woken too late or never, and levels that wake nobody."""
    team = study.plan.team
    if not team.escalation:
        yield Remark(
            "no-escalation",
            "team",
            "no escalation level says who is woken when",
            f"{len(team.roles)} roles, 0 levels",
            "Add team.escalation: [{after: 0, page: [primary]}, {after: 15m, page: [secondary]}].",
        )
        return
    for n, level in enumerate(team.escalation):
        yield from _wakes_somebody(f"team.escalation[{n}]", level, team)
    late: set[tuple[str, str]] = set()
    never: set[str] = set()
    for scenario in study.plan.scenarios:
        for reach in study.timelines[scenario.id].reaches:
            placed = Placed(reach.place, scenario.id, reach.step, scenario, runs=True)
            for role_id in roles_called(study, placed):
                role = next(r for r in team.roles if r.id == role_id)
                woken = woken_by(team, role)
                if woken is None:
                    if role_id not in never:
                        never.add(role_id)
                        yield _never(reach, role)
                elif woken[1].after_s > reach.begin.seconds and (role_id, scenario.id) not in late:
                    late.add((role_id, scenario.id))
                    yield _late(scenario.id, reach, role, *woken)


def woken_by(team: Team, role: Role) -> tuple[int, EscalationLevel] | None:
    """Return the number and the level that wakes a role first, or None."""
    levels = sorted(enumerate(team.escalation), key=lambda pair: pair[1].after_s)
    people = {role.primary, role.secondary} - {None}
    for n, level in levels:
        if {role.id, role.title} & set(level.page) or people & set(level.page):
            return n, level
    for n, level in levels:
        if ("primary" in level.page and role.primary) or (
            "secondary" in level.page and role.secondary
        ):
            return n, level
    return None


def _late(scenario: str, reach: Reach, role: Role, n: int, level: EscalationLevel) -> Remark:
    begin_s, end_s = reach.begin.seconds, reach.end.seconds
    when = f"minutes {begin_s / 60:g} to {end_s / 60:g}"
    after = minutes(level.after_s)
    ends_first = not reach.end.unknown and end_s <= level.after_s
    return Remark(
        "called-before-woken",
        reach.place,
        f"{scenario}: step {reach.step.id} calls {role.id}, whom level {n + 1} wakes later",
        f"called in {when}, woken {after} after the beginning (level {n + 1}), and only if nobody "
        f"has acknowledged by then: {minutes(level.after_s - begin_s)} too late",
        f"Name {role.id} in a level at {minutes(begin_s)}, or let another role do this step.",
        Severity.ERROR if ends_first else None,
    )


def _never(reach: Reach, role: Role) -> Remark:
    return Remark(
        "never-woken",
        reach.place,
        f"step {reach.step.id} needs {role.id}, whom no escalation level wakes",
        "0 levels page the role, its people, or a primary or secondary it has",
        f"Name {role.id} in one of team.escalation.",
    )


def _wakes_somebody(place: str, level: EscalationLevel, team: Team) -> Iterator[Remark]:
    people = {p.name for p in team.people}
    people |= {name for r in team.roles for name in (r.primary, r.secondary) if name}
    roles = {name for r in team.roles if r.primary or r.secondary for name in (r.id, r.title)}
    for m, name in enumerate(level.page):
        generic = (name == "primary" and any(r.primary for r in team.roles)) or (
            name == "secondary" and any(r.secondary for r in team.roles)
        )
        if not generic and name not in people | roles:
            yield Remark(
                "level-wakes-nobody",
                f"{place}.page[{m}]",
                f'level {level.title or minutes(level.after_s)} wakes "{name}", who is nobody here',
                f"{len(team.roles)} roles and {len(people)} persons, none of that name filled",
                "Name a role that somebody fills, or a person of the team.",
            )
