"""A component that two or three commands start, stop and ask after.

For what has no supervisor, or one without a driver here. Nothing in such a pair of commands can
prevent a start by somebody else, so `holds` is false and `hold()` only stops.

The status command answers by exit code, as LSB init scripts do (Linux Standard Base 5.0, Core,
"Init Script Actions"; `pg_ctl status` agrees): 0 running, 1 and 2 dead but with its traces left, 3
not running. Anything else is unknown. Without a status command the state is always unknown, and
the exit codes of start and stop are all there is.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

from processpilot.clock import Clock, SystemClock
from processpilot.errors import UnavailableError, UsageError
from processpilot.services.argv import Outcome, run_argv, said
from processpilot.services.driver import ServiceState, ServiceStatus

POLL_S = 0.1

_STATE_OF_EXIT_CODE = {
    0: ServiceState.RUNNING,
    1: ServiceState.FAILED,
    2: ServiceState.FAILED,
    3: ServiceState.STOPPED,
}
_DOWN = (ServiceState.STOPPED, ServiceState.FAILED)


class CommandDriver:
    """One component behind `start`, `stop` and, when there is one, `status` argument lists.

    The start command may leave a daemon behind; it must itself end. `timeout_s` bounds each
    command, and the wait for the state that should follow it.
    """

    holds = False

    def __init__(
        self,
        start: Sequence[str],
        stop: Sequence[str],
        status: Sequence[str] | None,
        *,
        timeout_s: float,
        clock: Clock = SystemClock(),
    ) -> None:
        for role, argv in (("start", start), ("stop", stop), ("status", status)):
            if argv is not None and (isinstance(argv, str) or not argv or not argv[0]):
                raise UsageError(f"{role} command {argv!r} is not a list of program and arguments")
        self.name = shlex.join(start)
        self._start = tuple(start)
        self._stop = tuple(stop)
        self._status = None if status is None else tuple(status)
        self._timeout_s = timeout_s
        self._clock = clock

    def status(self) -> ServiceStatus:
        """Return what the status command says; `pid` is never known."""
        if self._status is None:
            return ServiceStatus(ServiceState.UNKNOWN, "no status command is given", None)
        outcome = self._run(self._status)
        state = _STATE_OF_EXIT_CODE.get(outcome.exit_code, ServiceState.UNKNOWN)
        return ServiceStatus(state, f"exit code {outcome.exit_code}{said(outcome.tail)}", None)

    def start(self) -> None:
        """Return when the start command succeeded and the status command, if any, says running."""
        if self.status().state is ServiceState.RUNNING:
            return
        outcome = self._succeed(self._start)
        self._await(lambda state: state is ServiceState.RUNNING, self._start, outcome)

    def stop(self) -> None:
        """Return when the stop command succeeded and the status command, if any, says it is down.

        Without a status command the stop command always runs, and must succeed also when there is
        nothing to stop.
        """
        if self.status().state is ServiceState.STOPPED:
            return
        outcome = self._succeed(self._stop)
        self._await(lambda state: state in _DOWN, self._stop, outcome)

    def hold(self) -> None:
        """Stop the component; nothing prevents a start by others (`holds` is false)."""
        self.stop()

    def release(self) -> None:
        """Do nothing: there is no hold to end."""

    def _await(
        self, wanted: Callable[[ServiceState], bool], argv: Sequence[str], outcome: Outcome
    ) -> None:
        """Return when the status command gives a `wanted` state."""
        if self._status is None:
            return
        deadline = self._clock.monotonic() + self._timeout_s
        while not wanted((status := self.status()).state):
            if self._clock.monotonic() >= deadline:
                raise UnavailableError(
                    f"{shlex.join(argv)} succeeded, but after {self._timeout_s:g} s the component"
                    f" is {status.state} ({status.detail}){said(outcome.tail)}",
                    hint=f"Run `{shlex.join(self._status)}` to see its state.",
                    transient=True,
                )
            self._clock.sleep(POLL_S)

    def _succeed(self, argv: Sequence[str]) -> Outcome:
        outcome = self._run(argv)
        if outcome.exit_code != 0:
            raise UnavailableError(
                f"{shlex.join(argv)} ended with exit code {outcome.exit_code}{said(outcome.tail)}",
                hint=f"Run `{shlex.join(argv)}` by hand to see why.",
            )
        return outcome

    def _run(self, argv: Sequence[str]) -> Outcome:
        return run_argv(
            argv,
            timeout_s=self._timeout_s,
            missing_hint="Correct the component's commands in the plan, or install the program.",
            clock=self._clock,
        )
