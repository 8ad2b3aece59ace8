"""Fence, swap, start: the recovered cluster takes the old one's place.

Nothing is deleted. The old data directory is renamed and named in the result. Unreachable is not
dead: without proof the fence fails and a person decides.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from processpilot.errors import (
    IntegrityError,
    NotFoundError,
    ProcessPilotError,
    RefusedError,
    UnavailableError,
)
from processpilot.postgres.cluster import postmaster_of, server_processes, unseen_servers
from processpilot.postgres.connection import ServerAddress, listener_of
from processpilot.postgres.control import ClusterState, read_control
from processpilot.postgres.lsn import Lsn
from processpilot.recovery.ground import Ground
from processpilot.recovery.look import why_silent
from processpilot.recovery.rebuild import required_result
from processpilot.recovery.salvage import old_log_end
from processpilot.restore.staging import staging_of
from processpilot.runbook.action import (
    Happened,
    NotHappened,
    ProbeAnswer,
    Result,
    StepContext,
)
from processpilot.runbook.state import RunState
from processpilot.services.driver import ServiceDriver

_DYING_S = 15.0
_POLL_S = 0.1
_START_S = 120.0
_BEGUN_S = 20.0


class StaleCopyError(RefusedError):
    """The old server went on after the copy was made: taking its place would lose that."""

    code = "stale-copy"


class Fence:
    """Stops the old server through what runs it, keeps it stopped, and proves it dead."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def probe(self, context: StepContext) -> ProbeAnswer:
        """Fencing a fenced server changes nothing."""
        return NotHappened()

    def execute(self, context: StepContext) -> Result:
        """Return the proof; RefusedError when the old server lives or nobody can tell."""
        ground = self._ground
        driver = ground.driver_of(ground.component_of(context))
        data_dir = ground.data_dir
        why_silent(ground)
        step = context.run.step(context.spec.id)
        if step is None or step.approved_by is None:
            _refuse_while_alive(data_dir)
        trouble = None if driver is None else _hold(driver)
        deadline = ground.clock.monotonic() + _DYING_S
        while (alive := server_processes(data_dir)) and ground.clock.monotonic() < deadline:
            ground.clock.sleep(_POLL_S)
        if alive:
            raise RefusedError(
                f"the old server is alive: processes {', '.join(map(str, alive))} in {data_dir}",
                hint="Stop it, then run `processpilot run retry`.",
            )
        _refuse_stale(ground, context.run)
        recovered = Path(str(required_result(context.run, "restore")["folder"]))
        if unseen := unseen_servers(recovered.stat().st_uid):
            raise RefusedError(
                f"cannot see where processes {', '.join(map(str, unseen))} (postgres) work, "
                "so nobody can say that the old server is dead",
                hint="Run as root or as the server's account, then `processpilot run retry`.",
            )
        if (listener := listener_of(ground.address)) is not None:
            raise RefusedError(
                f"something still accepts connections at {listener}",
                hint="Stop it, then run `processpilot run retry`.",
            )
        return {
            "processes": 0,
            "port": "closed",
            "held_by": driver.name if driver is not None and driver.holds else None,
            "note": trouble
            or (
                None
                if driver is not None and driver.holds
                else "nothing in the plan can keep the old server from being started"
            ),
        }


def _refuse_stale(ground: Ground, run: RunState) -> None:
    """Refuse a copy that lacks log which the old server wrote and its disk still holds."""
    reached = Lsn.parse(str(required_result(run, "replay")["reached_lsn"]))
    end = old_log_end(ground, reached).end
    if end is not None and end > reached:
        raise StaleCopyError(
            f"the old server wrote log up to {end}, the recovered copy ends at {reached}",
            hint="Abort this run and recover again, which takes that log in: processpilot run "
            f"abort {run.run_id}. If it is not to be kept, move {ground.data_dir} away and retry.",
        )


def _hold(driver: ServiceDriver) -> str | None:
    """Keep the old server stopped; return what a driver complained of that cannot hold anyway."""
    try:
        driver.hold()
    except UnavailableError as error:
        if driver.holds:
            raise
        return error.message
    return None


def _refuse_while_alive(data_dir: Path) -> None:
    """A server that is only silent is ended by a person, never by an agent on its own."""
    if (pid := postmaster_of(data_dir)) is not None:
        raise RefusedError(
            f"the old server does not answer, but it runs (pid {pid}) in {data_dir}",
            hint="Find out what it does; stop it, then run `processpilot run retry`.",
        )


class Swap:
    """Renames the old data directory aside and the recovered one into its place."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def probe(self, context: StepContext) -> ProbeAnswer:
        """The recovered folder's name tells: once it is gone, the last rename happened."""
        places = _places(self._ground, context.run)
        if all(not p.recovered.exists() and p.final.exists() for p in places):
            return Happened(_described(places))
        return NotHappened()

    def execute(self, context: StepContext) -> Result:
        """Return what lies where now; repeating it continues where it stopped."""
        required_result(context.run, "fence")
        replay = required_result(context.run, "replay")
        _require_proof(context.run)
        ground = self._ground
        self._check_nothing_runs()
        places = _places(ground, context.run)
        data = places[-1]
        if data.recovered.exists():
            _check_recovered(data.recovered, int(str(replay["timeline"])))
        for place in places:
            _rename(place)
        _check_recovered(data.final, int(str(replay["timeline"])))
        shutil.rmtree(staging_of(data.recovered), ignore_errors=True)
        return _described(places)

    def _check_nothing_runs(self) -> None:
        data_dir = self._ground.data_dir
        if (pid := postmaster_of(data_dir)) is not None:
            raise RefusedError(
                f"a server (pid {pid}) runs in {data_dir}",
                hint="Stop it, then run `processpilot run retry`.",
            )


