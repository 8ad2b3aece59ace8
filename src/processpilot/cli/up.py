"""`processpilot up`: the agent in the foreground, as a service manager wants it."""

from __future__ import annotations

import signal
from contextlib import ExitStack

from processpilot.agent.agent import Agent, Duties
from processpilot.cli.follow import Lines
from processpilot.cli.frame import DEFAULT_PLAN, JsonOption, PlanOption, note, opened
from processpilot.web.links import link_maker
from processpilot.web.server import serve


def up(plan: PlanOption = DEFAULT_PLAN, as_json: JsonOption = False) -> None:
    """Stream the log, keep the schedule, watch the probes, lead recoveries. Ends on SIGTERM."""
    with opened(plan, as_json=as_json) as wired, ExitStack() as stack:
        duties = Duties(watch=True, schedule=True)
        agent = Agent(wired, duties, Lines(as_json=as_json), link_maker(wired.loaded, wired.clock))
        if wired.loaded.plan.web is not None:
            listener = stack.enter_context(serve(wired, agent.problems))
            at = listener.address
            said = listener.trouble if at is None else f"listens on {at[0]}:{at[1]}"
            note(f"processpilot {said}")
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: agent.stop())
        with agent:
            note(f"processpilot protects {wired.address.shown}; stop it with SIGTERM")
            agent.serve()
        note("processpilot has stopped")
