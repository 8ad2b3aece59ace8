"""Every action that needs neither the repository nor the log stream, by the name plans use."""

from __future__ import annotations

from collections.abc import Mapping

from processpilot.plan.act import ActionName
from processpilot.runbook.action import Action
from processpilot.steps.approval import Approve
from processpilot.steps.check import Check
from processpilot.steps.command import RunCommand
from processpilot.steps.database import DatabaseHealth, VerifyData
from processpilot.steps.drive import DriveComponent
from processpilot.steps.ground import StepGround
from processpilot.steps.http import SendRequest
from processpilot.steps.manual import AskPeople
from processpilot.steps.message import SendMessage
from processpilot.steps.release import ChangeRelease
from processpilot.steps.sql import ExecuteStatement
from processpilot.steps.switch import TurnSwitch
from processpilot.steps.wait import Wait


def general_actions(ground: StepGround) -> Mapping[str, Action]:
    """Return the actions by name."""
    switch = TurnSwitch(ground)
    return {
        "command": RunCommand(ground),
        "http": SendRequest(ground),
        "sql": ExecuteStatement(ground),
        "service": DriveComponent(ground),
        "check": Check(ground),
        "wait": Wait(ground),
        "message": SendMessage(ground),
        "manual": AskPeople(),
        "approval": Approve(),
        "release": ChangeRelease(ground),
        "maintenance": switch,
        "toggle": switch,
        ActionName.DATABASE_HEALTH: DatabaseHealth(ground),
        ActionName.VERIFY_DATA: VerifyData(ground),
    }
