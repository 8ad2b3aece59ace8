"""Every call to the store goes wrong once: the repository stays whole, whatever was being done.

After each fault the repository verifies, what it lists restores to what was backed up, and the
same act succeeds when it is tried again. The nightly form restores every listed backup each time,
the short one a sample.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from faulty_store import Fault, FaultyStore
from made_repository import BEGIN, OPERATOR, SEGMENT_BYTES, Folder, new_repository, take

from processpilot.errors import IntegrityError, NotFoundError, UnavailableError
from processpilot.postgres.history import TimelineHistory
from processpilot.postgres.wal import Segment
from processpilot.progress import silent
from processpilot.repository.blob import BackupId
from processpilot.repository.expire import execute_expiry, plan_expiry
from processpilot.repository.prune import execute_prune, plan_prune
from processpilot.repository.repository import Repository, open_repository
from processpilot.repository.retention import RetentionPolicy
from processpilot.repository.verify import verify_repository
from processpilot.repository.wal import WalArchive
from processpilot.restore.files import FileWriter
from processpilot.storage.memory import MemoryStore

NIGHTLY = bool(os.environ.get("PROCESSPILOT_NIGHTLY"))
RESTORE_EVERY = 1 if NIGHTLY else 7
NOW = BEGIN + timedelta(days=20)
KEEP_TWO = RetentionPolicy(last=2, daily=0, weekly=0, monthly=0)
HISTORY = TimelineHistory.parse(2, "1\t0/500000\tno recovery target specified\n")


@dataclass
class World:
    """A store with some history, the folder that is backed up, and what each backup held."""

    folder: Folder
    store: FaultyStore
    held: dict[BackupId, dict[str, str]] = field(default_factory=dict)
    tag: int = 7

    @property
    def repository(self) -> Repository:
        """The repository, opened anew, as each command does."""
        return open_repository(self.store, OPERATOR)

    def back_up(self, day: int) -> None:
        """Take a backup; what the folder holds is what it will be asked for."""
        calm = open_repository(self.store.store, OPERATOR)
        before = set(calm.backup_ids())
        expected = content(self.folder.root)
        try:
            self.tag += 1
            take(self.repository, self.folder, day, self.tag)
        finally:
            for backup in set(calm.backup_ids()) - before:
                self.held[backup] = expected

    def copy(self) -> World:
        """Return the same world over again, so that one fault does not meet the last one's."""
        inner = MemoryStore()
        for info in self.store.list(""):
            inner.put(info.name, self.store.get(info.name))
        return World(self.folder, FaultyStore(inner), dict(self.held), self.tag)


def content(root: Path) -> dict[str, str]:
    """Return a digest of every file by its path."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file() and path.name != "backup_label"
    }


def backup(world: World) -> None:
    """Take one backup more."""
    world.back_up(4)


def backup_on_its_own(world: World) -> None:
    """Take a backup that has no parent to refer to."""
    world.back_up(0)


def push(world: World) -> None:
    """Store log as it comes: pieces of a tail, the whole segment, the history of a new timeline."""
    archive = WalArchive(world.repository, SEGMENT_BYTES)
    segment = Segment(1, 5, SEGMENT_BYTES)
    body = bytes(range(256)) * (SEGMENT_BYTES // 256)
    archive.put_tail(segment, 0, body[:8192])
    archive.put_tail(segment, 8192, body[8192:30_000])
    archive.put_segment(segment, body)
    archive.put_history(HISTORY)
    assert archive.read_segment(segment) == body


def verify(world: World) -> None:
    """Verify everything; a store that is away is no damage."""
    found = verify_repository(world.repository, None, deep=True, progress=silent)
    if world.store.fault is Fault.SHORT and world.store.hit:
        raise IntegrityError("a short answer was told as damage")
    assert found.intact


def expire(world: World) -> None:
    """Let go of old backups."""
    execute_expiry(world.repository, plan_expiry(world.repository, KEEP_TWO, NOW), NOW)


def prune(world: World) -> None:
    """Rewrite what is mostly empty."""
    plan = plan_prune(world.repository, NOW)
    writer = BackupId.new(NOW, world.store.calls + 1000)
    execute_prune(world.repository, plan, writer, silent)


def restore(world: World) -> None:
    """Restore the newest backup into a fresh folder, and compare."""
    repository = world.repository
    target = world.folder.root.parent / "restored"
    shutil.rmtree(target, ignore_errors=True)
    newest = repository.manifest(max(world.held))
    FileWriter(repository, newest, target, {}, silent).write()
    assert content(target) == world.held[newest.backup_id]


def history(tmp_path: Path, *, expired: bool) -> World:
    """Return a world with four backups, or with what an expiry left of them."""
    folder = Folder(tmp_path / "data")
    world = World(folder, FaultyStore(MemoryStore()))
    new_repository(world.store)
    for number in range(12):
        folder.write(f"base/5/{2000 + number}", 12_000)
    for day in range(4):
        for number in range(day * 3, 12):
            folder.write(f"base/5/{2000 + number}", 12_000)
        world.back_up(day)
    if expired:
        expire(world)
    return world


def empty(tmp_path: Path) -> World:
    """Return a world with a repository and no backup."""
    world = World(Folder(tmp_path / "data"), FaultyStore(MemoryStore()))
    new_repository(world.store)
    return world


ACTS: dict[str, tuple[Callable[[Path], World], Callable[[World], None]]] = {
    "first backup": (empty, backup_on_its_own),
    "backup": (lambda path: history(path, expired=False), backup),
    "log": (lambda path: history(path, expired=False), push),
    "verify": (lambda path: history(path, expired=True), verify),
    "expire": (lambda path: history(path, expired=False), expire),
    "prune": (lambda path: history(path, expired=True), prune),
    "restore": (lambda path: history(path, expired=False), restore),
}


def whole(world: World, at: int, tmp_path: Path) -> None:
    """Assert that nothing is damaged and that what is listed restores."""
    repository = world.repository
    found = verify_repository(repository, None, deep=True, progress=silent)
    assert found.findings == (), (at, world.store.hit)
    ids = repository.backup_ids()
    assert set(ids) <= set(world.held)
    if at % RESTORE_EVERY:
        return
    for backup_id in ids:
        target = tmp_path / "check"
        shutil.rmtree(target, ignore_errors=True)
        FileWriter(repository, repository.manifest(backup_id), target, {}, silent).write()
        assert content(target) == world.held[backup_id], (at, world.store.hit)


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.value)
@pytest.mark.parametrize("act", list(ACTS))
def test_any_call_may_fail_once(act: str, fault: Fault, tmp_path: Path) -> None:
    """Each call in turn: the act fails with an error of ours or succeeds, and nothing is lost."""
    make, carry_out = ACTS[act]
    origin = make(tmp_path)
    at = 0
    while True:
        at += 1
        world = origin.copy()
        world.store.arm(at, fault)
        try:
            carry_out(world)
        except (UnavailableError, IntegrityError, NotFoundError):
            assert world.store.hit, "it failed by itself"
        finished = not world.store.hit
        world.store.arm(0, fault)
        whole(world, at, tmp_path)
        carry_out(world)
        whole(world, at, tmp_path)
        if finished:
            break
    print(f"{act}, {fault.value}: {at - 1} calls")
    assert at > 5
