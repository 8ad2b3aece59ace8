"""Who is called when, and how."""

from __future__ import annotations

import pytest
from plan_text import load
from rich_plan import rich_text

from processpilot.book.contacts import calls, filled_roles, unreachable
from processpilot.plan.model import Plan


def rich() -> Plan:
    """Return the richest plan."""
    return load(rich_text()).plan


def test_calls_come_in_the_order_of_time_and_nobody_twice_in_one() -> None:
    """The earliest level is first; who has two reasons is named once with both."""
    levels = calls(rich())
    assert [level.after_s for level in levels] == [0, 1800, 3600]
    assert [who.name for _, who in levels[2].people] == ["Ada Łukasz", "Grace"]
    assert [who.name for _, who in levels[0].people] == ["Ada Łukasz", "Grace", "Nobody Reachable"]


def test_somebody_without_contact_is_reached_through_the_role() -> None:
    """The role's own telephone stands where the person has none."""
    (_, then, _) = calls(rich())
    reached = {who.name: who.ways for _, who in then.people}
    assert reached == {"Grace": ("+49 171 7654321",), "On call": ("+49 30 555 000",)}


def test_who_cannot_be_reached_is_named() -> None:
    """Neither a contact nor a role's: the book must say so."""
    assert unreachable(rich()) == ("Nobody Reachable",)


@pytest.mark.parametrize("stands_in", ["[PHONE]", "<number>", "TBD", "?", "n/a", "xxx-xxx"])
def test_a_placeholder_is_no_contact(stands_in: str) -> None:
    """It is printed as it stands, and whoever has nothing else cannot be reached."""
    text = rich_text().replace("+49 171 7654321", f'"{stands_in}"')
    assert "Grace" not in unreachable(load(text).plan), "the role's telephone is left"
    plan = load(text.replace("+49 30 555 000", f'"{stands_in}"')).plan
    assert unreachable(plan) == ("Grace", "On call", "Nobody Reachable")


def test_a_role_nobody_fills_says_so() -> None:
    """An empty place is None, not an empty name."""
    roles = {role.title: role for role in filled_roles(rich())}
    assert roles["Database Administrator"].secondary is None
    assert roles["Infrastructure Team"].shared == ("+49 30 555 000",)
