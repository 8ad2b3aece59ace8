"""People: whether each role is filled, by whom at once, and whether they can be reached."""

from __future__ import annotations

from collections.abc import Iterator

from processpilot.feasibility.calls import roles_called
from processpilot.feasibility.figures import minutes
from processpilot.feasibility.finding import Remark, Severity
from processpilot.feasibility.placeholders import is_placeholder
from processpilot.feasibility.study import Study
from processpilot.plan.model import Autonomy
from processpilot.plan.step import Group, every_step
from processpilot.plan.team import Contact, Role

_KINDS = ("phone", "email", "chat")


def remarks(study: Study) -> Iterator[Remark]:
    """Yield what is wrong with roles, persons and contacts."""
    for n, role in enumerate(study.plan.team.roles):
        yield from _filled(f"team.roles[{n}]", role)
    yield from _two_roles(study)
    yield from _approvals(study)
    yield from _contacts(study)
    yield from _reachable(study)


def _filled(place: str, role: Role) -> Iterator[Remark]:
    if role.primary is None and role.secondary is None:
        yield Remark(
            "role-unfilled",
            place,
            f"nobody fills the role {role.id}",
            "primary: nobody, secondary: nobody",
            "Name a primary and a secondary.",
        )
    elif role.primary is None or role.secondary is None:
        yield Remark(
            "no-deputy",
            place,
            f"only {role.primary or role.secondary} fills the role {role.id}",
            "1 person: what only that person knows or holds is gone when they are",
            "Name a second person, and give them the same keys.",
        )
    elif role.primary == role.secondary:
        yield Remark(
            "own-deputy",
            f"{place}.secondary",
            f"{role.primary} is primary and secondary of {role.id}",
            "2 names, 1 person",
            "Name somebody else as secondary.",
        )


def _two_roles(study: Study) -> Iterator[Remark]:
    roles = study.plan.team.roles
    for n, role in enumerate(roles):
        for other in roles[:n]:
            if role.primary is not None and role.primary == other.primary:
                yield _primary_twice(study, n, role, other)
        busy = [o.id for o in roles if o is not role and o.primary == role.secondary]
        if role.secondary is not None and busy and role.secondary != role.primary:
            yield Remark(
                "deputy-busy",
                f"team.roles[{n}].secondary",
                f"{role.secondary}, the secondary of {role.id}, is the primary of {busy[0]}",
                f"{1 + len(busy)} roles, 1 person",
                "Name a secondary who has no other role.",
            )


def _primary_twice(study: Study, n: int, role: Role, other: Role) -> Remark:
    pair = {role.id, other.id}
    side_by_side = _side_by_side(study, pair)
    both = [
        scenario.id
        for scenario in study.plan.scenarios
        if pair
        <= {name for placed in study.acts_of(scenario) for name in roles_called(study, placed)}
    ]
    needs = [
        *(f"side by side in {name}" for name in side_by_side),
        *(f"both in {name}" for name in both),
        *(
            f"woken together at {minutes(level.after_s)}"
            for level in study.plan.team.escalation
            if "primary" in level.page or pair <= set(level.page)
        ),
    ]
    why = f": {'; '.join(needs)}" if needs else ""
    return Remark(
        "two-roles",
        f"team.roles[{n}].primary",
        f"{role.primary} is the primary of both {other.id} and {role.id}",
        f"2 roles, 1 person{why}",
        f"Name another primary for {role.id}"
        + (f", for example its secondary, {role.secondary}." if role.secondary else "."),
        Severity.ERROR if side_by_side else None,
    )


def _side_by_side(study: Study, pair: set[str]) -> list[str]:
    """Return the parallel groups whose branches need both roles."""
    found = []
    for placed in study.steps:
        if isinstance(placed.step, Group) and placed.step.action == "parallel":
            branches = [
                {s.role for s in every_step([branch])} & pair for branch in placed.step.steps
            ]
            if len(set().union(*branches)) == 2 and sum(bool(b) for b in branches) > 1:
                found.append(placed.step.id)
    return found


def _approvals(study: Study) -> Iterator[Remark]:
    roles = {role.id: role for role in study.plan.team.roles}
    for placed in study.steps:
        name = getattr(placed.step, "approval", None)
        if name is not None and roles[name].primary is None and roles[name].secondary is None:
            yield Remark(
                "approval-by-nobody",
                f"{placed.place}.approval",
                f"step {placed.step.id} waits for {name}, which nobody fills",
                "0 persons can agree",
                f"Name who fills {name}, or another role for the approval.",
            )


def _contacts(study: Study) -> Iterator[Remark]:
    team = study.plan.team
    named: list[tuple[str, str, Contact | None]] = [
        *((f"team.people[{n}]", p.name, p) for n, p in enumerate(team.people)),
        *((f"team.roles[{n}].contact", r.id, r.contact) for n, r in enumerate(team.roles)),
        *((f"vendors[{n}]", v.title, v) for n, v in enumerate(study.plan.vendors)),
    ]
    for place, name, contact in named:
        values = {k: v for k in _KINDS if (v := getattr(contact, k, None)) is not None}
        left = {kind: value for kind, value in values.items() if is_placeholder(value)}
        if left:
            shown = ", ".join(f"{kind} {value}" for kind, value in left.items())
            yield Remark(
                "placeholder-contact",
                f"{place}.{next(iter(left))}",
                f"{name} has {'a placeholder' if len(left) == 1 else 'placeholders'} for a contact",
                f"{shown}: {len(left)} of {len(values)} contacts",
                "Fill it in, and call it once to see that it is right.",
            )
    for n, vendor in enumerate(study.plan.vendors):
        if is_placeholder(vendor.note):
            yield Remark(
                "placeholder-contact",
                f"vendors[{n}].note",
                f"{vendor.title} has a placeholder for a contact",
                vendor.note,
                "Fill in how their support is reached, and the contract's number.",
            )
        elif not any(getattr(vendor, kind) for kind in _KINDS) and not vendor.note:
            yield _no_contact(f"vendors[{n}]", vendor.title)
    for n, role in enumerate(team.roles):
        if role.primary is not None and not contacts_of(study, role):
            yield _no_contact(f"team.roles[{n}]", f"{role.primary} ({role.id})")


def _no_contact(place: str, name: str) -> Remark:
    return Remark(
        "contact-missing",
        place,
        f"nothing says how {name} is reached",
        "0 of phone, email, chat",
        "Give a phone number that works when the company's own systems do not.",
    )


def contacts_of(study: Study, role: Role) -> list[str]:
    """Return every contact written down for a role or for those who fill it."""
    people = [p for p in study.plan.team.people if p.name in (role.primary, role.secondary)]
    every = [*people, *([] if role.contact is None else [role.contact])]
    return [v for contact in every for kind in _KINDS if (v := getattr(contact, kind))]


def _reachable(study: Study) -> Iterator[Remark]:
    team = study.plan.team
    values = [v for role in team.roles for v in contacts_of(study, role)]
    values += [v for p in team.people for kind in _KINDS if (v := getattr(p, kind))]
    real = [value for value in values if not is_placeholder(value)]
    if real or study.plan.channels:
        return
    waits = study.plan.autonomy is Autonomy.APPROVE
    yield Remark(
        "nobody-reachable",
        "team",
        "nobody can be reached, and recovery waits for a person (autonomy: approve)"
        if waits
        else "nobody can be reached",
        f"{len(real)} of {len(values)} contacts are real, {len(study.plan.channels)} channels",
        "Add a channel and real contacts.",
    )
