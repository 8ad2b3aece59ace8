"""The agent: one process that protects a cluster, watches it, and leads its recovery.

It holds the leases "controller" and "stream" for as long as it lives; a second one is refused.
The main thread carries out runs; everything else has threads of its own.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC
from types import TracebackType
from typing import Self

from processpilot.agent.attendance import Attendance
from processpilot.agent.backups import backup_is_due, expire, plan_expiry_now, take_backup
from processpilot.agent.conclusion import BY_AGENT, conclude_run, why_void
from processpilot.backup.protection import Protection, StreamState
from processpilot.checks.hysteresis import Health
from processpilot.checks.symptoms import Match
from processpilot.errors import LockedError, ProcessPilotError
from processpilot.incident.begin import find_scenario, request_run
from processpilot.incident.duty import LinkFor, no_link
from processpilot.incident.record import (
    Declaration,
    answer,
    declare,
    held_back,
    open_incident,
)
from processpilot.incident.watch import Watch
from processpilot.journal.event import Event, JsonValue
from processpilot.journal.lease import Lease, acquire_lease, holder
from processpilot.leftovers import remove_leftovers
from processpilot.postgres.lsn import Lsn
from processpilot.progress import silent
from processpilot.runbook.history import open_runs, read_run
from processpilot.runbook.people import Person, abort
from processpilot.runbook.runner import Observer, Runner, begin_run
from processpilot.runbook.state import RunState
from processpilot.runbook.step import StepOutcome
from processpilot.wiring.running import carrying, runner_of
from processpilot.wiring.wired import Wired

CONTROLLER = "controller"
STREAM = "stream"
STATUS_FILE = "agent.json"
_LOOP_S = 0.25
_STATUS_S = 0.25
_SCHEDULE_S = 5.0
_AGAIN_S = 300.0
_TROUBLE_S = 2.0


@dataclass(frozen=True, slots=True)
class Duties:
    """What an agent does besides carrying out runs and streaming."""

    watch: bool
    schedule: bool


class _Recording:
    """Passes everything on, and remembers how far the running step is for other processes."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self.progress: tuple[str, int, int | None] | None = None

    def on_event(self, event: Event) -> None:
        """Note an event; what was under way before it is over."""
        self.progress = None
        self._observer.on_event(event)

    def on_progress(self, phase: str, done: int, total: int | None) -> None:
        """Note how far the running step is."""
        self.progress = (phase, done, total)
        self._observer.on_progress(phase, done, total)


