"""Maintenance mode and feature toggles as steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from steps_ground import context_of, ground_at, plan_at

from processpilot.errors import RefusedError
from processpilot.runbook.action import Happened, NotHappened
from processpilot.steps.switch import TurnSwitch

SWITCHES = """
maintenance: {kind: file, path: maintenance.flag, text: "back soon"}
toggles:
  - id: reports
    title: Reports
    switch: {kind: command, "on": [touch, reports], "off": [rm, -f, reports]}
"""


def action(folder: Path, more: str = SWITCHES) -> TurnSwitch:
    """Return what turns the switches of the plan in `folder`."""
    return TurnSwitch(ground_at(folder, plan=plan_at(folder, more)))


def maintenance(mode: str) -> Any:
    """Return a step that turns maintenance mode."""
    return context_of({"action": "maintenance", "mode": mode})


def test_maintenance_mode_is_turned_on_and_off(tmp_path: Path) -> None:
    """How it stood before is told; turning it again changes nothing."""
    flag = tmp_path / "maintenance.flag"
    execute = action(tmp_path).execute
    assert execute(maintenance("on")) == {"switch": "maintenance mode", "before": False, "on": True}
    assert flag.read_text() == "back soon"
    assert execute(maintenance("on"))["before"] is True
    assert execute(maintenance("off"))["on"] is False
    assert not flag.exists()


def test_after_a_crash_the_switch_itself_is_asked(tmp_path: Path) -> None:
    """It knows whether it was turned."""
    probe = action(tmp_path).probe
    assert probe(maintenance("on")) == NotHappened()
    (tmp_path / "maintenance.flag").touch()
    assert probe(maintenance("on")) == Happened({"switch": "maintenance mode", "on": True})
    assert probe(maintenance("off")) == NotHappened()


def test_a_toggle_that_cannot_be_asked_is_turned_again(tmp_path: Path) -> None:
    """And nothing is claimed of how it stands."""
    context = context_of({"action": "toggle", "toggle": "reports", "state": "on"})
    assert action(tmp_path).execute(context) == {"switch": "Reports", "before": None, "on": None}
    assert (tmp_path / "reports").exists()
    assert action(tmp_path).probe(context) == NotHappened()


def test_a_plan_without_maintenance_mode_is_told(tmp_path: Path) -> None:
    """With what to add."""
    with pytest.raises(RefusedError):
        action(tmp_path, "").execute(maintenance("on"))
