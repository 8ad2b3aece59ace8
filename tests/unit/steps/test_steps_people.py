"""Steps that are about people: messages, instructions, approvals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from message_receivers import http_receiver
from plain_server import closed_port
from steps_ground import context_of, ground_at, plan_at

from processpilot.errors import RefusedError
from processpilot.runbook.action import CannotTell, NotHappened
from processpilot.steps.approval import Approve
from processpilot.steps.manual import AskPeople
from processpilot.steps.message import SendMessage

CHANNELS = """
channels:
  - {id: team, url: "file:team"}
  - {id: status, url: "file:status"}
"""


def say(folder: Path, port: int, **more: object) -> dict[str, Any]:
    """Return what a message over the channel `team` at a port, and the dead `status`, gives."""
    for name, address in (("team", port), ("status", closed_port())):
        (folder / name).write_text(f"json://127.0.0.1:{address}/t0ken")
        (folder / name).chmod(0o600)
    settings = {"action": "message", "text": "The database is back.", **more}
    action = SendMessage(ground_at(folder, plan=plan_at(folder, CHANNELS)))
    assert action.probe(context_of(settings)) == NotHappened()
    return dict(action.execute(context_of(settings)))


def test_a_message_goes_over_all_channels(tmp_path: Path) -> None:
    """What did not arrive is named, and fails nothing."""
    with http_receiver() as receiver:
        result = say(tmp_path, receiver.port)
    assert (result["delivered"], result["undelivered"]) == (1, ["status"])
    team, status = result["deliveries"]
    assert (team["channel"], team["delivered"]) == ("team", True)
    assert not status["delivered"] and status["detail"]
    assert "t0ken" not in str(result)
    (body,) = receiver.bodies
    assert (body["title"], body["message"]) == ("shop: Work", "The database is back.")


def test_a_step_may_name_its_channels_and_subject(tmp_path: Path) -> None:
    """Only those hear of it."""
    with http_receiver() as receiver:
        result = say(tmp_path, receiver.port, channels=["team"], subject="Good news")
    assert (result["delivered"], result["undelivered"]) == (1, [])
    assert receiver.bodies[0]["title"] == "Good news"


def test_without_channels_nobody_is_told_and_nothing_fails(tmp_path: Path) -> None:
    """The result says that nothing was delivered."""
    settings = {"action": "message", "text": "x"}
    result = SendMessage(ground_at(tmp_path)).execute(context_of(settings))
    assert (result["delivered"], result["undelivered"]) == (0, [])


def test_what_people_do_is_never_carried_out_here() -> None:
    """And only they know whether it happened."""
    context = context_of({"action": "manual", "instruction": "Call the vendor"})
    assert AskPeople().probe(context) == CannotTell()
    with pytest.raises(RefusedError):
        AskPeople().execute(context)


def test_an_approval_does_nothing() -> None:
    """The run did the waiting."""
    context = context_of({"action": "approval"})
    assert Approve().probe(context) == NotHappened()
    assert Approve().execute(context) == {}
