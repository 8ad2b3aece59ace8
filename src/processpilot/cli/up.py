"""`processpilot up`: the agent in the foreground, as a service manager wants it."""

from __future__ import annotations

import signal

from processpilot.agent.agent import Agent, Duties
from processpilot.cli.follow import Lines
from processpilot.cli.frame import DEFAULT_PLAN, JsonOption, PlanOption, note, opened


def up(plan: PlanOption = DEFAULT_PLAN, as_json: JsonOption = False) -> None:
    """Stream the log, keep the schedule, watch the probes, lead recoveries. Ends on SIGTERM."""
    with opened(plan, as_json=as_json) as wired:
        agent = Agent(wired, Duties(watch=True, schedule=True), Lines(as_json=as_json))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: agent.stop())
        with agent:
            note(f"processpilot protects {wired.address.shown}; stop it with SIGTERM")
            agent.serve()
        note("processpilot has stopped")
