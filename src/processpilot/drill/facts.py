"""What a verdict depends on: the plan's parts that matter, the people, the software.

A verdict given under other facts says nothing about today.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from processpilot import __version__
from processpilot.plan.model import Plan
from processpilot.plan.outside import Drill


@dataclass(frozen=True, slots=True)
class Facts:
    """Two digests of 16 hexadecimal digits and two versions; `postgresql` None is not known."""

    plan: str
    people: str
    postgresql: str | None
    processpilot: str

    def to_json(self) -> dict[str, str | None]:
        """Return the form kept in the journal."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Facts:
        """Return the facts kept as `data`."""
        return cls(
            str(data["plan"]), str(data["people"]), data["postgresql"], str(data["processpilot"])
        )

    def changes_since(self, before: Facts) -> Iterator[str]:
        """Yield what is different now, as people say it."""
        if self.plan != before.plan:
            yield "the plan changed"
        if self.people != before.people:
            yield "the team changed"
        if None not in (self.postgresql, before.postgresql) and (
            self.postgresql != before.postgresql
        ):
            yield f"PostgreSQL was {before.postgresql}, is {self.postgresql}"
        if self.processpilot != before.processpilot:
            yield f"ProcessPilot was {before.processpilot}, is {self.processpilot}"


def facts_of(plan: Plan, drill: Drill, postgresql: str | None) -> Facts:
    """Return today's facts for a drill; `postgresql` is the server's version, where known.

    Of the plan count the database, the repository, the components, the scenarios, what validates
    and the drill itself; titles of other parts, channels and vendors do not.
    """
    parts = {
        "database": plan.database,
        "repository": plan.repository,
        "components": list(plan.components),
        "scenarios": list(plan.scenarios),
        "validation": list(plan.validation),
        "drill": drill,
    }
    team = {"people": list(plan.team.people), "roles": list(plan.team.roles)}
    return Facts(_digest(parts), _digest(team), postgresql, __version__)


def _digest(parts: Mapping[str, Any]) -> str:
    plain = {name: _plain(part) for name, part in parts.items()}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain(part: Any) -> Any:
    return [_plain(one) for one in part] if isinstance(part, list) else part.model_dump(mode="json")
