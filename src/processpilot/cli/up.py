"""`processpilot up`: the agent in the foreground, as a service manager wants it."""

from __future__ import annotations

import signal
from contextlib import ExitStack

from processpilot.agent.agent import Agent, Duties
from processpilot.cli.follow import Lines
from processpilot.cli.frame import DEFAULT_PLAN, JsonOption, PlanOption, note, opened
from processpilot.errors import ProcessPilotError
from processpilot.incident.duty import LinkFor, no_link
from processpilot.web.links import links_of
from processpilot.web.server import serve
from processpilot.wiring.wired import Wired


def up(plan: PlanOption = DEFAULT_PLAN, as_json: JsonOption = False) -> None:
    """Stream the log, keep the schedule, watch the probes, lead recoveries. Ends on SIGTERM."""
    with opened(plan, as_json=as_json) as wired, ExitStack() as stack:
        duties = Duties(watch=True, schedule=True)
        agent = Agent(wired, duties, Lines(as_json=as_json), _links(wired))
        if wired.loaded.plan.web is not None:
            listener = stack.enter_context(serve(wired))
            at = listener.address
            said = listener.trouble if at is None else f"listens on {at[0]}:{at[1]}"
            note(f"processpilot {said}")
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: agent.stop())
        with agent:
            note(f"processpilot protects {wired.address.shown}; stop it with SIGTERM")
            agent.serve()
        note("processpilot has stopped")


def _links(wired: Wired) -> LinkFor:
    """Return what signs the links in messages; none are sent where that cannot be done."""
    try:
        links = links_of(wired.loaded, wired.clock)
    except ProcessPilotError as error:
        note(f"processpilot sends no links: {error.message}")
        return no_link
    return no_link if links is None else links.link_for