class Agent:
    """Enter it to take the leases and start the stream; `serve` or `lead` then does the work."""

    def __init__(
        self, wired: Wired, duties: Duties, observer: Observer, link_for: LinkFor = no_link
    ) -> None:
        self._wired = wired
        self._link_for = link_for
        self._attendance: Attendance | None = None
        self._duties = duties
        self._observer = _Recording(observer)
        self._stack = ExitStack()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lease: Lease | None = None
        self._protection: Protection | None = None
        self._watch: Watch | None = None
        self._declaring = threading.Lock()
        self._trouble: str | None = None
        self._runner: tuple[str, Runner] | None = None

    def __enter__(self) -> Self:
        wired = self._wired
        remove_leftovers()
        try:
            self._lease = self._stack.enter_context(_controller(wired))
            self._stack.enter_context(acquire_lease(wired.journal, STREAM, wired.locks))
            self._protection = wired.protection()
            self._protection.start(paused=self._between_servers())
            self._stack.callback(self._protection.stop)
            if self._duties.watch:
                self._attendance = Attendance(wired, self._link_for)
                self._attendance.start()
                self._stack.callback(self._attendance.stop)
                self._watch = Watch(wired.loaded.plan, wired.prober, self._on_match)
                self._watch.start()
                self._stack.callback(self._watch.stop)
            self._start_threads()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._stack.close()
        (self._wired.state_dir / STATUS_FILE).unlink(missing_ok=True)

    def _start_threads(self) -> None:
        work: list[Callable[[], None]] = [self._write_status]
        if self._duties.schedule:
            work.append(self._keep_schedule)
        self._threads = [threading.Thread(target=target) for target in work]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ask `serve` or `lead` to return after the step that is running. Safe in a signal."""
        self._stopping.set()

    def serve(self) -> None:
        """Carry out whatever run is open, until asked to stop."""
        while not self._stopping.wait(_LOOP_S):
            try:
                run_id = self.open_run()
                if run_id is not None:
                    self._carry_on(run_id)
                else:
                    self._answer_incident()
                self._trouble = None
            except LockedError:
                raise  # Another controller has taken over.
            except ProcessPilotError as error:
                self._trouble = error.message
                self._stopping.wait(_TROUBLE_S)

    def lead(self, run_id: str) -> RunState:
        """Carry one run on until it is finished, needs a person, or stop is asked for."""
        return self._carry_on(run_id)

    def open_run(self) -> str | None:
        """Return the newest run that is not finished."""
        return next(iter(open_runs(self._wired.journal)), None)

    @property
    def stream_state(self) -> StreamState:
        """What the log stream is doing."""
        return StreamState.STOPPED if self._protection is None else self._protection.status.state

    def problems(self) -> tuple[str, ...]:
        """Return what is wrong at this moment, from memory; may be asked from any thread."""
        found = [] if self._trouble is None else [f"the agent cannot carry on: {self._trouble}"]
        if self.stream_state is not StreamState.STREAMING:
            found.append(f"the log is not streamed: {self.stream_state}")
        health = {} if self._watch is None else self._watch.health
        found += [f"probe {n} is failing" for n, s in health.items() if s.health is Health.FAILING]
        if self._attendance is not None and self._attendance.trouble is not None:
            found.append(f"people may not be told: {self._attendance.trouble}")
        return tuple(found)

    @property
    def commits_wait(self) -> bool:
        """Whether commits wait for the receiver, which streams."""
        return self._protection is not None and self._protection.status.waits

    @property
    def stored_lsn(self) -> Lsn | None:
        """Up to where the log is in the repository."""
        return None if self._protection is None else self._protection.status.stored

    def _between_servers(self) -> bool:
        """Whether a run has stopped the old stream and not yet begun the new one."""
        run_id = self.open_run()
        if run_id is None:
            return False
        actions = {s.spec.action: s for s in read_run(self._wired.journal, run_id).steps}
        drain, protect = actions.get("drain"), actions.get("protect")
        begun = drain is not None and drain.outcome is not StepOutcome.WAITING
        return begun and (protect is None or protect.outcome is not StepOutcome.PASSED)

    def _carry_on(self, run_id: str) -> RunState:
        wired = self._wired
        assert self._lease is not None and self._protection is not None
        runner = self._runner_of(run_id)
        state = runner.advance(run_id, self._lease, self._stopping.is_set)
        if (reason := why_void(state, self._watch)) is not None:
            abort(Person(wired.journal, run_id, BY_AGENT), reason=reason)
            state = runner.advance(run_id, self._lease, self._stopping.is_set)
        if state.is_finished:
            self._runner = None
            conclude_run(wired, state)
            self._protection.resume()
        return state

    def _runner_of(self, run_id: str) -> Runner:
        """Return what carries out that run, with the plan that it began with."""
        if self._runner is None or self._runner[0] != run_id:
            assert self._protection is not None
            wired = carrying(self._wired, read_run(self._wired.journal, run_id))
            self._runner = run_id, runner_of(wired, self._protection, self._observer)
        return self._runner[1]

    def _on_match(self, match: Match) -> None:
        """Declare an incident, unless one is open or a run is under way."""
        wired = self._wired
        with self._declaring:
            if self.open_run() is not None or open_incident(wired.journal) is not None:
                return
            assert self._watch is not None
            well_at = self._watch.last_passed_at(match.scenario.component)
            if held_back(wired.journal, match.scenario.id, well_at) is not None:
                return
            declaration = Declaration(
                wired.new_id(),
                match.scenario.id,
                match.scenario.title,
                match.reasons,
                well_at,
                match.scenario.severity,
            )
            declare(wired.journal, declaration)

    def _answer_incident(self) -> None:
        """Begin the run for an open incident that has none; resolve one whose run is finished."""
        wired = self._wired
        incident = open_incident(wired.journal)
        if incident is None:
            return
        if incident.run_id is not None:
            state = read_run(wired.journal, incident.run_id)
            if state.is_finished:
                conclude_run(wired, state)
            return
        assert incident.scenario is not None
        scenario = find_scenario(wired.loaded.plan, incident.scenario)
        run_id = wired.new_id()
        answer(wired.journal, incident, run_id)
        request = request_run(wired.loaded, scenario, run_id, BY_AGENT, incident)
        self._observer.on_event(begin_run(wired.journal, request))

    def _keep_schedule(self) -> None:
        """Take base backups when they are due and let old ones go; not during a run."""
        again = 0.0
        while not self._stopping.wait(_SCHEDULE_S):
            now = self._wired.clock.monotonic()
            assert self._protection is not None
            if now < again or self._protection.status.state is not StreamState.STREAMING:
                continue
            try:
                if self.open_run() is None and backup_is_due(self._wired) is not None:
                    take_backup(self._wired, silent)
                    expire(self._wired, plan_expiry_now(self._wired))
            except (ProcessPilotError, OSError):
                again = now + _AGAIN_S

    def _write_status(self) -> None:
        """Leave what only this process knows where `status` finds it."""
        path = self._wired.state_dir / STATUS_FILE
        temporary = path.with_name(f".{path.name}.new")
        while True:
            with suppress(OSError):
                temporary.write_text(json.dumps(self._status()) + "\n")
                temporary.replace(path)
            if self._stopping.wait(_STATUS_S):
                return

    def _status(self) -> dict[str, JsonValue]:
        assert self._protection is not None
        stream = self._protection.status
        beat = stream.last_beat_at
        health = {} if self._watch is None else self._watch.health
        return {
            "at": self._wired.clock.now().isoformat(),
            "stream": {
                "state": str(stream.state),
                "detail": stream.detail,
                "spooled_lsn": None if stream.spooled is None else str(stream.spooled),
                "stored_lsn": None if stream.stored is None else str(stream.stored),
                "commits_wait": stream.waits,
                "last_heartbeat_at": None if beat is None else beat.astimezone(UTC).isoformat(),
            },
            "trouble": self._trouble,
            "attendance": None if self._attendance is None else self._attendance.status(),
            "progress": None if self._observer.progress is None else list(self._observer.progress),
            "probes": {
                name: {"health": str(state.health), "detail": state.detail}
                for name, state in health.items()
            },
            "failing": sorted(n for n, s in health.items() if s.health is Health.FAILING),
        }


@contextmanager
def _controller(wired: Wired) -> Iterator[Lease]:
    owner = holder(CONTROLLER, wired.locks)
    if owner is not None:
        raise LockedError(
            f"the agent, or another recovery, runs here already (process {owner.pid})",
            hint="Look with `processpilot status`; only one may lead at a time.",
        )
    with acquire_lease(wired.journal, CONTROLLER, wired.locks) as lease:
        yield lease
