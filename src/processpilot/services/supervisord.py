"""A component that supervisord runs, driven over its XML-RPC interface.

Facts about states come from supervisor 4.3.0 (`process.py`, `rpcinterface.py`). A STOPPED or FATAL
program that was started before is never started by supervisord itself. RUNNING, STARTING and
BACKOFF accept `stopProcess` and end in STOPPED; BACKOFF does so at once. EXITED refuses it with
NOT_RUNNING, yet `autorestart` starts such a program at the next turn of the main loop, and so it is
with a STOPPED program that `autostart` has not reached yet. No call tells whether a program has
`autorestart`, so stopping watches these two states until supervisord has had its turn.

The hold does not outlive supervisord: after `supervisorctl reload`, a restart or a reboot, programs
with `autostart` start again. Nor does it prevent `supervisorctl start` by a person.
"""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit
from xml.parsers.expat import ExpatError
from xmlrpc.client import Fault, ProtocolError, ResponseError, ServerProxy

from supervisor.states import ProcessStates
from supervisor.xmlrpc import Faults, SupervisorTransport

from processpilot.clock import Clock, SystemClock
from processpilot.errors import NotFoundError, UnavailableError, UsageError
from processpilot.services.driver import ServiceState, ServiceStatus

POLL_S = 0.1
SETTLED_S = 1.5
"""An EXITED program whose start stamp stays the same this long is not being restarted.

Every answered call is followed by a turn of the main loop, which would have started it, and start
stamps are whole seconds, so a program that keeps exiting shows a new one within this time.
"""
LOG_TAIL_BYTES = 2000

_STARTING_ALLOWED = (ProcessStates.STOPPED, ProcessStates.EXITED, ProcessStates.FATAL)
_STOPPING_ALLOWED = (ProcessStates.RUNNING, ProcessStates.STARTING, ProcessStates.BACKOFF)
_NO_SUCH_PROGRAM = (Faults.NO_FILE, Faults.NOT_EXECUTABLE)


@dataclass(frozen=True, slots=True)
class _Program:
    """The fields of `getProcessInfo` that decide; `start` is 0 for a program never started."""

    state: int
    state_name: str
    start: int
    exit_status: int
    spawn_error: str
    description: str
    pid: int | None

    @property
    def may_start_by_itself(self) -> bool:
        never_started = self.state == ProcessStates.STOPPED and self.start == 0
        return self.state == ProcessStates.EXITED or never_started

    @property
    def words(self) -> str:
        said = self.spawn_error or self.description
        return f"{self.state_name} ({said})" if said else self.state_name


