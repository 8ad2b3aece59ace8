"""Who may agree in the name of a role."""

from __future__ import annotations

import pytest

from processpilot.errors import RefusedError
from processpilot.plan.team import Person, Role, Team
from processpilot.runbook.authority import accounts_of, require_authority

TEAM = Team(
    people=(
        Person(name="Ada", accounts=("ada",)),
        Person(name="Bo", accounts=("bo", "root")),
        Person(name="Cy"),
    ),
    roles=(
        Role(id="both", title="Both", primary="Ada", secondary="Bo"),
        Role(id="open", title="Open", primary="Cy"),
        Role(id="empty", title="Empty"),
    ),
)


@pytest.mark.parametrize(
    ("role", "handed", "accounts"),
    [
        ("both", {}, {"Ada", "Bo", "ada", "bo", "root"}),
        ("open", {}, None),
        ("empty", {}, None),
        ("unheard-of", {}, None),
        ("both", {"both": "Ada"}, {"Ada", "ada"}),
        ("both", {"both": "Cy"}, {"Cy"}),
        ("both", {"both": "a stranger"}, {"a stranger"}),
        ("open", {"open": "Bo"}, {"Bo", "bo", "root"}),
        ("open", {"open": "a stranger"}, None),
        ("both", {"open": "Cy"}, {"Ada", "Bo", "ada", "bo", "root"}),
    ],
)
def test_a_role_s_accounts_are_those_of_whoever_has_it(
    role: str, handed: dict[str, str], accounts: set[str] | None
) -> None:
    """None where the plan does not say; what it says does not lapse when the role changes hands."""
    assert accounts_of(TEAM, handed, role) == accounts


def test_who_is_refused_is_told_whose_it_is() -> None:
    """And with whom the role is now, when it was handed over."""
    require_authority(TEAM, {}, "both", "root")
    require_authority(TEAM, {}, "open", "anybody")
    with pytest.raises(RefusedError, match="it is filled by Cy") as caught:
        require_authority(TEAM, {"both": "Cy"}, "both", "ada")
    assert "it is with Cy now" in str(caught.value.hint)
