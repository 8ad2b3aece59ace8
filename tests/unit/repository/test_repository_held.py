"""Backups that stay whatever the policy says: pinned, brought back, locked by the store."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from made_repository import BEGIN, Folder, new_repository, take

from processpilot.errors import ChecksumError, LockedError, NotFoundError, RefusedError
from processpilot.progress import silent
from processpilot.repository.blob import BackupId
from processpilot.repository.expire import execute_expiry, plan_expiry
from processpilot.repository.kept import Keeping, keep_backup, read_keepings, release_backup
from processpilot.repository.names import EXPIRING, PACKS, objects
from processpilot.repository.proofs import (
    Proof,
    ProofKind,
    last_proofs,
    newest_brought_back,
    outlived,
    read_proofs,
    record_proof,
    remember,
)
from processpilot.repository.repository import Repository
from processpilot.repository.retention import RetentionPolicy
from processpilot.repository.verify import verify_repository

LAST = RetentionPolicy(last=1, daily=0, weekly=0, monthly=0)
LATER = BEGIN + timedelta(days=40)


@pytest.fixture
def four(tmp_path: Path) -> Repository:
    """A repository of four backups of changing files, a day apart."""
    repository = new_repository()
    folder = Folder(tmp_path / "data")
    for day in range(4):
        folder.write("base/5/1001", 20_000)
        take(repository, folder, day)
    return repository


def expire(repository: Repository, lock: timedelta = timedelta(0)) -> list[BackupId]:
    """Expire all but the last; what is left verifies to its last byte."""
    execute_expiry(repository, plan_expiry(repository, LAST, LATER, lock=lock), LATER)
    found = verify_repository(repository, None, deep=True, progress=silent)
    assert found.findings == ()
    return repository.backup_ids()


def test_a_pinned_backup_stays_until_it_is_unpinned(four: Repository) -> None:
    """With everything it needs; the reason is told."""
    ids = four.backup_ids()
    keep_backup(four, Keeping(ids[1], "before the migration", "ada", LATER))
    reasons = {kept.backup: kept.reasons for kept in plan_expiry(four, LAST, LATER).decision.kept}
    assert reasons[ids[1]] == ("pinned by ada: before the migration",)
    assert expire(four) == [ids[1], ids[3]]
    with pytest.raises(RefusedError, match="before the migration"):
        keep_backup(four, Keeping(ids[1], "again", "ada", LATER))
    release_backup(four, ids[1])
    assert expire(four) == [ids[3]]
    with pytest.raises(NotFoundError):
        release_backup(four, ids[1])
    with pytest.raises(NotFoundError):
        keep_backup(four, Keeping(ids[1], "too late", "ada", LATER))


def test_pinning_beside_an_expiry_is_never_in_vain(four: Repository) -> None:
    """Pinned after the plan: it stays. Announced before the pin: the pin is refused."""
    ids = four.backup_ids()
    plan = plan_expiry(four, LAST, LATER)
    keep_backup(four, Keeping(ids[0], "just in time", "ada", LATER))
    done = execute_expiry(four, plan, LATER)
    assert done.backups == (ids[1], ids[2])
    assert ids[0] in four.backup_ids()
    four.store.put(f"{EXPIRING}{ids[3]}", b"")
    with pytest.raises(LockedError, match="being expired"):
        keep_backup(four, Keeping(ids[3], "too late", "ada", LATER))
    assert list(read_keepings(four)) == [ids[0]]


def test_the_newest_that_was_brought_back_stays(four: Repository) -> None:
    """Verification is no such proof; a newer one that was brought back takes its place."""
    ids = four.backup_ids()
    record_proof(four, Proof(ProofKind.RECOVERED, LATER, (ids[0],), "run"), 1)
    record_proof(four, Proof(ProofKind.RESTORED, LATER, (ids[1],)), 2)
    record_proof(four, Proof(ProofKind.UNPACKED, LATER, (ids[2],)), 3)
    assert expire(four) == [ids[1], ids[3]]
    assert len(read_proofs(four)) == 1
    record_proof(four, Proof(ProofKind.RESTORED, LATER, (ids[3],)), 4)
    assert expire(four) == [ids[3]]
    assert [proof.backups for proof in read_proofs(four).values()] == [(ids[3],)]


def test_a_forged_proof_or_pin_stops_the_expiry(four: Repository) -> None:
    """Whoever can write to the store cannot make it forget, nor keep, anything."""
    ids = four.backup_ids()
    four.store.put(f"proofs/{ids[0]}", b"PPO1 is not what follows")
    with pytest.raises(ChecksumError):
        plan_expiry(four, LAST, LATER)
    found = verify_repository(four, None, deep=False, progress=silent)
    assert [finding.place for finding in found.findings] == ["proofs"]
    assert remember(four, Proof(ProofKind.RESTORED, ids[0].began_at, ()), ids[0].tag)
    four.store.delete(f"proofs/{ids[0]}")
    four.store.put(f"kept/{ids[0]}", b"PPO1 is not what follows")
    with pytest.raises(ChecksumError):
        plan_expiry(four, LAST, LATER)


def test_what_the_store_locks_is_left_alone(four: Repository) -> None:
    """Backups younger than the lock stay; packs are left to prune and counted."""
    ids = four.backup_ids()
    lock = LATER - four.manifest(ids[1]).end_at + timedelta(seconds=1)
    assert expire(four, lock) == ids[1:]
    before = len(list(objects(four.store, PACKS)))
    # The packs were written today, whatever day the backups think it is.
    now = max(info.modified_at for info in objects(four.store, PACKS)) + timedelta(hours=1)
    plan = plan_expiry(four, LAST, now, lock=timedelta(hours=2))
    assert plan.locked_packs > 0
    assert plan.packs == ()
    execute_expiry(four, plan, now)
    assert len(list(objects(four.store, PACKS))) == before


def test_only_the_last_proof_of_a_kind_is_kept() -> None:
    """A proof goes when newer ones say the same of every backup that is left."""
    one, two = (BackupId.new(BEGIN + timedelta(days=day), day) for day in range(2))
    proofs = {
        "a": Proof(ProofKind.VERIFIED, LATER, (one,)),
        "b": Proof(ProofKind.VERIFIED, LATER + timedelta(days=1), (one, two)),
        "c": Proof(ProofKind.RESTORED, LATER, (two,)),
    }
    assert outlived(proofs, {one, two}) == ("a",)
    assert outlived(proofs, {one}) == ("a", "c")
    assert newest_brought_back(proofs.values(), {one, two}) == two
    assert newest_brought_back(proofs.values(), {one}) is None
    assert last_proofs(proofs.values())[one] == {ProofKind.VERIFIED: LATER + timedelta(days=1)}
