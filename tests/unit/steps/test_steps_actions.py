"""Every kind of step that a plan can have is carried out by something."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from steps_ground import ground_at

from processpilot.plan.act import ActionName, BuiltInAct, UndoAct
from processpilot.plan.step import ActStep
from processpilot.steps.actions import general_actions


def names(union: Any) -> set[str]:
    """Return the actions that the members of a union name."""
    found = set()
    for member in get_args(union):
        if not issubclass(member, BuiltInAct):
            found |= set(get_args(member.model_fields["action"].annotation))
    return found


def test_every_kind_of_step_has_its_action(tmp_path: Path) -> None:
    """Besides those, two built-in ones that need no repository."""
    actions = general_actions(ground_at(tmp_path))
    built_in = {ActionName.DATABASE_HEALTH, ActionName.VERIFY_DATA}
    # Vendors are asked in an incident, so the wiring adds that one.
    assert set(actions) == (names(ActStep) - {"vendor"}) | built_in


def test_every_undo_has_its_action(tmp_path: Path) -> None:
    """An undo is an act like any other."""
    union, _ = get_args(UndoAct)
    assert names(union) <= set(general_actions(ground_at(tmp_path)))
