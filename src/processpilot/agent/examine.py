"""`check`: can we receive, store, read back, reach the services? Every line says what to do.

Nothing is changed, except that a small object is written to the repository and removed again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from processpilot.agent.keys import ESCROW_PROVEN
from processpilot.agent.readiness import harm_in, lack_of_room
from processpilot.backup.inspect import read_facts, read_role, readable_data_directory
from processpilot.backup.receiver import read_slot
from processpilot.backup.synchronous import check_synchronous
from processpilot.checks.result import Outcome
from processpilot.errors import ProcessPilotError
from processpilot.plan.model import ProtectionMode
from processpilot.postgres.binaries import installation_for
from processpilot.repository.keys import list_recipients
from processpilot.repository.manifest import ClusterFacts, Manifest
from processpilot.wiring.drivers import driver_for
from processpilot.wiring.wired import Wired

_SPOOL_SEGMENTS = 64
_SKEW_S = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `check`; `hint` says what to do unless it passed."""

    name: str
    outcome: Outcome
    detail: str
    hint: str | None = None


class Examination:
    """Looks at everything the plan relies on."""

    def __init__(self, wired: Wired) -> None:
        self._wired = wired

    def run(self) -> list[Finding]:
        """Return every finding."""
        return [*self._server(), *self._repository(), *self._services(), *self._plan()]

    def _guard(self, name: str, look: Callable[[], str]) -> Finding:
        try:
            return Finding(name, Outcome.PASSED, look())
        except ProcessPilotError as error:
            return Finding(name, Outcome.FAILED, error.message, error.hint)

    def _server(self) -> Iterator[Finding]:
        wired = self._wired
        try:
            with wired.address.session() as connection:
                facts = read_facts(connection)
                yield Finding("server", Outcome.PASSED, f"PostgreSQL {facts.server_version}")
                yield from self._settings(connection, facts)
        except ProcessPilotError as error:
            yield Finding("server", Outcome.FAILED, error.message, error.hint)
            return
        yield self._guard("programs", lambda: self._programs(facts))
        yield self._data_dir(facts)
        yield self._spool(facts)

    def _settings(self, connection: psycopg.Connection, facts: ClusterFacts) -> Iterator[Finding]:
        role = read_role(connection)
        yield _passed_if(
            "login",
            role.superuser or role.replication,
            f"{role.name} may{'' if role.superuser or role.replication else ' not'} replicate",
            f"Run ALTER ROLE {role.name} REPLICATION; and let pg_hba.conf admit it.",
        )
        level = facts.settings.get("wal_level", "")
        yield _passed_if(
            "wal_level",
            level != "minimal",
            f"{level}",
            "Run ALTER SYSTEM SET wal_level = replica; and restart the server.",
        )
        senders = int(facts.settings.get("max_wal_senders", "0"))
        yield _passed_if(
            "max_wal_senders",
            senders >= 2,
            str(senders),
            "Run ALTER SYSTEM SET max_wal_senders = 10; and restart the server.",
        )
        keep = facts.settings.get("max_slot_wal_keep_size", "-1")
        yield _passed_if(
            "max_slot_wal_keep_size",
            keep != "-1",
            "bounded" if keep != "-1" else "without bound: a receiver that is away fills the disk",
            "Run ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'; SELECT pg_reload_conf();",
        )
        yield _passed_if(
            "data checksums",
            facts.data_checksums,
            "on" if facts.data_checksums else "off: silent corruption would not be noticed",
            "Stop the server and run pg_checksums --enable when you can.",
            otherwise=Outcome.SKIPPED,
        )
        slot = read_slot(connection, self._wired.loaded.plan.protection.slot)
        if slot is not None and slot.wal_status == "lost":
            yield Finding(
                "slot",
                Outcome.FAILED,
                f"the slot {slot.name} has lost log",
                "Run `processpilot up`; it makes a new one and takes a backup.",
            )
        if self._wired.loaded.plan.protection.mode is ProtectionMode.SYNCHRONOUS:
            yield self._guard("synchronous protection", lambda: _synchronous(connection))
        row = connection.execute("select clock_timestamp()").fetchone()
        assert row is not None
        skew = abs((self._wired.clock.now() - row[0]).total_seconds())
        yield _passed_if(
            "clocks",
            skew < _SKEW_S,
            f"{skew:.1f} s apart",
            "Set both machines' clocks (chrony, systemd-timesyncd); targets in time rely on them.",
        )

    def _programs(self, facts: ClusterFacts) -> str:
        installation = installation_for(facts.major, self._wired.bin_dirs)
        missing = [
            name
            for name in ("postgres", "pg_receivewal", "pg_waldump")
            if not (installation.bin_dir / name).exists()
        ]
        if missing:
            raise ProcessPilotError(
                f"{installation.bin_dir} lacks {', '.join(missing)}",
                hint=f"Install PostgreSQL {facts.major}'s server and client packages.",
            )
        return f"PostgreSQL {installation.version} in {installation.bin_dir}"

    def _data_dir(self, facts: ClusterFacts) -> Finding:
        configured = self._wired.loaded.plan.database.data_dir
        path = None if configured is None else self._wired.loaded.resolve(configured)
        if readable_data_directory(facts, path) is not None:
            return Finding("data directory", Outcome.PASSED, f"readable: {facts.data_directory}")
        if configured is None:
            return Finding(
                "data directory",
                Outcome.PASSED,
                "not readable here; backups go through the replication protocol",
            )
        return Finding(
            "data directory",
            Outcome.FAILED,
            f"{path} is not the server's data directory, or cannot be read",
            "Correct database.data_dir, or run as the server's account or root.",
        )

    def _spool(self, facts: ClusterFacts) -> Finding:
        spool = self._wired.spool_dir
        existing = next(p for p in (spool, *spool.parents) if p.exists())
        free = shutil.disk_usage(existing).free
        wanted = _SPOOL_SEGMENTS * facts.wal_segment_bytes
        if free < wanted:
            return Finding(
                "spool",
                Outcome.FAILED,
                f"{free} bytes free in {existing}, {wanted} wanted",
                "Free space, or set protection.spool_dir to another disk.",
            )
        data_dir = Path(facts.data_directory)
        if data_dir.exists() and os.stat(data_dir).st_dev == os.stat(existing).st_dev:  # noqa: PTH116
            return Finding(
                "spool",
                Outcome.SKIPPED,
                "on the database's own disk: it dies with it",
                "Set protection.spool_dir to another disk.",
            )
        return Finding("spool", Outcome.PASSED, str(spool))

    def _repository(self) -> Iterator[Finding]:
        wired = self._wired
        found = self._guard("repository", self._write_and_read)
        yield found
        if found.outcome is not Outcome.PASSED:
            return
        backups = wired.repository.backup_ids()
        yield _passed_if(
            "backup",
            bool(backups),
            f"{len(backups)}, newest {backups[-1]}" if backups else "there is none",
            "Run `processpilot backup create`, or `processpilot up`.",
        )
        if backups:
            yield from self._readiness(wired.repository.manifest(backups[-1]))
        yield self._escrow()

    def _readiness(self, newest: Manifest) -> Iterator[Finding]:
        """Say whether a recovery could begin, and whether the repository would outlive the disk."""
        loaded = self._wired.loaded
        for harm in harm_in(newest):
            yield Finding(
                "newest backup",
                Outcome.FAILED,
                harm,
                "Run `processpilot backup verify`; mend the cluster, then take another backup.",
            )
        if loaded.plan.database.data_dir is None:
            return
        data_dir = loaded.resolve(loaded.plan.database.data_dir)
        lack = lack_of_room(newest, data_dir)
        yield _passed_if(
            "room for a recovery",
            lack is None,
            lack or f"there is room beside {data_dir}",
            "Free space on that disk, or move the data directory to a larger one.",
        )
        url = loaded.plan.repository.url
        if "://" not in url and _same_disk(loaded.resolve(url), data_dir):
            yield Finding(
                "repository's place",
                Outcome.SKIPPED,
                "on the database's own disk: it dies with it",
                "Keep the repository, or a copy of it, on another disk.",
            )

    def _write_and_read(self) -> str:
        repository = self._wired.repository
        name = f"probes/{self._wired.tag():08x}"
        try:
            repository.put_object(name, b"probe")
            if repository.get_object(name) != b"probe":
                raise ProcessPilotError(f"{repository.store.location} gave back other bytes")
        finally:
            repository.store.delete(name)
        return f"{repository.store.location} written and read as {repository.opened_as.label}"

    def _escrow(self) -> Finding:
        repository = self._wired.repository
        escrow = {
            (holder.label, holder.public)
            for holder in list_recipients(repository.store)
            if holder.label != repository.opened_as.label
        }
        if not escrow:
            return Finding(
                "escrow key",
                Outcome.FAILED,
                "there is none: who loses this machine loses the backups",
                "Run `processpilot key add escrow --new FILE`, then keep the file elsewhere.",
            )
        proven = self._wired.journal.latest(ESCROW_PROVEN)
        if proven is None or (proven.data.get("label"), proven.data.get("public")) not in escrow:
            return Finding(
                "escrow key",
                Outcome.FAILED,
                "nobody has proven that it opens a backup",
                "Run `processpilot key check --key FILE` with the escrow key after the first "
                "backup, then keep the key away from this machine.",
            )
        return Finding("escrow key", Outcome.PASSED, f"opened backup {proven.data['backup_id']}")

    def _services(self) -> Iterator[Finding]:
        wired = self._wired
        recovered = {scenario.component for scenario in wired.loaded.plan.scenarios}
        for component in wired.loaded.plan.components:
            driver = driver_for(component, wired.loaded)
            if driver is None and component.id in recovered:
                yield Finding(
                    f"service of {component.id}",
                    Outcome.SKIPPED,
                    "nothing in the plan starts it: a recovery will wait for a person",
                    "Add a service to the component, see the comments in the plan.",
                )
            if driver is not None:
                yield self._guard(
                    f"service of {component.id}",
                    lambda driver=driver: f"{driver.name}: {driver.status().state}",  # type: ignore[misc]
                )
            for spec in component.probes:
                if spec.kind == "heartbeat":
                    continue
                result = wired.prober.run(component.id, spec)
                yield Finding(
                    f"probe {result.probe}",
                    result.outcome,
                    result.detail or f"passed in {result.duration_s * 1000:.0f} ms",
                    None
                    if result.outcome is Outcome.PASSED
                    else "Start what it asks for, or correct the probe in the plan.",
                )

    def _plan(self) -> Iterator[Finding]:
        plan = self._wired.loaded.plan
        for scenario in plan.scenarios:
            component = plan.component(scenario.component)
            allowed = sum(step.timebox_s or 0.0 for step in scenario.steps)
            yield _passed_if(
                f"scenario {scenario.id}",
                allowed <= component.rto_s,
                f"its time boxes add up to {allowed / 60:.0f} min, the objective is "
                f"{component.rto_s / 60:.0f} min",
                "Shorten the steps' time boxes, or agree on another objective.",
            )
        if plan.ledger is not None:
            path = self._wired.loaded.resolve(plan.ledger.file)
            yield _passed_if(
                "ledger",
                os.access(path, os.R_OK),
                str(path),
                "Correct ledger.file, or start what writes it.",
            )


def _passed_if(
    name: str, holds: bool, detail: str, hint: str, otherwise: Outcome = Outcome.FAILED
) -> Finding:
    if holds:
        return Finding(name, Outcome.PASSED, detail)
    return Finding(name, otherwise, detail, hint)


def _same_disk(one: Path, other: Path) -> bool:
    try:
        return one.stat().st_dev == other.stat().st_dev
    except OSError:
        return False


def _synchronous(connection: psycopg.Connection) -> str:
    check_synchronous(connection)
    return "possible; commits wait while the receiver is away, until the grace period ends"


def is_ready(findings: list[Finding]) -> bool:
    """Whether nothing failed and nothing was left unknown."""
    return all(f.outcome in (Outcome.PASSED, Outcome.SKIPPED) for f in findings)
