"""A component that systemd runs as a unit, driven through `systemctl`.

`hold()` stops the unit, then masks it until the next boot (`systemctl mask --runtime`), so that
neither Restart=, a socket, a timer, a dependency nor a person starts it. The stop comes first
because masking takes away the unit's own ExecStop= and KillSignal=. systemd.unit(5) gives
/etc/systemd/system precedence over /run/systemd/system, where a runtime mask lives: a unit whose
file is in /etc cannot be masked this way, and `hold()` then fails rather than pretend.

The hold survives `systemctl daemon-reload` and not a reboot.
"""

from __future__ import annotations

from dataclasses import dataclass

from processpilot.clock import Clock, SystemClock
from processpilot.errors import NotFoundError, UnavailableError, UsageError
from processpilot.services.argv import Outcome, run_argv, said
from processpilot.services.driver import ServiceState, ServiceStatus

POLL_S = 0.2

_PROPERTIES = ("LoadState", "ActiveState", "SubState", "MainPID", "Result")


@dataclass(frozen=True, slots=True)
class UnitState:
    """The properties of a unit that decide, in systemd's words; `result` is of its last run."""

    load: str
    active: str
    sub: str
    result: str
    main_pid: int | None

    @property
    def is_down(self) -> bool:
        """Whether no process runs and no restart is pending (that would be `activating`)."""
        return self.active in ("inactive", "failed")

    @property
    def words(self) -> str:
        """What a message says of the unit."""
        outcome = "" if self.result in ("", "success") else f", result {self.result}"
        return f"{self.active} ({self.sub}){outcome}"

    def to_status(self) -> ServiceStatus:
        """Return the state in the contract's words; a pending restart is `unknown`."""
        state = {
            "active": ServiceState.RUNNING,
            "reloading": ServiceState.RUNNING,
            "inactive": ServiceState.STOPPED,
            "failed": ServiceState.FAILED,
        }.get(self.active, ServiceState.UNKNOWN)
        if state is ServiceState.RUNNING and self.sub == "exited":
            state = ServiceState.UNKNOWN
        return ServiceStatus(state, self.words, self.main_pid)


def parse_show(text: str) -> UnitState:
    """Return the unit described by the output of `systemctl show`, one `Name=value` per line.

    Raises UnavailableError when ActiveState is missing or MainPID is not a number.
    """
    pairs = (line.partition("=") for line in text.splitlines())
    fields = {name: value for name, separator, value in pairs if separator}
    active = fields.get("ActiveState", "")
    main_pid = fields.get("MainPID", "") or "0"
    if not active or not (main_pid.isascii() and main_pid.isdigit()):
        raise UnavailableError(f"systemctl show answered {text!r} without ActiveState or a MainPID")
    return UnitState(
        load=fields.get("LoadState", ""),
        active=active,
        sub=fields.get("SubState", ""),
        result=fields.get("Result", ""),
        main_pid=int(main_pid) or None,
    )


class SystemdDriver:
    """One unit of the system's systemd, or of the calling user's when `user` is true.

    A name without a suffix means a service. `timeout_s` bounds every `systemctl` call.
    """

    holds = True

    def __init__(
        self, unit: str, *, timeout_s: float, user: bool = False, clock: Clock = SystemClock()
    ) -> None:
        if not unit or unit.startswith("-") or any(letter in unit for letter in "/*?[ \n"):
            raise UsageError(f"systemd unit {unit!r} does not name one unit")
        self.name = unit if "." in unit else f"{unit}.service"
        self._base = ("systemctl", "--no-pager", "--no-ask-password", *(("--user",) * user))
        self._timeout_s = timeout_s
        self._clock = clock

    def status(self) -> ServiceStatus:
        """Return the unit's state; while starting, stopping or about to restart, `unknown`.

        A one-shot unit that has done its work (`active (exited)`) runs nothing: also `unknown`.
        """
        return self._look().to_status()

    def start(self) -> None:
        """Return when systemd says active; a Type=notify unit has then said it is ready."""
        if self._look().active == "active":
            return
        self._act("start", self.name)
        self._await_active()

    def stop(self) -> None:
        """Return when the unit is inactive or failed; systemd restarts no unit it was told to stop.

        A unit in `auto-restart` loses its pending restart.
        """
        if self._look().is_down:
            return
        self._act("stop", self.name)
        unit = self._look()
        if not unit.is_down:
            raise self._failed("is not stopped", unit)

    def hold(self) -> None:
        """Stop the unit and mask it until `release()` or the next boot."""
        self.stop()
        self._act("mask", "--runtime", self.name)
        unit = self._look()
        if unit.load != "masked":
            self._act("unmask", "--runtime", self.name)
            raise UnavailableError(
                f"unit {self.name} cannot be held: after masking systemd calls it {unit.load!r},"
                " not 'masked'; its file probably takes precedence over a runtime mask",
                hint=f"Move the unit file out of /etc/systemd/system (`systemctl cat {self.name}`"
                " names it) to /usr/local/lib/systemd/system, and keep changes in a drop-in.",
            )
        self.stop()

    def release(self) -> None:
        """Take the runtime mask away; a mask that an administrator made for good stays.

        systemd is asked first, because `systemctl unmask` succeeds also where it does not run.
        """
        self._look()
        self._act("unmask", "--runtime", self.name)

    def _await_active(self) -> None:
        """Return when the unit is active; a failed one, or one that went down again, raises."""
        deadline = self._clock.monotonic() + self._timeout_s
        while (unit := self._look()).active != "active":
            if unit.is_down or self._clock.monotonic() >= deadline:
                raise self._failed("did not start", unit)
            self._clock.sleep(POLL_S)

    def _look(self) -> UnitState:
        outcome = self._run("show", "-p", ",".join(_PROPERTIES), "--", self.name)
        if outcome.exit_code != 0:
            raise UnavailableError(
                f"systemctl cannot ask for {self.name}{said(outcome.tail)}",
                hint="Run `systemctl is-system-running` to see whether systemd runs here.",
            )
        unit = parse_show(outcome.tail)
        if unit.load == "not-found":
            raise NotFoundError(
                f"systemd has no unit {self.name}",
                hint="Run `systemctl list-unit-files` to list the units.",
            )
        return unit

    def _act(self, *arguments: str) -> None:
        outcome = self._run(*arguments)
        if outcome.exit_code != 0:
            raise UnavailableError(
                f"systemctl {' '.join(arguments)} ended with exit code"
                f" {outcome.exit_code}{said(outcome.tail)}",
                hint=f"Run `journalctl -u {self.name} -n 50` to see why.",
            )

    def _failed(self, what: str, unit: UnitState) -> UnavailableError:
        return UnavailableError(
            f"unit {self.name} {what}: systemd says {unit.words}",
            hint=f"Run `journalctl -u {self.name} -n 50` to see why.",
            transient=unit.active != "failed",
        )

    def _run(self, *arguments: str) -> Outcome:
        return run_argv(
            (*self._base, *arguments),
            timeout_s=self._timeout_s,
            environment={"LC_ALL": "C"},
            missing_hint="Install systemd, or declare the component with commands or supervisord.",
            clock=self._clock,
        )
