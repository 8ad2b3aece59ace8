"""What a drill of a plan works with: the repository read only, the key it is opened with, facts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from processpilot.clock import Clock
from processpilot.drill.builtin import drills_of
from processpilot.drill.facts import Facts, facts_of
from processpilot.drill.lead import DrillRequest, OpenedWith, lead
from processpilot.drill.proof import Production
from processpilot.drill.readonly import ReadOnlyStore
from processpilot.drill.record import LEASE
from processpilot.drill.rehearsal import Ground
from processpilot.drill.schedule import Drills
from processpilot.drill.state import Rehearsal
from processpilot.errors import ProcessPilotError
from processpilot.journal.journal import Journal
from processpilot.journal.lease import acquire_lease
from processpilot.plan.outside import Drill
from processpilot.plan.secrets import read_secret
from processpilot.progress import Progress
from processpilot.repository.keys import Identity
from processpilot.repository.repository import Repository, open_repository
from processpilot.runbook.history import open_runs
from processpilot.steps.redact import Redactor
from processpilot.wiring.dossiers import leave_evidence, make_drill_evidence
from processpilot.wiring.drivers import store_for
from processpilot.wiring.wired import Wired

BY_SCHEDULE = "the schedule"
_LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class Opened:
    """The repository, read only, and the key that opened it."""

    reading: Repository
    key: OpenedWith


def open_for_drill(wired: Wired, key: Identity | None) -> Opened:
    """Return the repository opened with `key` alone, or with this machine's own without one."""
    spec = wired.loaded.plan.repository
    own = "opened with this machine's own key; give the escrow key with --key to prove that one"
    identity, remark = key, None
    if identity is None:
        identity = Identity(read_secret(spec.identity, wired.loaded.base).text)
        remark = own
    store = store_for(wired.loaded)
    reading = open_repository(ReadOnlyStore(store), identity, expected_id=spec.id)
    proofs = open_repository(store, identity, expected_id=spec.id)
    if remark is None and reading.opened_as.label == _own_label(wired):
        remark = own
    return Opened(reading, OpenedWith(reading.opened_as.label, remark, proofs))


def _own_label(wired: Wired) -> str | None:
    """Return the label of this machine's own key; None where it is not there any more."""
    try:
        return wired.repository.opened_as.label
    except ProcessPilotError:
        return None


def facts_now(wired: Wired, drill: Drill) -> Facts:
    """Return what a verdict of the drill would depend on today."""
    try:
        version = wired.facts().server_version.split()[0]
    except ProcessPilotError:
        version = None
    return facts_of(wired.loaded.plan, drill, version)


def walk_drill(
    wired: Wired,
    request: DrillRequest,
    opened: Opened,
    progress: Progress,
    stopped: Callable[[], bool],
) -> Rehearsal:
    """Walk a drill to its verdict; LockedError while another one is under way.

    It gives up when `stopped` says so and when a run begins; it fails after its lifetime.
    """
    given_up = _GivingUp(wired.journal, wired.clock, stopped)
    ground = Ground(
        wired.loaded,
        opened.reading,
        _production(wired),
        (wired.state_dir, wired.spool_dir),
        wired.bin_dirs,
        wired.clock,
        progress,
        lambda data, secrets: Redactor(secrets).clean(data),
        given_up,
    )
    with acquire_lease(wired.journal, LEASE, wired.locks) as lease:
        walked = lead(ground, wired.journal, lease, request, opened.key)
    name = walked.rehearsal_id
    leave_evidence(wired, lambda: make_drill_evidence(wired, name), name)
    return walked


def outputs_dir(wired: Wired, rehearsal_id: str) -> Path:
    """Return where the words of a drill's programs are kept."""
    return wired.state_dir / "drills" / rehearsal_id


def scheduled_drills(wired: Wired) -> Drills:
    """Return what has the plan's drills walked when they are due, each by a process of its own."""
    return Drills(
        lambda: drills_of(wired.loaded.plan),
        wired.journal,
        wired.clock,
        lambda drill_id: _begin(wired, drill_id),
    )


def _begin(wired: Wired, drill_id: str) -> subprocess.Popen[bytes]:
    words = ("drill", "run", drill_id, "--scheduled", "--plan", str(wired.loaded.path))
    folder = wired.state_dir / "drills"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "scheduled.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "processpilot", *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _production(wired: Wired) -> Production:
    loaded = wired.loaded
    data_dir, url = loaded.plan.database.data_dir, loaded.plan.repository.url
    return Production(
        wired.address,
        None if data_dir is None else loaded.resolve(data_dir),
        None if "://" in url else loaded.resolve(url),
    )


class _GivingUp:
    """Says why a drill should end; asked thousands of times a second, it looks once a second."""

    def __init__(self, journal: Journal, clock: Clock, stopped: Callable[[], bool]) -> None:
        self._journal = journal
        self._clock = clock
        self._stopped = stopped
        self._looked_s = clock.monotonic() - _LOOK_S
        self._why: str | None = None

    def __call__(self) -> str | None:
        if self._why is not None:
            return self._why
        now_s = self._clock.monotonic()
        if self._stopped():
            self._why = "it was told to end"
        elif now_s - self._looked_s >= _LOOK_S:
            self._looked_s = now_s
            if runs := open_runs(self._journal):
                self._why = f"run {runs[0]} needs the machine"
        return self._why
