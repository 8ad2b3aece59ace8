"""Verification never says fine where a restore would fail: every object, every kind of damage.

What verification calls intact is restored, replayed and compared; nightly, every object is damaged,
otherwise one of each kind.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from protected_site import SUPERUSER, Site, SiteMaker, wait_until
from site_acts import LATEST, opened_copy, scalar, streaming, wait_stored

from processpilot.backup.create import BackupId
from processpilot.clock import SystemClock
from processpilot.errors import NotFoundError, ProcessPilotError
from processpilot.progress import silent
from processpilot.repository.expire import execute_expiry, plan_expiry
from processpilot.repository.keys import Identity
from processpilot.repository.names import PACKS
from processpilot.repository.proofs import Proof, ProofKind, record_proof
from processpilot.repository.prune import execute_prune, plan_prune
from processpilot.repository.repository import Repository, open_repository
from processpilot.repository.retention import RetentionPolicy
from processpilot.repository.verify import verify_repository
from processpilot.restore.files import FileWriter
from processpilot.restore.finish import recover
from processpilot.restore.plan import RestoreRequest, plan_restore
from processpilot.restore.target import RecoveryTarget, TargetKind
from processpilot.storage.local import LocalStore

NIGHTLY = bool(os.environ.get("PROCESSPILOT_NIGHTLY"))
KEPT_NOW = RetentionPolicy(last=2, daily=0, weekly=0, monthly=0)


@dataclass(frozen=True)
class Vault:
    """A repository on disk that has every kind of object, and the key that opens it."""

    folder: Path
    identity: Identity
    bin_dirs: tuple[Path, ...]

    def open(self) -> Repository:
        """Return it opened anew, as a machine does that has nothing else."""
        return open_repository(LocalStore(self.folder), self.identity)

    def copy(self, folder: Path) -> Vault:
        """Return a copy whose files may be replaced; content is shared until then."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.folder, folder, copy_function=os.link)
        return Vault(folder, self.identity, self.bin_dirs)

    def names(self) -> list[str]:
        """Return every object's name."""
        return [info.name for info in LocalStore(self.folder).list("")]


def promoted(site: Site) -> None:
    """Lead the cluster onto a new timeline."""
    site.stop()
    (site.data / "standby.signal").touch()
    shutil.chown(site.data / "standby.signal", *_owner(site.data))
    site.start()
    site.run("select pg_promote()")
    wait_until(lambda: site.run("select pg_is_in_recovery()") == [(False,)], "the promotion")


def _owner(path: Path) -> tuple[int, int]:
    return path.stat().st_uid, path.stat().st_gid


@pytest.fixture
def vault(make_site: SiteMaker) -> Vault:
    """Backups on two timelines, log with a tail, a floor, rewritten packs, a pin, a proof."""
    site = make_site(18, wal_segment_bytes=1 << 20)
    site.run("create table t (id bigserial primary key, v text)")
    with streaming(site) as agent:
        for number in range(3):
            site.run(
                "insert into t (v) select md5(g::text) from generate_series(1, 20000) g",
                f"update t set v = v || '{number}'",
                "checkpoint",
            )
            site.back_up()
        wait_stored(site, agent)
    promoted(site)
    with streaming(site) as agent:
        site.run("insert into t (v) values ('on timeline 2')", "vacuum full t")
        site.back_up()
        site.run("insert into t (v) select md5(g::text) from generate_series(1, 9000) g")
        wait_stored(site, agent)
    with closing(site.wired()) as wired:
        repository, now = wired.repository, SystemClock().now()
        execute_expiry(repository, plan_expiry(repository, KEPT_NOW, now), now)
        writer = BackupId.new(now, 77)
        execute_prune(repository, plan_prune(repository, now), writer, silent)
        record_proof(repository, Proof(ProofKind.VERIFIED, now, tuple(repository.backup_ids())), 5)
        settings = yaml.safe_load(site.plan.read_text())["repository"]
        key = site.plan.parent / settings["identity"].removeprefix("file:")
        return Vault(site.folder / "repository", Identity(key.read_text()), wired.bin_dirs)


def restores(vault: Vault, folder: Path) -> None:
    """Restore the newest backup to the end of the log, and each one to its own end."""
    repository = vault.open()
    requests = [RestoreRequest(LATEST, folder, bin_dirs=vault.bin_dirs)]
    for backup in repository.backup_ids():
        target = RecoveryTarget(TargetKind.IMMEDIATE, timeline=repository.manifest(backup).timeline)
        requests.append(RestoreRequest(target, folder, backup, bin_dirs=vault.bin_dirs))
    for request in requests:
        shutil.rmtree(folder, ignore_errors=True)
        plan = plan_restore(repository, request)
        shutil.rmtree(plan.staging, ignore_errors=True)
        FileWriter(repository, plan.manifest, folder, plan.tablespaces, silent).write()
        recover(plan, repository, SUPERUSER, SystemClock(), silent)
        with opened_copy(plan) as copy:
            assert int(str(scalar(copy, "select count(*) from t where v is not null"))) >= 40_000


