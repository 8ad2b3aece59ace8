"""Which roles a step calls for: by name, for an approval, or in its words."""

from __future__ import annotations

import re

from processpilot.feasibility.study import Placed, Study
from processpilot.feasibility.texts import texts_of
from processpilot.plan.team import Role


def roles_called(study: Study, placed: Placed) -> tuple[str, ...]:
    """Return the ids of the roles that a step needs, in the order of the team."""
    step = placed.step
    named = {step.role, getattr(step, "approval", None)}
    words = "\n".join(texts_of(step))
    return tuple(
        role.id for role in study.plan.team.roles if role.id in named or mentions(words, role)
    )


def mentions(words: str, role: Role) -> bool:
    """Return whether a text names a role by its title or id."""
    names = {role.title, role.id, role.id.replace("-", " ")}
    return any(
        re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", words, re.IGNORECASE) for name in names
    )
