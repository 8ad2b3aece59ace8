"""Who may agree in the name of a role, as far as the plan says.

The plan may list people with their accounts on the control host. Where it does for a role, only
those accounts agree for it; where it does not, anybody may, and the journal says who it was. A role
that was handed over belongs to whom it was handed to.
"""

from __future__ import annotations

from collections.abc import Mapping

from processpilot.errors import RefusedError
from processpilot.plan.team import Team


def accounts_of(team: Team, handed: Mapping[str, str], role_id: str) -> frozenset[str] | None:
    """Return the accounts that may agree for a role; None when the plan does not say."""
    role = next((role for role in team.roles if role.id == role_id), None)
    names = [handed[role_id]] if role_id in handed else []
    if role is not None and not names:
        names = [name for name in (role.primary, role.secondary) if name is not None]
    people = [person for person in team.people if person.name in names]
    accounts = frozenset(account for person in people for account in person.accounts)
    return accounts | frozenset(names) if accounts else None


def require_authority(team: Team, handed: Mapping[str, str], role_id: str, by: str) -> None:
    """Raise RefusedError when the plan says who may agree for a role, and it is somebody else."""
    accounts = accounts_of(team, handed, role_id)
    if accounts is None or by in accounts:
        return
    holder = handed.get(role_id)
    raise RefusedError(
        f"{by} does not fill the role {role_id}; the plan names {', '.join(sorted(accounts))}",
        hint=f"Let one of them agree, or hand the role over: processpilot run hand-over {role_id} "
        f"--to NAME{'' if holder is None else f' (it is with {holder} now)'}",
    )
