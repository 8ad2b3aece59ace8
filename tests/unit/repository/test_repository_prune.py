"""Pruning frees storage and never a byte that a backup needs, whatever happens in between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from made_repository import (
    BEGIN,
    SEGMENT_BYTES,
    Folder,
    backup_on,
    new_repository,
    take,
    written_tree,
)

from processpilot.errors import ChecksumError, NotFoundError, UnavailableError
from processpilot.postgres.wal import Segment
from processpilot.progress import silent
from processpilot.repository.expire import execute_expiry, plan_expiry
from processpilot.repository.manifest import Manifest
from processpilot.repository.names import MOVED, PACKS, PINS, objects
from processpilot.repository.prune import PrunePlan, execute_prune, plan_prune
from processpilot.repository.repository import Repository
from processpilot.repository.retention import RetentionPolicy
from processpilot.repository.verify import verify_repository
from processpilot.repository.wal import WalArchive
from processpilot.restore.files import FileWriter
from processpilot.storage.memory import MemoryStore
from processpilot.storage.store import MOST_BYTES, Capabilities, ObjectInfo

NOW = BEGIN + timedelta(days=40)
LAST_TWO = RetentionPolicy(last=2, daily=0, weekly=0, monthly=0)
LAST = RetentionPolicy(last=1, daily=0, weekly=0, monthly=0)
PRUNER = backup_on(40, tag=99)
FILES = 30


class FailingStore:
    """A store in memory whose n-th change fails; before it is made, or after."""

    def __init__(self) -> None:
        self._store = MemoryStore()
        self.changes = 0
        self.fail_at = 0
        self.done_first = False

    @property
    def location(self) -> str:
        return self._store.location

    @property
    def capabilities(self) -> Capabilities:
        return self._store.capabilities

    def put(self, name: str, data: bytes | bytearray | memoryview) -> None:
        with_failure = self._fails()
        if not with_failure or self.done_first:
            self._store.put(name, data)
        if with_failure:
            raise UnavailableError("the store is away")

    def delete(self, name: str) -> None:
        with_failure = self._fails()
        if not with_failure or self.done_first:
            self._store.delete(name)
        if with_failure:
            raise UnavailableError("the store is away")

    def _fails(self) -> bool:
        self.changes += 1
        return self.changes == self.fail_at

    def get(self, name: str, *, limit_bytes: int = MOST_BYTES) -> bytes:
        return self._store.get(name, limit_bytes=limit_bytes)

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        return self._store.get_range(name, offset, length)

    def get_ranges(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        return self._store.get_ranges(name, ranges)

    def size(self, name: str) -> int:
        return self._store.size(name)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return self._store.list(prefix)


def grown(folder: Folder, repository: Repository, days: int = 4) -> None:
    """Back up a folder of which nearly everything changes every day."""
    for number in range(FILES):
        folder.write(f"base/5/{2000 + number}", 20_000)
    take(repository, folder, 0)
    for day in range(1, days):
        for number in range(day, FILES):
            folder.write(f"base/5/{2000 + number}", 20_000)
        take(repository, folder, day)


def expired(repository: Repository, policy: RetentionPolicy = LAST_TWO) -> None:
    """Let go of all backups but the newest ones."""
    execute_expiry(repository, plan_expiry(repository, policy, NOW), NOW)


def pruned(repository: Repository, tag: int = 99) -> PrunePlan:
    """Plan and prune; return the plan."""
    plan = plan_prune(repository, NOW)
    execute_prune(repository, plan, backup_on(40, tag=tag), silent)
    return plan


def packs(repository: Repository) -> dict[str, int]:
    """Return the packs there are and their sizes."""
    return {info.name: info.size_bytes for info in objects(repository.store, PACKS)}


def content(root: Path) -> dict[str, bytes]:
    """Return every file's content by its path."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.name != "backup_label"
    }


