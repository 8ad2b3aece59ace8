"""A drill that walks a recovery: isolate, resolve, restore, replay, start, prove, application.

The path is the real one: `restore` plans, writes the files, replays, compares and promotes; only
where the servers run is different. Whatever happens on the way, the cleanup comes last and is part
of the verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from processpilot.checks.result import CheckResult, Outcome
from processpilot.clock import Clock
from processpilot.drill.copy import Copy, Proven, examine_files, proven_data
from processpilot.drill.enclosure import Enclosure, View, enclosed
from processpilot.drill.moment import choose_moment, target_of
from processpilot.drill.place import Place, clear, made_place
from processpilot.drill.proof import (
    Production,
    compare,
    fingerprint,
    prove_isolation,
    targets_of,
    unproven,
)
from processpilot.drill.record import Ending, Record
from processpilot.drill.stage import Clean, Stage
from processpilot.drill.state import Phase
from processpilot.drill.steps import Playable
from processpilot.drill.verdict import Objective, Walked, judge
from processpilot.errors import ProcessPilotError, RefusedError, UnavailableError
from processpilot.journal.event import JsonValue
from processpilot.plan.load import LoadedPlan
from processpilot.plan.outside import Drill, DrillKind
from processpilot.postgres.connection import database_of
from processpilot.progress import Progress
from processpilot.repository.repository import Repository
from processpilot.restore.files import FileWriter
from processpilot.restore.finish import recover
from processpilot.restore.isolation import isolated
from processpilot.restore.plan import RestorePlan, RestoreRequest, plan_restore
from processpilot.restore.target import RecoveryTarget, TargetKind

_NO_PROGRAMS = "no program was started: without namespaces it could reach production"


class GivenUpError(ProcessPilotError):
    """The drill was told to end, by a person or because a real run began."""

    code = "given-up"


class TooLongError(ProcessPilotError):
    """The drill took longer than its lifetime."""

    code = "too-long"


@dataclass(frozen=True, slots=True)
class Ground:
    """What a rehearsal works with. `repository` is read only.

    `given_up` returns why the drill should end, None while it may go on; it is asked often.
    `hidden` are folders besides production's that nothing inside may see.
    """

    loaded: LoadedPlan
    repository: Repository
    production: Production
    hidden: tuple[Path, ...]
    bin_dirs: tuple[Path, ...]
    clock: Clock
    progress: Progress
    clean: Clean
    given_up: Callable[[], str | None]


@dataclass
class Rehearsing:
    """One rehearsal under way, and what it has found so far."""

    ground: Ground
    record: Record
    drill: Drill
    steps: Playable
    objective: Objective
    seed: int
    kept: Path
    checks: list[CheckResult] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    begun_s: float = 0.0
    spent_s: float = 0.0
    proven: Proven | None = None
    backup: str | None = None
    walked_all: bool = False

    def run(self) -> Ending:
        """Walk it, clean up, and return what it came to; the phases and checks are written down."""
        self.begun_s = self.ground.clock.monotonic()
        failure: str | None = None
        given_up: str | None = None
        before: Mapping[str, str] = {}
        namespaces: list[str] = []
        with made_place(self.record.rehearsal_id) as place:
            try:
                before = fingerprint(self.ground.production, self.ground.repository)
                with ExitStack() as stack:
                    self._walk(place, namespaces, stack)
                self.walked_all = True
            except GivenUpError as error:
                given_up = error.message
            except ProcessPilotError as error:
                # An end from outside makes what was under way fail; the end is the reason then.
                given_up = self.ground.given_up()
                failure = error.message if given_up is None else None
            except OSError as error:
                failure = f"{error.filename or 'the system'}: {error.strerror or error}"
            finally:
                with self.record.phase(Phase.CLEANUP):
                    self._note(clear(place, namespaces[0] if namespaces else None))
        with suppress(ProcessPilotError):
            after = fingerprint(self.ground.production, self.ground.repository)
            self._note(list(compare(before, after)))
        return self._ending(failure, given_up)

    def _walk(self, place: Place, namespaces: list[str], stack: ExitStack) -> None:
        ground = self.ground
        with self.record.phase(Phase.ISOLATE):
            enclosure = self._isolate(place, stack)
            if enclosure is not None:
                namespaces.append(enclosure.namespace)
        with self._timed(Phase.RESOLVE) as result:
            plan = self._resolve(place)
            moment = plan.target.time
            result |= _resolved_json(plan)
        if enclosure is not None:
            plan = isolated(plan, enclosure.isolation)
        self.findings += plan.warnings
        with self._timed(Phase.RESTORE) as result:
            writer = FileWriter(
                ground.repository, plan.manifest, plan.folder, plan.tablespaces, self._progress
            )
            writer.write()
            result["bytes"] = plan.bytes
        superuser = ground.loaded.plan.database.superuser
        last = self._replay(plan, superuser)
        with self._timed(Phase.START):
            copy = stack.enter_context(Copy.started(plan, superuser, ground.clock))
            self._note(copy.disarm())
        with self._timed(Phase.PROVE) as result:
            asked_at = moment or plan.window.end_at or plan.window.begin_at
            database = database_of(ground.production.address)
            self.proven = proven_data(
                copy, ground.loaded.plan, database, asked_at, last or plan.window.begin_at
            )
            self._note(list(self.proven.checks))
            result |= self.proven.to_json()
        with self._timed(Phase.APPLICATION):
            self._play(enclosure, place, copy, database)

    def _replay(self, plan: RestorePlan, superuser: str) -> datetime | None:
        """Recover the copy, examine its files, and return the time of its last commit."""
        ground = self.ground
        with self._timed(Phase.REPLAY) as result:
            done = recover(plan, ground.repository, superuser, ground.clock, self._progress)
            last = done.last_commit_at
            result |= {
                "planned_lsn": str(plan.planned_lsn),
                "reached_lsn": str(done.reached),
                "timeline": done.timeline,
                "last_commit_at": None if last is None else last.isoformat(),
            }
        with self._timed(Phase.PROVE):
            self._note(examine_files(plan, done, self._progress))
        return last

    def _isolate(self, place: Place, stack: ExitStack) -> Enclosure | None:
        """Return the namespaces, proven; None where the machine allows none."""
        ground = self.ground
        view = View(
            own=(place.inner, place.staging),
            readable=(ground.loaded.base,),
            hidden=tuple(
                path
                for path in (
                    *ground.production.sockets,
                    ground.production.data_dir,
                    ground.production.repository_dir,
                    *ground.hidden,
                )
                if path is not None
            ),
            sockets=place.sockets,
            lifetime_s=self.drill.lifetime_s,
        )
        targets = targets_of(ground.production)
        try:
            enclosure = stack.enter_context(enclosed(view))
        except UnavailableError as error:
            self._note([unproven(error.message)])
            return None
        checks = prove_isolation(enclosure, place, targets)
        self._note(checks)
        open_ways = [check.name for check in checks if check.outcome != "passed"]
        if open_ways:
            raise RefusedError(f"nothing was started: {', '.join(open_ways)}")
        return enclosure

    def _resolve(self, place: Place) -> RestorePlan:
        """Return the operation plan for a moment of the newest backup's window."""
        ground = self.ground
        latest = RestoreRequest(
            RecoveryTarget(TargetKind.LATEST), place.cluster, bin_dirs=ground.bin_dirs
        )
        newest = plan_restore(ground.repository, latest)
        self.backup = str(newest.manifest.backup_id)
        moment = choose_moment(newest.window, self.seed)
        if moment is None:
            self.findings.append("the log holds no commit after the backup: recovered to its end")
        target = target_of(moment, newest.chain.timeline)
        request = RestoreRequest(
            target, place.cluster, newest.manifest.backup_id, bin_dirs=ground.bin_dirs
        )
        return plan_restore(ground.repository, request)

    def _play(self, enclosure: Enclosure | None, place: Place, copy: Copy, database: str) -> None:
        """Carry the drill's own steps out; the first that does not pass ends it."""
        self.findings += [
            f"step {left.id} was left out: {left.why}" for left in self.steps.left_out
        ]
        if not self.steps.steps:
            if self.drill.kind is DrillKind.COMPLETE:
                why = "the drill has no steps that start the application"
                self._note([_not_asked(why)])
            return
        if enclosure is None:
            self._note([_not_asked(_NO_PROGRAMS)])
            return
        stage = Stage(
            enclosure,
            place,
            self.ground.loaded,
            copy.address.with_options(dbname=database),
            copy.server.socket_dir,
            copy.superuser,
            database,
            self.kept,
            self.ground.clean,
            self._go_on,
        )
        for step in self.steps.steps:
            self._go_on()
            check = stage.play(step)
            self._note([check])
            if check.outcome not in ("passed", "skipped"):
                return

    @contextmanager
    def _timed(self, phase: Phase) -> Iterator[dict[str, JsonValue]]:
        """Walk a phase that a real recovery has as well: its time counts."""
        self._go_on()
        begun_s = self.ground.clock.monotonic()
        with self.record.phase(phase) as result:
            try:
                yield result
            finally:
                self.spent_s += self.ground.clock.monotonic() - begun_s

    def _progress(self, phase: str, done: int, total: int | None) -> None:
        self._go_on()
        self.ground.progress(phase, done, total)

    def _go_on(self) -> None:
        if (why := self.ground.given_up()) is not None:
            raise GivenUpError(why)
        if self.ground.clock.monotonic() - self.begun_s > self.drill.lifetime_s:
            raise TooLongError(
                f"it took longer than its lifetime of {self.drill.lifetime_s:g} s",
                hint="Give the drill a longer lifetime in the plan.",
            )

    def _note(self, checks: list[CheckResult]) -> None:
        self.checks += checks
        self.record.checked(checks)

    def _ending(self, failure: str | None, given_up: str | None) -> Ending:
        proven = self.proven
        walked = Walked(
            self.checks,
            self.objective,
            failure,
            given_up,
            round(self.spent_s, 3) if self.walked_all else None,
            None if proven is None else proven.data_loss_window_s,
            None if proven is None else proven.data_loss_bound_s,
        )
        verdict, reasons = judge(walked)
        return Ending(
            verdict,
            reasons,
            tuple(self.findings),
            walked.recovery_time_s,
            walked.data_loss_window_s,
            walked.data_loss_bound_s,
        )


def _resolved_json(plan: RestorePlan) -> dict[str, JsonValue]:
    end_at = plan.window.end_at
    return {
        "backup": str(plan.manifest.backup_id),
        "moment": plan.target.value,
        "timeline": plan.chain.timeline,
        "window_begin_at": plan.window.begin_at.isoformat(),
        "window_end_at": None if end_at is None else end_at.isoformat(),
        "bytes": plan.bytes,
        "log_bytes": plan.log_bytes,
        "postgresql": plan.installation.version,
    }


def _not_asked(why: str) -> CheckResult:
    return CheckResult("application", Outcome.UNKNOWN, "it answers", "not asked", why)
