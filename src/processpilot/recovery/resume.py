"""After the swap: protection, applications, the checklist, and the first backup."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from graphlib import TopologicalSorter
from pathlib import Path

from processpilot import __version__
from processpilot.backup.create import BackupRequest, Surroundings, create_backup
from processpilot.backup.heartbeat import newest_heartbeat
from processpilot.backup.protection import StreamState
from processpilot.checks.result import CheckResult, Outcome, passed_if
from processpilot.checks.speed import FILE_NAME, compare_speed, measure_speed, read_baseline
from processpilot.checks.validation import ask_checks, ask_probe, trouble_within
from processpilot.errors import NotFoundError, UnavailableError
from processpilot.plan.component import Component
from processpilot.recovery.ground import Ground, checks_json, require_passed
from processpilot.recovery.rebuild import required_result
from processpilot.recovery.salvage import salvage
from processpilot.runbook.action import NotHappened, ProbeAnswer, Result, StepContext

_STREAM_S = 60.0
_SETTLE_S = 5.0
_COMPONENT_S = 60.0
_POLL_S = 0.2
_ASK_S = 10.0
_ASK_ATTEMPTS = 3
_SPEED_ATTEMPTS = 4


class Protect:
    """Streams the recovered server's log through a fresh slot into a fresh spool."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def probe(self, context: StepContext) -> ProbeAnswer:
        """Renewing again only makes another slot in place of the first."""
        return NotHappened()

    def execute(self, context: StepContext) -> Result:
        """Return where the old spool was put aside, and whether commits wait again.

        What the server wrote on its new timeline before anybody streamed is taken from its disk, so
        that a second disaster finds no hole, even before the first backup is done.
        """
        required_result(context.run, "start-database")
        sealed = self._ground.stream.renew(_STREAM_S)
        joined = salvage(self._ground)
        return {
            "sealed_spool": None if sealed is None else str(sealed),
            "commits_wait": self._ground.stream.status.waits,
            "log_joined_to": None if joined.end is None else str(joined.end),
            "log_not_joined": joined.why,
        }