def restored(repository: Repository, manifest: Manifest, target: Path) -> dict[str, bytes]:
    """Restore a backup and return what came out."""
    FileWriter(repository, manifest, target, {}, silent).write()
    return content(target)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder to back up."""
    return Folder(tmp_path / "data")


def test_sparse_packs_are_rewritten_and_everything_restores(folder: Folder, tmp_path: Path) -> None:
    """After an expiry little is left in old packs; it moves, and every backup restores."""
    repository = new_repository()
    grown(folder, repository)
    expired(repository)
    before = packs(repository)
    newest = repository.manifests()[-1]
    plan = plan_prune(repository, NOW)
    assert plan.rewrites
    freed = execute_prune(repository, plan, PRUNER, silent)
    after = packs(repository)
    assert freed == sum(before.values()) - sum(after.values()) > 0
    assert not {rewrite.pack.object_name for rewrite in plan.rewrites} & after.keys()
    assert verify_repository(repository, None, deep=True, progress=silent).intact
    assert restored(repository, newest, tmp_path / "out") == content(folder.root)
    assert plan_prune(repository, NOW).is_empty
    assert not list(objects(repository.store, PINS))


def test_a_pack_that_was_rewritten_is_rewritten_again(folder: Folder, tmp_path: Path) -> None:
    """References lead through two moves; notes that nobody needs any more are removed."""
    repository = new_repository()
    for day, kept_from in enumerate((0, 20, 29)):
        for number in range(FILES if day == 0 else kept_from):
            folder.write(f"base/5/{2000 + number}", 20_000)
        take(repository, folder, day)
    newest = repository.manifests()[-1]
    expired(repository)
    first = pruned(repository, tag=1)
    expired(repository, LAST)
    second = pruned(repository, tag=2)
    assert {item.pack.backup for item in first.rewrites} == {backup_on(0)}
    assert backup_on(40, tag=1) in {item.pack.backup for item in second.rewrites}
    assert verify_repository(repository, None, deep=True, progress=silent).intact
    assert restored(repository, newest, tmp_path / "out") == content(folder.root)
    folder.write("base/5/2029", 20_000)
    take(repository, folder, 3)
    expired(repository, LAST)
    assert pruned(repository, tag=3).notes
    assert not list(objects(repository.store, MOVED))
    assert verify_repository(repository, None, deep=True, progress=silent).intact


@pytest.mark.parametrize("done_first", [False, True], ids=["refused", "answer lost"])
def test_a_prune_that_fails_anywhere_loses_nothing(
    folder: Folder, tmp_path: Path, done_first: bool
) -> None:
    """Whichever change fails, all backups are whole, and the next prune ends the work."""
    fail_at = 0
    survived = False
    while not survived:
        fail_at += 1
        store = FailingStore()
        repository = new_repository(store)
        again = Folder(tmp_path / f"{done_first}{fail_at}")
        grown(again, repository)
        expired(repository)
        plan = plan_prune(repository, NOW)
        store.changes, store.fail_at, store.done_first = 0, fail_at, done_first
        try:
            execute_prune(repository, plan, PRUNER, silent)
            survived = True
        except UnavailableError:
            pass
        store.fail_at = 0
        assert verify_repository(repository, None, deep=True, progress=silent).intact
        pruned(repository, tag=1000 + fail_at)
        expired(repository)
        pruned(repository, tag=2000 + fail_at)
        assert verify_repository(repository, None, deep=True, progress=silent).intact
        newest = repository.manifests()[-1]
        assert restored(repository, newest, tmp_path / f"out{fail_at}") == content(again.root)
    assert fail_at > 5


def test_a_backup_that_runs_meanwhile_keeps_what_it_refers_to(
    folder: Folder, tmp_path: Path
) -> None:
    """A backup whose tree was written before the prune and whose manifest comes after restores."""
    repository = new_repository()
    grown(folder, repository)
    expired(repository)
    parent = repository.manifests()[-1]
    folder.write("base/5/2029", 20_000)
    running = written_tree(repository, folder.root, backup_on(4), parent)
    pin = f"{PINS}{running.backup_id}"
    repository.put_object(pin, b'{"parent": "%s"}' % str(parent.backup_id).encode())
    plan = plan_prune(repository, BEGIN + timedelta(days=5))
    assert plan.rewrites
    execute_prune(repository, plan, backup_on(5, tag=9), silent)
    segment = Segment(1, 5, SEGMENT_BYTES)
    WalArchive(repository, SEGMENT_BYTES).put_segment(segment, bytes(SEGMENT_BYTES))
    repository.commit(running)
    repository.store.delete(pin)
    assert verify_repository(repository, None, deep=True, progress=silent).intact
    assert restored(repository, running, tmp_path / "out") == content(folder.root)
    pruned(repository, tag=7)
    assert restored(repository, running, tmp_path / "again") == content(folder.root)


def test_the_next_backup_stores_nothing_anew(folder: Folder) -> None:
    """A backup compares itself with moved blobs as with any."""
    repository = new_repository()
    grown(folder, repository)
    expired(repository)
    pruned(repository)
    before = sum(packs(repository).values())
    take(repository, folder, 41)
    assert sum(packs(repository).values()) - before < 30_000


def test_two_prunes_at_once_lose_nothing(folder: Folder, tmp_path: Path) -> None:
    """The second finds the work done; what it copied in vain goes with the next prune."""
    repository = new_repository()
    grown(folder, repository)
    expired(repository)
    first, second = plan_prune(repository, NOW), plan_prune(repository, NOW)
    execute_prune(repository, first, backup_on(40, tag=1), silent)
    with pytest.raises(NotFoundError):
        execute_prune(repository, second, backup_on(40, tag=2), silent)
    pruned(repository, tag=3)
    assert verify_repository(repository, None, deep=True, progress=silent).intact
    newest = repository.manifests()[-1]
    assert restored(repository, newest, tmp_path / "out") == content(folder.root)


def test_what_the_store_locks_is_named_and_left(folder: Folder) -> None:
    """Under object lock a young pack is neither removed nor rewritten, and the plan says so."""
    repository = new_repository()
    grown(folder, repository)
    tree = Folder(folder.root.parent / "other", seed=5)
    written_tree(repository, tree.root, backup_on(20), None)
    moment = max(info.modified_at for info in repository.store.list(""))
    plan = plan_prune(repository, moment, lock=timedelta(days=30))
    assert plan.is_empty
    assert plan.locked
    assert all(until > moment for until in plan.locked.values())
    assert plan_prune(repository, moment + timedelta(days=31), lock=timedelta(days=30)).loose


def test_a_damaged_pack_beside_its_note_is_found(folder: Folder, tmp_path: Path) -> None:
    """A prune was killed before the old pack went: a restore reads it, so verification does too."""
    repository = new_repository()
    grown(folder, repository)
    expired(repository)
    before = {
        info.name: repository.store.get(info.name) for info in objects(repository.store, PACKS)
    }
    plan = pruned(repository)
    chunk = next(ref for rewrite in plan.rewrites for ref in rewrite.refs if ref.raw_bytes == 8192)
    name = chunk.pack.object_name
    damaged = bytearray(before[name])
    damaged[chunk.offset] ^= 1
    repository.store.put(name, damaged)
    newest = repository.manifests()[-1]
    with pytest.raises(ChecksumError):
        restored(repository, newest, tmp_path / "out")
    for only in (None, [newest.backup_id]):
        found = verify_repository(repository, only, deep=False, progress=silent)
        assert [finding.place for finding in found.findings] == [name]
        assert newest.backup_id in found.findings[0].backups
