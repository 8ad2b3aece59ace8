"""A component that pm2 runs, driven through its command line.

Facts about pm2 come from version 7.0.4 (`lib/God.js`, `lib/God/ActionMethods.js`) and its manual
("Restart strategies"). pm2 calls a process online as soon as it was spawned, and starts one that
dies again at once, up to `max_restarts` times. A process therefore counts as running only after
`min_uptime`; before that it is `unknown`. Processes are addressed by their numbers, because a name
could be taken for a script, a namespace or "all". `restart` of a number starts what is down and
keeps the environment pm2 has stored for it, so that nothing of ours leaks into it.

Nothing is a hold here, and `holds` is false: a stopped process is started again by `cron_restart`,
by a changed file under `--watch`, by `pm2 restart all` and by `pm2 resurrect` at boot; `pm2 delete`
would forget how it is started. `hold()` stops it, which does end pm2's own restarts.

Every pm2 command starts a daemon when none answers, which would know no process. So the daemon's
socket is tried first, and without a daemon nothing is said of the component: its processes may have
outlived the daemon.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from processpilot.clock import Clock, SystemClock
from processpilot.errors import NotFoundError, UnavailableError, UsageError
from processpilot.services.argv import Outcome, run_argv, said
from processpilot.services.driver import ServiceState, ServiceStatus

POLL_S = 0.25
MIN_UPTIME_MS = 1000
"""What pm2 takes for `min_uptime` where a process has none."""
LIST_BYTES = 64 << 20
LOG_TAIL_BYTES = 2000

_DOWN = ("stopped", "errored", "waiting restart")


@dataclass(frozen=True, slots=True)
class Instance:
    """One process of pm2's list; `pid` only in a state in which pm2's own number is current."""

    number: str
    state: str
    pid: int | None
    online_at: datetime
    min_uptime: timedelta
    restart_count: int
    unstable_count: int
    exit_code: int | None
    error_log: Path | None

    def to_state(self, now: datetime) -> ServiceState:
        """Return the state in the contract's words; online, but not for long yet, is `unknown`."""
        if self.state == "online":
            steady = now - self.online_at >= self.min_uptime
            return ServiceState.RUNNING if steady else ServiceState.UNKNOWN
        if self.state in _DOWN and self.pid is None:
            return ServiceState.STOPPED if self.state == "stopped" else ServiceState.FAILED
        return ServiceState.UNKNOWN

    @property
    def words(self) -> str:
        """What a message says of it; a restart loop shows in the counts."""
        facts = []
        if self.restart_count:
            facts.append(f"{self.restart_count} restarts")
        if self.unstable_count:
            facts.append(f"{self.unstable_count} of them in a loop, it dies right after its start")
        if self.exit_code is not None and self.state != "online":
            facts.append(f"last exit code {self.exit_code}")
        return f"{self.state} ({', '.join(facts)})" if facts else self.state


def parse_list(text: str, name: str) -> tuple[Instance, ...]:
    """Return the processes called `name` in the output of `pm2 jlist`.

    Notices of pm2 may stand around the list. The list holds every process's environment, so no
    part of it is ever shown. UnavailableError when there is none.
    """
    for line in text.splitlines():
        if not line.startswith("["):
            continue
        try:
            entries, _ = json.JSONDecoder().raw_decode(line)
            return tuple(_instance(entry) for entry in entries if entry["name"] == name)
        except (ValueError, LookupError, TypeError, OverflowError):
            continue
    raise UnavailableError(
        f"pm2 jlist answered {len(text)} characters without a list of processes",
        hint="Run `pm2 jlist` by hand to see what it says.",
    )


def _instance(entry: Any) -> Instance:
    settings = entry["pm2_env"]
    state = str(settings["status"])
    # After a death that waits for its restart, and after one too many, the old number is kept.
    is_stale = state in ("stopped", "waiting restart")
    exit_code = settings.get("exit_code")
    log = settings.get("pm_err_log_path")
    return Instance(
        number=str(settings["pm_id"]),
        state=state,
        pid=None if is_stale else int(entry.get("pid") or 0) or None,
        online_at=datetime.fromtimestamp(int(settings.get("pm_uptime") or 0) / 1000, UTC),
        min_uptime=timedelta(milliseconds=float(settings.get("min_uptime") or MIN_UPTIME_MS)),
        restart_count=int(settings.get("restart_time") or 0),
        unstable_count=int(settings.get("unstable_restarts") or 0),
        exit_code=None if exit_code is None else int(exit_code),
        error_log=Path(log) if isinstance(log, str) and log != "/dev/null" else None,
    )


def to_status(instances: Sequence[Instance], now: datetime) -> ServiceStatus:
    """Return the state of all instances together: one that differs makes it `unknown`.

    Down, with at least one failed among them, is `failed`. `pid` is of a single instance only.
    """
    states = {instance.to_state(now) for instance in instances}
    if states == {ServiceState.STOPPED, ServiceState.FAILED}:
        states = {ServiceState.FAILED}
    state = states.pop() if len(states) == 1 else ServiceState.UNKNOWN
    if len(instances) == 1:
        return ServiceStatus(state, instances[0].words, instances[0].pid)
    running_count = sum(i.to_state(now) is ServiceState.RUNNING for i in instances)
    each = "; ".join(f"{instance.number} {instance.words}" for instance in instances)
    return ServiceStatus(state, f"{running_count} of {len(instances)} run: {each}", None)


