"""People and escalation: who is needed when, and who is woken."""

from __future__ import annotations

from feasibility_plans import findings, of_code, small

ROLES = """\
  roles:
    - {id: commander, title: Incident Commander, primary: Ada, secondary: Ben}
    - {id: dba, title: Database Administrator, primary: Cid, secondary: Dan}
"""


def team(escalation: str = "", roles: str = ROLES) -> str:
    """Return a team with these levels."""
    return f"team:\n{roles}" + (f"  escalation: [{escalation}]\n" if escalation else "")


def step(more: str, id_: str = "a", minutes: int = 15) -> str:
    """Return a manual step."""
    return f"- {{id: {id_}, title: T, action: manual, timebox: {minutes}m, {more}}}\n"


CALL = step("instruction: Notify incident commander")
ON_CALL = "{after: 0, page: [primary]}"


def late(escalation: str, steps: str = CALL) -> list[str]:
    """Return the severities of what is called too early."""
    found = findings(small(steps, rest=team(escalation)))
    return [str(f.severity) for f in of_code(found, "called-before-woken")]


def test_a_role_that_a_level_names_is_not_the_one_on_call() -> None:
    """Level 1 wakes whoever is on call; the commander comes at 60 minutes, as it says."""
    assert late(f"{ON_CALL}, {{after: 60m, page: [commander]}}") == ["error"]
    assert late(ON_CALL) == []


def test_a_role_is_woken_through_its_people() -> None:
    """By the name of its primary or secondary, too."""
    assert late("{after: 0, page: [Ben]}, {after: 60m, page: [commander]}") == []


def test_woken_while_the_step_lasts_is_milder() -> None:
    """10 of 15 minutes pass; the rest can still be done."""
    assert late("{after: 10m, page: [commander]}") == ["warning"]


def test_a_later_step_may_call_a_role_that_is_woken_by_then() -> None:
    """Minutes count from the beginning of the scenario."""
    steps = step("note: x", "first", 60) + step("role: commander", "second")
    assert late("{after: 60m, page: [commander]}", steps) == []
    assert late("{after: 61m, page: [commander]}", steps) == ["warning"]


def test_a_word_that_only_begins_like_a_role_calls_nobody() -> None:
    """Titles and ids count as whole words."""
    assert late("{after: 60m, page: [commander]}", step("instruction: Ask commanders")) == []


def two_roles(steps: str) -> list[tuple[str, str]]:
    """Return severity and arithmetic of one person in two roles."""
    found = findings(small(steps, rest=team(roles=ROLES.replace("Cid", "Ada"))))
    return [(str(f.severity), f.arithmetic) for f in of_code(found, "two-roles")]


def test_one_person_in_two_roles_that_one_scenario_needs() -> None:
    """The scenario is named."""
    steps = step("role: commander", "one") + step("role: dba", "two")
    assert two_roles(steps) == [("warning", "2 roles, 1 person: both in failure")]


def test_one_person_side_by_side_with_themselves_cannot_hold() -> None:
    """In different branches of one parallel group; one after the other in one branch is fine."""
    both = step("role: commander", "one") + step("role: dba", "two")
    indented = "".join(f"    {line}\n" for line in both.splitlines())
    group = "- id: group\n  title: G\n  action: parallel\n  steps:\n" + indented
    assert two_roles(group)[0][0] == "error"
    assert two_roles(group.replace("parallel", "sequence"))[0][0] == "warning"


def test_contacts_of_a_role_or_of_its_people_count() -> None:
    """Somebody is reached either way."""
    roles = ROLES.replace(
        "secondary: Ben}", 'secondary: Ben, contact: {phone: "+41 44 668 18 00"}}'
    )
    people = "  people: [{name: Dan, email: dan@shop.test}]\n"
    found = findings(small(CALL, rest=team(roles=people + roles)))
    assert not of_code(found, "contact-missing")
    assert not of_code(found, "nobody-reachable")