def _require_proof(run: RunState) -> None:
    """Refuse to swap in what was not proven, unless a person skipped the proof with a reason."""
    proofs = [step for step in run.steps if step.spec.action == "prove"]
    if not any(step.is_settled for step in proofs):
        raise RefusedError(
            "the recovered data was not examined",
            hint="Let a step with the action prove come before the swap in the plan.",
        )


class _Place:
    """One folder to be swapped: where it was built, where it goes, where the old one is kept.

    `link` is the symbolic link of a tablespace, to be pointed at the final place first.
    """

    def __init__(self, recovered: Path, final: Path, run_id: str, link: Path | None) -> None:
        self.recovered = recovered
        self.final = final
        self.aside = final.with_name(f"{final.name}.before-{run_id}")
        self.link = link


def _places(ground: Ground, run: RunState) -> list[_Place]:
    """Return the tablespaces' places, and the data directory's as the last one."""
    result = required_result(run, "restore")
    folder = Path(str(result["folder"]))
    spaces = result["tablespaces"]
    assert isinstance(spaces, dict)
    suffix = f".recovered-{run.run_id}"
    places = []
    for oid, text in sorted(spaces.items()):
        built = Path(str(text))
        final = built.with_name(built.name.removesuffix(suffix))
        places.append(_Place(built, final, run.run_id, folder / "pg_tblspc" / oid))
    places.append(_Place(folder, ground.data_dir, run.run_id, None))
    return places


def _rename(place: _Place) -> None:
    if not place.recovered.exists():
        if not place.final.exists():
            raise NotFoundError(f"neither {place.recovered} nor {place.final} is there")
        return
    if place.final.exists():
        if place.aside.exists():
            raise RefusedError(
                f"both {place.final} and {place.aside} are there besides {place.recovered}",
                hint="Somebody created a folder meanwhile; move it away, then retry.",
            )
        place.final.rename(place.aside)
        _sync(place.final.parent)
    if place.link is not None and place.link.is_symlink():
        temporary = place.link.with_name(f".{place.link.name}.new")
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(place.final)
        status = place.link.lstat()
        if os.geteuid() == 0:
            os.chown(temporary, status.st_uid, status.st_gid, follow_symlinks=False)
        temporary.rename(place.link)
        _sync(place.link.parent)
    place.recovered.rename(place.final)
    _sync(place.final.parent)


def _check_recovered(folder: Path, timeline: int) -> None:
    control = read_control(folder)
    if control.timeline != timeline or control.state is not ClusterState.SHUT_DOWN:
        raise IntegrityError(
            f"{folder} is on timeline {control.timeline} ({control.state.name}), "
            f"the recovered cluster was shut down on timeline {timeline}"
        )


def _described(places: list[_Place]) -> Result:
    data = places[-1]
    return {
        "data_dir": str(data.final),
        "old_data_dir": str(data.aside) if data.aside.exists() else None,
        "tablespaces": [str(place.final) for place in places[:-1]],
        "old_tablespaces": [str(p.aside) for p in places[:-1] if p.aside.exists()],
    }


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class StartDatabase:
    """Starts the recovered database and makes sure that it is the one that answers."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._complaint: ProcessPilotError | None = None

    def probe(self, context: StepContext) -> ProbeAnswer:
        """Starting a running server changes nothing."""
        return NotHappened()

    def execute(self, context: StepContext) -> Result:
        """Return what answers now; RefusedError where a person has to start it."""
        ground = self._ground
        required_result(context.run, "swap")
        replay = required_result(context.run, "replay")
        component = ground.component_of(context)
        driver = ground.driver_of(component)
        attempts = self._attempts(ground.address, int(str(replay["timeline"])))
        deadline = ground.clock.monotonic() + _START_S
        if driver is not None:
            driver.release()
            if next(attempts) is None:
                return {"started_by": "an earlier attempt"}
            deadline = self._start(driver, deadline)
        for error in attempts:
            if error is None:
                return {"started_by": None if driver is None else driver.name}
            if driver is None:
                raise RefusedError(
                    f"nothing in the plan says how to start {component.title}",
                    hint=f"Start the server on {ground.data_dir} yourself, then run "
                    "`processpilot run retry`.",
                )
            if ground.clock.monotonic() > deadline:
                raise self._complaint or error
            ground.clock.sleep(_POLL_S)
        raise AssertionError("unreachable")

    def _start(self, driver: ServiceDriver, deadline: float) -> float:
        """Start the server; return until when to wait for it.

        A killed predecessor may have begun to start it, which some drivers call a failure: only
        whether the right server answers counts, but that should then show soon.
        """
        try:
            driver.start()
        except UnavailableError as error:
            self._complaint = error
            return self._ground.clock.monotonic() + _BEGUN_S
        self._complaint = None
        return deadline

    def _attempts(
        self, address: ServerAddress, timeline: int
    ) -> Iterator[ProcessPilotError | None]:
        """Yield None when the recovered server answers, otherwise why not."""
        while True:
            try:
                with address.session() as connection:
                    row = connection.execute(
                        "select system_identifier, timeline_id, pg_is_in_recovery()"
                        " from pg_control_system(), pg_control_checkpoint()"
                    ).fetchone()
            except UnavailableError as error:
                yield error
                continue
            assert row is not None
            expected = self._ground.repository.settings.system_identifier
            if int(row[0]) != expected or int(row[1]) < timeline or row[2]:
                raise IntegrityError(
                    f"what answers at {address.shown} is cluster {row[0]} on timeline {row[1]}"
                    f"{' in recovery' if row[2] else ''}, expected {expected} on {timeline}"
                )
            yield None