class Pm2Driver:
    """All processes of one name under the pm2 whose PM2_HOME is `home`, or the account's own.

    `timeout_s` bounds every start and stop, and every pm2 command within them. It must exceed the
    processes' `kill_timeout`.
    """

    holds = False

    def __init__(
        self,
        name: str,
        *,
        timeout_s: float,
        home: Path | None = None,
        program: str = "pm2",
        clock: Clock = SystemClock(),
    ) -> None:
        if not name:
            raise UsageError("the pm2 process has no name")
        self.name = name
        self._home = home or Path(os.environ.get("PM2_HOME") or Path.home() / ".pm2")
        self._program = program
        self._timeout_s = timeout_s
        self._clock = clock

    def status(self) -> ServiceStatus:
        """Return what pm2 says of all instances together; between two states it is `unknown`."""
        return to_status(self._look(), self._clock.now())

    def start(self) -> None:
        """Return when every instance has been online for its `min_uptime`.

        Instances that run are left alone. One that pm2 has given up (errored), or that ended for
        good, ends the wait; restarts by pm2 itself are waited for.
        """
        asked = False
        for instances in self._watch("running"):
            now = self._clock.now()
            if all(one.to_state(now) is ServiceState.RUNNING for one in instances):
                return
            down = [one for one in instances if one.state in _DOWN]
            if not asked and down:
                self._ask_start(down)
                asked = True
            elif any(one.state != "waiting restart" for one in down):
                raise self._failed("did not start", instances, transient=False)

    def stop(self) -> None:
        """Return when every instance is down and pm2 will not restart it after its death."""
        asked = False
        for instances in self._watch("stopped"):
            left = [one for one in instances if one.state != "stopped"]
            if not left:
                return
            if not asked:
                self._act("stop", left)
                asked = True
            elif any(one.state == "errored" for one in left):
                raise self._failed("was not stopped", instances, transient=False)

    def hold(self) -> None:
        """Stop the component; nothing prevents a start by others (`holds` is false)."""
        self.stop()

    def release(self) -> None:
        """Do nothing: there is no hold to end."""

    def _watch(self, wanted: str) -> Iterator[tuple[Instance, ...]]:
        """Yield the instances again and again; raise when `timeout_s` has passed."""
        deadline = self._clock.monotonic() + self._timeout_s
        while True:
            instances = self._look()
            yield instances
            if self._clock.monotonic() >= deadline:
                what = f"is not {wanted} after {self._timeout_s:g} s"
                raise self._failed(what, instances, transient=True)
            self._clock.sleep(POLL_S)

    def _ask_start(self, down: Sequence[Instance]) -> None:
        """Ask for a start; what waits for its delay would else be started again after it."""
        waiting = [instance for instance in down if instance.state == "waiting restart"]
        if waiting:
            self._act("stop", waiting)
        self._act("restart", down)

    def _look(self) -> tuple[Instance, ...]:
        outcome = self._run("jlist", tail_bytes=LIST_BYTES)
        if outcome.exit_code != 0:
            raise UnavailableError(
                f"pm2 jlist ended with exit code {outcome.exit_code}",
                hint=f"Run `{self._shown('jlist')}` by hand to see why.",
            )
        if not (instances := parse_list(outcome.tail, self.name)):
            raise NotFoundError(
                f"pm2 at {self._home} has no process {self.name}",
                hint=f"Run `{self._shown('list')}` to list its processes,"
                f" or `{self._shown('resurrect')}` to start the saved ones.",
            )
        return instances

    def _act(self, action: str, instances: Sequence[Instance]) -> None:
        numbers = [instance.number for instance in instances]
        outcome = self._run(action, *numbers)
        if outcome.exit_code != 0:
            raise UnavailableError(
                f"pm2 {action} of {self.name} ended with exit code {outcome.exit_code}"
                f"{said(outcome.tail)}",
                hint=f"Run `{self._shown(f'describe {numbers[0]}')}` to see its state.",
            )

    def _failed(
        self, what: str, instances: Sequence[Instance], *, transient: bool
    ) -> UnavailableError:
        status = to_status(instances, self._clock.now())
        last_words = next(filter(None, (_end_of(i.error_log) for i in instances)), "")
        output = f"; its last output: {last_words}" if last_words else ""
        return UnavailableError(
            f"process {self.name} {what}: pm2 says {status.detail}{output}",
            hint=f"Run `{self._shown(f'logs {instances[0].number} --nostream')}` to see why.",
            transient=transient,
        )

    def _run(self, *arguments: str, tail_bytes: int = LOG_TAIL_BYTES) -> Outcome:
        self._require_daemon()
        return run_argv(
            (self._program, *arguments),
            timeout_s=self._timeout_s,
            environment={"PM2_HOME": str(self._home), "FORCE_COLOR": "0"},
            missing_hint="Install pm2 (`npm install -g pm2`), or name it as the service's program.",
            tail_bytes=tail_bytes,
            clock=self._clock,
        )

    def _require_daemon(self) -> None:
        """Raise UnavailableError when no daemon listens, instead of starting an empty one."""
        path = self._home / "rpc.sock"
        try:
            with socket.socket(socket.AF_UNIX) as link:
                link.settimeout(self._timeout_s)
                link.connect(str(path))
        except OSError as error:
            raise UnavailableError(
                f"pm2 does not answer at {path}: {error.strerror or error}",
                hint=f"Run `{self._shown('resurrect')}` as the account that it belongs to, which"
                " starts pm2 and the processes it saved.",
                transient=True,
            ) from error

    def _shown(self, arguments: str) -> str:
        return f"PM2_HOME={self._home} {self._program} {arguments}"


def _end_of(log: Path | None) -> str:
    """Return the end of a process's log, or nothing: it only decorates an error."""
    if log is None:
        return ""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - LOG_TAIL_BYTES))
            return file.read().decode(errors="replace").strip()
    except OSError:
        return ""
