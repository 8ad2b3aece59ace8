"""Who may agree in the name of a role, as far as the plan says.

The plan may list people with their accounts on the control host. Where it does for a role, only
those accounts agree for it; where it does not, anybody may, and the journal says who it was. A role
that was handed over belongs to whom it was handed to, listed or not.
"""

from __future__ import annotations

from collections.abc import Mapping

from processpilot.errors import RefusedError
from processpilot.plan.team import Team


def accounts_of(team: Team, handed: Mapping[str, str], role_id: str) -> frozenset[str] | None:
    """Return the accounts that may agree for a role; None when the plan does not say."""
    names = _seats(team, role_id)
    accounts = _of_people(team, names)
    if role_id not in handed:
        return accounts | names if accounts else None
    holder = frozenset({handed[role_id]})
    theirs = _of_people(team, holder)
    return theirs | holder if theirs or accounts else None


def _seats(team: Team, role_id: str) -> frozenset[str]:
    role = next((role for role in team.roles if role.id == role_id), None)
    filled = () if role is None else (role.primary, role.secondary)
    return frozenset(name for name in filled if name is not None)


def _of_people(team: Team, names: frozenset[str]) -> frozenset[str]:
    return frozenset(a for person in team.people if person.name in names for a in person.accounts)


def require_authority(team: Team, handed: Mapping[str, str], role_id: str, by: str) -> None:
    """Raise RefusedError when the plan says who may agree for a role, and it is somebody else."""
    accounts = accounts_of(team, handed, role_id)
    if accounts is None or by in accounts:
        return
    holder = handed.get(role_id)
    people = _seats(team, role_id) if holder is None else {holder}
    raise RefusedError(
        f"{by} does not fill the role {role_id}; it is filled by {', '.join(sorted(people))}",
        hint=f"Let one of them agree, or hand the role over: processpilot run hand-over {role_id} "
        f"--to NAME{'' if holder is None else f' (it is with {holder} now)'}",
    )