def intact(vault: Vault, only: BackupId | None = None) -> bool:
    """Whether the repository opens and verification finds nothing, quick or deep."""
    try:
        repository = vault.open()
        which = None if only is None else [only]
        quick = verify_repository(repository, which, deep=False, progress=silent)
        deep = verify_repository(repository, which, deep=True, progress=silent)
    except ProcessPilotError:
        return False
    assert quick.intact or not deep.intact, "a deep look sees less"
    return quick.intact


def replaced(path: Path, content: bytes) -> None:
    """Give a file of a copy other content; the original keeps its own."""
    path.unlink()
    path.write_bytes(content)


def flipped(data: bytes, share: float) -> bytes:
    """Return `data` with one bit changed."""
    place = min(int(len(data) * share), len(data) - 1)
    return data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :]


# In the tests of every day one damage of each sort; nightly all of them.
EVERY_DAY = ("removed", "middle bit", "a neighbour's")

Damage = Callable[[Path, Path], None]
DAMAGES: dict[str, Damage] = {
    "removed": lambda path, _: path.unlink(),
    "first bit": lambda path, _: replaced(path, flipped(path.read_bytes(), 0.0)),
    "middle bit": lambda path, _: replaced(path, flipped(path.read_bytes(), 0.5)),
    "last bit": lambda path, _: replaced(path, flipped(path.read_bytes(), 1.0)),
    "cut": lambda path, _: replaced(path, path.read_bytes()[:-1]),
    "longer": lambda path, _: replaced(path, path.read_bytes() + b"\0"),
    "empty": lambda path, _: replaced(path, b""),
    "a neighbour's": lambda path, other: replaced(path, other.read_bytes()),
}


def chosen(vault: Vault) -> Iterator[tuple[str, str]]:
    """Yield objects to damage, and another of the same kind."""
    kinds: dict[str, list[str]] = {}
    for name in vault.names():
        kinds.setdefault(name.partition("/")[0], []).append(name)
    assert set(kinds) >= {
        *("backups", "config", "floors", "histories", "keys", "moved"),
        *("packs", "proofs", "tails", "wal"),
    }
    for names in kinds.values():
        picked = names if NIGHTLY else {names[0], names[-1]}
        for name in sorted(picked):
            yield name, names[names.index(name) - 1]


@pytest.mark.timeout(5400 if NIGHTLY else 900)
def test_what_is_called_intact_restores(vault: Vault, tmp_path: Path) -> None:
    """Each object in turn is removed, changed or exchanged; then the word is put to the test."""
    assert intact(vault)
    restores(vault, tmp_path / "out")
    copy, called_intact, called_damaged = tmp_path / "copy", 0, 0
    for name, other in chosen(vault):
        for how in DAMAGES if NIGHTLY else EVERY_DAY:
            if name == other and how == "a neighbour's":
                continue
            damaged = vault.copy(copy)
            DAMAGES[how](copy / name, vault.folder / other)
            if intact(damaged):
                print(f"intact: {name} {how}")
                restores(damaged, tmp_path / "out")
                called_intact += 1
            else:
                called_damaged += 1
                _each_alone(damaged, vault, tmp_path / "out", f"{name} {how}")
    print(f"{called_damaged} called damaged, {called_intact} called intact and restored")
    assert called_damaged > called_intact


def _each_alone(damaged: Vault, whole: Vault, folder: Path, what: str) -> None:
    """A backup that is called intact when asked for alone restores to its own end."""
    for backup in whole.open().backup_ids():
        if not intact(damaged, backup):
            continue
        repository = damaged.open()
        target = RecoveryTarget(TargetKind.IMMEDIATE, timeline=repository.manifest(backup).timeline)
        request = RestoreRequest(target, folder, backup, bin_dirs=damaged.bin_dirs)
        shutil.rmtree(folder, ignore_errors=True)
        plan = plan_restore(repository, request)
        shutil.rmtree(plan.staging, ignore_errors=True)
        print(f"{backup} alone: intact with {what}")
        FileWriter(repository, plan.manifest, folder, plan.tablespaces, silent).write()
        if NIGHTLY:
            recover(plan, repository, SUPERUSER, SystemClock(), silent)


def test_a_store_put_back_to_yesterday_restores_yesterday(vault: Vault, tmp_path: Path) -> None:
    """Who takes the newest backup and log away can make us older, never wrong."""
    copy = vault.copy(tmp_path / "copy")
    newest = max(vault.open().backup_ids())
    for name in vault.names():
        belongs = str(newest) in name or name.startswith(("tails/", "wal/00000002", "histories/"))
        if belongs and not name.startswith(PACKS):
            (copy.folder / name).unlink()
    assert intact(copy)
    restores(copy, tmp_path / "out")
    with pytest.raises(NotFoundError):
        copy.open().manifest(newest)
