"""The drills that every plan has when it names none: the two of the runbook we started from."""

from __future__ import annotations

from collections.abc import Iterable

from processpilot.errors import NotFoundError
from processpilot.plan.model import Plan
from processpilot.plan.outside import Drill, DrillKind

_MONTHLY = "30d"

IMPLIED = (
    Drill.model_validate(
        {
            "id": "restore",
            "title": "Newest backup restored, its data proven",
            "kind": DrillKind.RESTORE,
            "every": _MONTHLY,
        }
    ),
    Drill.model_validate(
        {
            "id": "complete",
            "title": "Complete system: database, application, checks",
            "kind": DrillKind.COMPLETE,
            "every": _MONTHLY,
        }
    ),
)


def drills_of(plan: Plan) -> tuple[Drill, ...]:
    """Return the plan's drills, or the implied ones."""
    return plan.drills or IMPLIED


def find_drill(drills: Iterable[Drill], drill_id: str) -> Drill:
    """Return a drill by its id; NotFoundError names those there are."""
    known = {drill.id: drill for drill in drills}
    if drill_id not in known:
        names = ", ".join(known) or "none"
        raise NotFoundError(f'the plan has no drill "{drill_id}"; it has: {names}')
    return known[drill_id]