class SupervisordDriver:
    """One program of the supervisord listening at `server`.

    `server` is `unix:///run/supervisor.sock` or `http://127.0.0.1:9001`; `program` is `name` or
    `group:name`. `timeout_s` bounds every start and stop, and every single call within them. It
    must exceed the program's `stopwaitsecs`: a stop signal that meets a program between fork and
    exec is lost, and only supervisord's SIGKILL ends it then.
    """

    holds = True

    def __init__(
        self,
        server: str,
        program: str,
        *,
        timeout_s: float,
        username: str | None = None,
        password: str | None = None,
        clock: Clock = SystemClock(),
    ) -> None:
        _check_server(server)
        if not program or program.endswith(":*"):
            raise UsageError(f"supervisord program {program!r} does not name one program")
        self.name = program
        self._server = server
        self._timeout_s = timeout_s
        self._login = (username, password)
        self._clock = clock

    def status(self) -> ServiceStatus:
        """Return the program's state; STARTING and STOPPING are `unknown`, BACKOFF is `failed`."""
        program = self._look()
        return ServiceStatus(_state_of(program), program.words, program.pid)

    def start(self) -> None:
        """Return when supervisord says RUNNING, that is, after the program's `startsecs`.

        Retries by supervisord itself (BACKOFF) are waited for; FATAL, or an exit after the start,
        ends the wait at once.
        """
        asked = False
        for program in self._watch("running"):
            if program.state == ProcessStates.RUNNING:
                return
            if program.state not in _STARTING_ALLOWED:
                continue
            if asked:
                raise self._failed("did not start", program)
            self._ask_start()
            asked = True

    def stop(self) -> None:
        """Return when the program is down and supervisord will not start it by itself.

        A program that exited on its own is watched for SETTLED_S first, because `autorestart`
        could bring it back.
        """
        settling: tuple[int, float] | None = None
        for program in self._watch("stopped"):
            if program.may_start_by_itself:
                now = self._clock.monotonic()
                if settling is None or settling[0] != program.start:
                    settling = (program.start, now)
                elif now - settling[1] >= SETTLED_S:
                    return
                continue
            settling = None
            if program.state in (ProcessStates.STOPPED, ProcessStates.FATAL):
                return
            if program.state in _STOPPING_ALLOWED:
                self._ask_stop()

    def hold(self) -> None:
        """Stop the program; supervisord starts no program that was stopped on request."""
        self.stop()

    def release(self) -> None:
        """Do nothing: the next `start()` is all it takes."""

    def _watch(self, wanted: str) -> Iterator[_Program]:
        """Yield the program's state again and again; raise when `timeout_s` has passed."""
        deadline = self._clock.monotonic() + self._timeout_s
        while True:
            program = self._look()
            if program.state == ProcessStates.UNKNOWN:
                raise self._failed(f"is not {wanted}: supervisord lost track of it", program)
            yield program
            if self._clock.monotonic() >= deadline:
                raise self._failed(f"is not {wanted} after {self._timeout_s:g} s", program)
            self._clock.sleep(POLL_S)

    def _look(self) -> _Program:
        with self._session() as supervisor:
            return _parse(supervisor.supervisor.getProcessInfo(self.name))

    def _ask_start(self) -> None:
        """Ask for a start without waiting; a failed spawn shows in the state that follows."""
        with self._session(Faults.ALREADY_STARTED, Faults.SPAWN_ERROR) as supervisor:
            supervisor.supervisor.startProcess(self.name, False)

    def _ask_stop(self) -> None:
        """Ask for a stop without waiting; a program that just exited is seen at the next look."""
        with self._session(Faults.NOT_RUNNING) as supervisor:
            supervisor.supervisor.stopProcess(self.name, False)

    def _failed(self, what: str, program: _Program) -> UnavailableError:
        said = self._last_output()
        output = f"; its last output: {said}" if said else ""
        return UnavailableError(
            f"program {self.name} {what}: supervisord says {program.words}{output}",
            hint=f"Run `supervisorctl -s {self._server} tail {self.name} stderr` to see why.",
            transient=program.state != ProcessStates.FATAL,
        )

    def _last_output(self) -> str:
        """Return the end of the program's log, or nothing: it only decorates an error."""
        for channel in ("tailProcessStderrLog", "tailProcessStdoutLog"):
            try:
                with self._session() as supervisor:
                    tail = getattr(supervisor.supervisor, channel)(self.name, 0, LOG_TAIL_BYTES)
            except (UnavailableError, NotFoundError):
                continue
            if tail[0].strip():
                return str(tail[0]).strip()
        return ""

    @contextlib.contextmanager
    def _session(self, *tolerated: int) -> Iterator[ServerProxy]:
        """Connect for one call; every failure but `tolerated` fault codes becomes our error."""
        transport = _BoundedTransport(self._server, self._login, self._timeout_s)
        try:
            yield ServerProxy("http://127.0.0.1", transport=transport)
        except Fault as fault:
            if fault.faultCode not in tolerated:
                raise self._refused(fault) from fault
        except ProtocolError as error:
            raise UnavailableError(
                f"supervisord at {self._server} answered {error.errcode} {error.errmsg}",
                hint="Check the username and password of its [unix_http_server] or"
                " [inet_http_server] section.",
            ) from error
        except (OSError, http.client.HTTPException, ExpatError, ResponseError) as error:
            raise UnavailableError(
                f"supervisord at {self._server} cannot be reached: {error}",
                hint=f"Run `supervisorctl -s {self._server} status` and start supervisord if it"
                " does not answer.",
                transient=True,
            ) from error
        finally:
            transport.close()

    def _refused(self, fault: Fault) -> NotFoundError | UnavailableError:
        """Return our error for a fault that the caller did not expect."""
        if fault.faultCode == Faults.BAD_NAME:
            return NotFoundError(
                f"supervisord at {self._server} has no program {self.name}",
                hint=f"Run `supervisorctl -s {self._server} status` to list its programs.",
            )
        reason = str(fault.faultString)
        if fault.faultCode in _NO_SUCH_PROGRAM:
            reason = f"its command cannot be run: {reason}"
        return UnavailableError(
            f"supervisord at {self._server} refused to act on {self.name}: {reason}",
            hint=f"Run `supervisorctl -s {self._server} status {self.name}` to see its state.",
            transient=fault.faultCode not in _NO_SUCH_PROGRAM,
        )


class _BoundedTransport(SupervisorTransport):  # type: ignore[misc]
    """supervisor's transport with a limit on every wait; its own has none."""

    _get_connection: Callable[[], http.client.HTTPConnection]

    def __init__(self, server: str, login: tuple[str | None, str | None], timeout_s: float) -> None:
        super().__init__(*login, serverurl=server)
        connect_later = self._get_connection

        def connect_now() -> http.client.HTTPConnection:
            connection = connect_later()
            connection.timeout = timeout_s
            try:
                connection.connect()
            except OSError:
                connection.close()
                raise
            connection.sock.settimeout(timeout_s)
            return connection

        self._get_connection = connect_now


def _check_server(server: str) -> None:
    try:
        parts = urlsplit(server)
        is_http = parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
        is_socket = parts.scheme == "unix" and not parts.netloc and len(parts.path) > 1
    except ValueError:
        is_http = is_socket = False
    if not (is_socket or is_http):
        raise UsageError(
            f"supervisord server {server!r} is neither unix:///path.sock nor http://host:port",
            hint="Copy the serverurl of the [supervisorctl] section.",
        )


def _parse(info: object) -> _Program:
    """Return the deciding fields of one `getProcessInfo` answer."""
    if not isinstance(info, dict):
        raise UnavailableError(f"supervisord answered {info!r} where a process info was expected")
    return _Program(
        state=info["state"],
        state_name=info["statename"],
        start=info["start"],
        exit_status=info["exitstatus"],
        spawn_error=info["spawnerr"],
        description=info["description"],
        pid=info["pid"] or None,
    )


def _state_of(program: _Program) -> ServiceState:
    """Translate; an exit that supervisord expected leaves no spawn error behind."""
    if program.state == ProcessStates.RUNNING:
        return ServiceState.RUNNING
    if program.state == ProcessStates.STOPPED:
        return ServiceState.STOPPED
    if program.state == ProcessStates.EXITED:
        return ServiceState.FAILED if program.spawn_error else ServiceState.STOPPED
    if program.state in (ProcessStates.BACKOFF, ProcessStates.FATAL):
        return ServiceState.FAILED
    return ServiceState.UNKNOWN
