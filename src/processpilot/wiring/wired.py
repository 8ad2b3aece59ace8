"""A plan with everything it names within reach; what may fail is opened when asked for."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from processpilot.backup.inspect import read_facts
from processpilot.backup.protection import Protection, ProtectionGround, ProtectionSettings
from processpilot.checks.probe import Prober
from processpilot.clock import Clock, SystemClock
from processpilot.errors import UnavailableError
from processpilot.journal.journal import JOURNAL_FILE, Journal
from processpilot.plan.load import LoadedPlan, load_plan
from processpilot.plan.model import ProtectionMode
from processpilot.plan.secrets import read_secret
from processpilot.postgres.binaries import installation_for
from processpilot.postgres.connection import ServerAddress
from processpilot.repository.keys import Identity
from processpilot.repository.manifest import ClusterFacts
from processpilot.repository.repository import Repository, open_repository
from processpilot.wiring.drivers import store_for

SECRETS = "secrets"


@dataclass(frozen=True)
class Wired:
    """One plan, opened. Make it with `open_plan`, close it with `close`."""

    loaded: LoadedPlan
    clock: Clock
    journal: Journal
    tag: Callable[[], int]

    @property
    def state_dir(self) -> Path:
        """The folder of journal, spool and locks."""
        return self.loaded.state_dir

    @property
    def locks(self) -> Path:
        """Where lock files lie."""
        return self.state_dir / "locks"

    @property
    def spool_dir(self) -> Path:
        """Where the receiver writes."""
        text = self.loaded.plan.protection.spool_dir
        return self.state_dir / "spool" if text is None else self.loaded.resolve(text)

    def reports_dir(self, run_id: str) -> Path:
        """Where a run's report lies."""
        return self.state_dir / "runs" / run_id

    @cached_property
    def address(self) -> ServerAddress:
        """The protected database, with its password."""
        database = self.loaded.plan.database
        password = None
        if database.password is not None:
            password = read_secret(database.password, self.loaded.base).text
        return ServerAddress.parse(database.dsn, password)

    @cached_property
    def repository(self) -> Repository:
        """The repository, opened with the key the plan names."""
        spec = self.loaded.plan.repository
        secret = read_secret(spec.identity, self.loaded.base)
        return open_repository(store_for(self.loaded), Identity(secret.text), expected_id=spec.id)

    @cached_property
    def prober(self) -> Prober:
        """What runs the plan's probes."""
        return Prober(self.address, self.loaded.base, self.clock)

    @property
    def bin_dirs(self) -> tuple[Path, ...]:
        """Where PostgreSQL's programs are looked for first."""
        text = self.loaded.plan.database.bin_dir
        return () if text is None else (self.loaded.resolve(text),)

    def facts(self) -> ClusterFacts:
        """Return the cluster's facts from the server, or from the newest backup when it is down."""
        try:
            with self.address.session() as connection:
                return read_facts(connection)
        except UnavailableError:
            backups = self.repository.backup_ids()
            if not backups:
                raise
            return self.repository.manifest(backups[-1]).cluster

    def protection(self) -> Protection:
        """Return the log stream the plan describes, not yet started."""
        facts = self.facts()
        spec = self.loaded.plan.protection
        settings = ProtectionSettings(
            spool=self.spool_dir,
            state_dir=self.state_dir,
            slot=spec.slot,
            segment_bytes=facts.wal_segment_bytes,
            synchronous=spec.mode is ProtectionMode.SYNCHRONOUS,
            sync_grace_s=spec.sync_grace_s,
            tail_interval_s=spec.tail_interval_s,
            heartbeat=spec.heartbeat,
        )
        ground = ProtectionGround(
            self.address,
            installation_for(facts.major, self.bin_dirs),
            self.repository,
            self.clock,
            lambda kind, data: _noted(self.journal, kind, data),
        )
        return Protection(settings, ground)

    def new_id(self) -> str:
        """Return an identifier for a run or an incident: a moment and four random digits."""
        return f"{self.clock.now():%Y%m%d-%H%M%S}-{self.tag() & 0xFFFF:04x}"

    def close(self) -> None:
        """Let go of the journal."""
        self.journal.close()


def _noted(journal: Journal, kind: str, data: object) -> None:
    assert isinstance(data, dict)
    journal.append("protection", kind, data)


def open_plan(path: Path, clock: Clock | None = None) -> Wired:
    """Return the plan at `path` with its journal opened; its state folder is made if needed."""
    loaded = load_plan(path)
    used = clock or SystemClock()
    journal = Journal.open(loaded.state_dir / JOURNAL_FILE, used)
    source = random.SystemRandom()
    return Wired(loaded, used, journal, lambda: source.getrandbits(32))