class StartApplications:
    """Starts every component that is not well: after what it needs, beside what it does not."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def probe(self, context: StepContext) -> ProbeAnswer:
        """Starting what runs changes nothing."""
        return NotHappened()

    def execute(self, context: StepContext) -> Result:
        """Return what was done with each component; UnavailableError when one stays unwell."""
        plan = self._ground.loaded.plan
        order = TopologicalSorter({c.id: c.depends_on for c in plan.components})
        order.prepare()
        done: dict[str, str] = {}
        while order.is_active():
            wave = [plan.component(name) for name in order.get_ready()]
            done |= zip((c.id for c in wave), self._side_by_side(wave), strict=True)
            order.done(*(component.id for component in wave))
        return {"components": dict(done)}

    def _side_by_side(self, wave: Sequence[Component]) -> list[str]:
        """Bring up components that do not need each other; the first failure is raised at the end.

        All of them are brought up as far as they can be, so that a retry has less to do.
        """
        with ThreadPoolExecutor(max_workers=len(wave)) as pool:
            futures = [pool.submit(self._bring_up, component) for component in wave]
        return [future.result() for future in futures]

    def _bring_up(self, component: Component) -> str:
        if not component.probes:
            return "nothing in the plan says how it is"
        if self._well_within(component, _SETTLE_S) is None:
            return "well by itself"
        driver = self._ground.driver_of(component)
        if driver is None:
            trouble = self._well_within(component, _COMPONENT_S)
        else:
            driver.stop()
            driver.start()
            trouble = self._well_within(component, _COMPONENT_S)
        if trouble is not None:
            raise UnavailableError(
                f"{component.title} is not well: {trouble}",
                hint="Mend it, then run `processpilot run retry`.",
                transient=True,
            )
        return "well by itself" if driver is None else f"restarted by {driver.name}"

    def _well_within(self, component: Component, limit_s: float) -> str | None:
        return trouble_within(self._ground.prober, component, limit_s)


class Validate:
    """The checklist after a recovery: connections, endpoints, functions, speed, monitoring."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def probe(self, context: StepContext) -> ProbeAnswer:
        """Asking again is safe."""
        return NotHappened()

    def execute(self, context: StepContext) -> Result:
        """Return every check's result; StepFailedError when one does not pass."""
        # First, because the plan's probes may look at the heartbeat, too, and whoever resumed the
        # run has to stream before it renews that.
        monitoring = [*self._monitoring()]
        checks = [*self._probes(), *self._of_plan(), *monitoring, self._speed()]
        require_passed("the checklist", checks)
        return {"checks": checks_json(checks)}

    def _probes(self) -> Iterator[CheckResult]:
        prober = self._ground.prober
        for component in self._ground.loaded.plan.start_order():
            for spec in component.probes:
                yield ask_probe(prober, component, spec, _ASK_ATTEMPTS)

    def _of_plan(self) -> Iterator[CheckResult]:
        loaded = self._ground.loaded
        return ask_checks(loaded.plan.validation, self._ground.address, loaded.base)

    def _monitoring(self) -> Iterator[CheckResult]:
        yield self._streaming()
        if self._ground.loaded.plan.protection.heartbeat:
            yield self._heartbeat()

    def _streaming(self) -> CheckResult:
        """A process that resumed the run after a crash has only just begun to stream."""
        clock = self._ground.clock
        deadline = clock.monotonic() + _STREAM_S
        while True:
            state = self._ground.stream.status.state
            streams = state is StreamState.STREAMING
            if streams or clock.monotonic() > deadline:
                return passed_if("log is streamed again", streams, "streaming", str(state))
            clock.sleep(_POLL_S)

    def _heartbeat(self) -> CheckResult:
        """The recovered server's first heartbeat may be a moment away."""
        clock = self._ground.clock
        deadline = clock.monotonic() + _ASK_S
        while True:
            try:
                age = clock.now() - newest_heartbeat(self._ground.address)
                found = f"{abs(age.total_seconds()):.1f} s old"
                fresh = abs(age.total_seconds()) < _ASK_S
            except NotFoundError as error:
                found, fresh = error.message, False
            if fresh or clock.monotonic() > deadline:
                name = "monitoring: heartbeat is renewed"
                return passed_if(name, fresh, f"younger than {_ASK_S:g} s", found)
            clock.sleep(_POLL_S)

    def _speed(self) -> CheckResult:
        """Compare with before; caches are cold at first, so a slow answer is asked for again."""
        ground = self._ground
        plan = ground.loaded.plan
        before = read_baseline(ground.loaded.state_dir / FILE_NAME)
        for attempt in range(_SPEED_ATTEMPTS):
            now = measure_speed(ground.prober, plan.components)
            found = compare_speed(before, now, plan.performance_factor)
            if found.outcome is not Outcome.FAILED:
                break
            ground.clock.sleep(2.0**attempt)
        return found


class FirstBackup:
    """Takes a base backup of the recovered server; only then are backups resumed."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def probe(self, context: StepContext) -> ProbeAnswer:
        """Another backup does no harm."""
        return NotHappened()

    def execute(self, context: StepContext) -> Result:
        """Return the new backup."""
        ground = self._ground
        plan = ground.loaded.plan
        request = BackupRequest(
            ground.address,
            None if plan.database.data_dir is None else Path(ground.data_dir),
            compression_level=plan.backup.compression_level,
            plan=ground.loaded.text,
        )
        around = Surroundings(ground.clock, ground.tag, context.progress, lambda: None)
        manifest = create_backup(ground.repository, request, around)
        check = passed_if(
            "backups resumed", True, "a backup of the recovered server", str(manifest.backup_id)
        )
        return {
            "backup_id": str(manifest.backup_id),
            "bytes": manifest.source_bytes,
            "stored_bytes": manifest.stored_bytes,
            "program": f"processpilot {__version__}",
            "checks": checks_json([check]),
        }
