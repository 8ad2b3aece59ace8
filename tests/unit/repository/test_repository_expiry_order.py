"""Expiry beside backups: whichever order they meet in, nothing that is kept loses a byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from made_repository import BEGIN, Folder, backup_on, new_repository, take, written_tree

from processpilot.backup.pin import pinned
from processpilot.clock import SystemClock
from processpilot.errors import LockedError, NotFoundError
from processpilot.progress import silent
from processpilot.repository.expire import execute_expiry, plan_expiry
from processpilot.repository.kept import Keeping, keep_backup, read_keepings
from processpilot.repository.proofs import Proof, ProofKind, read_proofs, record_proof
from processpilot.repository.repository import Repository
from processpilot.repository.retention import RetentionPolicy
from processpilot.repository.verify import verify_repository
from processpilot.storage.memory import MemoryStore
from processpilot.storage.store import MOST_BYTES, Capabilities, ObjectInfo

LAST_ONLY = RetentionPolicy(last=1, daily=0, weekly=0, monthly=0)
NOW = BEGIN + timedelta(days=5)


class DayClock(SystemClock):
    """The day the tests play on."""

    def now(self) -> datetime:
        """Return that day."""
        return NOW


class Eventful:
    """A store in which something happens just before the n-th listing is answered."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.listings = 0
        self.at = 0
        self.event: Callable[[], None] = lambda: None

    @property
    def location(self) -> str:
        return self._store.location

    @property
    def capabilities(self) -> Capabilities:
        return self._store.capabilities

    def put(self, name: str, data: bytes | bytearray | memoryview) -> None:
        self._store.put(name, data)

    def get(self, name: str, *, limit_bytes: int = MOST_BYTES) -> bytes:
        return self._store.get(name, limit_bytes=limit_bytes)

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        return self._store.get_range(name, offset, length)

    def get_ranges(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        return self._store.get_ranges(name, ranges)

    def size(self, name: str) -> int:
        return self._store.size(name)

    def delete(self, name: str) -> None:
        self._store.delete(name)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        self.listings += 1
        if self.listings == self.at:
            self.event()
        return self._store.list(prefix)


def whole(repository: Repository) -> bool:
    """Whether everything that the listed backups need is there and authentic."""
    return verify_repository(repository, None, deep=True, progress=silent).intact


def two_backups(folder: Folder) -> tuple[Repository, Eventful]:
    """Return a repository whose older backup the policy lets go."""
    store = Eventful(MemoryStore())
    repository = new_repository(store)
    take(repository, folder, 0)
    folder.write("base/5/1000", 40_000)
    take(repository, folder, 1)
    return repository, store


def begin_and_end(repository: Repository, folder: Folder, day: int) -> None:
    """Take a whole backup: pin, packs, manifest, pin away. It refers to the oldest one there is."""
    folder.write("base/5/2000", 30_000)
    parent = repository.manifest(repository.backup_ids()[0])
    backup = backup_on(day)
    with pinned(repository, backup, parent, DayClock()) as usable:
        manifest = written_tree(repository, folder.root, backup, usable)
        take_log = manifest.model_copy(update={"start_lsn": parent.start_lsn})
        repository.commit(take_log.model_copy(update={"stop_lsn": parent.stop_lsn}))


@pytest.mark.parametrize("moment", range(1, 12))
def test_a_backup_that_happens_during_planning_loses_nothing(tmp_path: Path, moment: int) -> None:
    """A whole backup between any two listings of an expiry's planning stays restorable."""
    folder = Folder(tmp_path / "data")
    repository, store = two_backups(folder)
    store.at = store.listings + moment
    store.event = lambda: begin_and_end(repository, folder, 2)
    plan = plan_expiry(repository, LAST_ONLY, NOW)
    assert not any(str(backup_on(2)) in name for name in plan.packs)
    try:
        execute_expiry(repository, plan, NOW)
    except LockedError:
        assert backup_on(0) in repository.backup_ids()
    assert whole(repository)


@pytest.mark.parametrize("moment", range(1, 8))
def test_a_backup_that_happens_during_execution_loses_nothing(tmp_path: Path, moment: int) -> None:
    """A whole backup between any two listings of an expiry's execution stays restorable."""
    folder = Folder(tmp_path / "data")
    repository, store = two_backups(folder)
    plan = plan_expiry(repository, LAST_ONLY, NOW)
    store.at = store.listings + moment
    store.event = lambda: begin_and_end(repository, folder, 2)
    try:
        execute_expiry(repository, plan, NOW)
    except LockedError:
        assert backup_on(0) in repository.backup_ids()
    assert whole(repository)


def test_a_plan_made_before_a_new_backup_is_refused(tmp_path: Path) -> None:
    """What came since the plan may refer to what was to go, so nothing is removed."""
    folder = Folder(tmp_path / "data")
    repository, _ = two_backups(folder)
    plan = plan_expiry(repository, LAST_ONLY, NOW)
    begin_and_end(repository, folder, 2)
    before = {info.name for info in repository.store.list("")}
    with pytest.raises(LockedError, match="nothing was removed"):
        execute_expiry(repository, plan, NOW)
    assert {info.name for info in repository.store.list("")} == before


def test_the_older_backup_goes_with_what_only_it_needs(tmp_path: Path) -> None:
    """Expiry removes the older backup, its packs that nobody shares, and its log."""
    folder = Folder(tmp_path / "data")
    repository, _ = two_backups(folder)
    folder.write_control()
    for path in ("base/5/1000", "base/5/1001"):
        folder.write(path, 50_000)
    take(repository, folder, 2)
    plan = plan_expiry(repository, LAST_ONLY, NOW)
    done = execute_expiry(repository, plan, NOW)
    assert done.backups == (backup_on(0), backup_on(1))
    assert done.packs
    assert [segment.number for segment in done.segments] == [1, 2]
    assert whole(repository)
    assert plan_expiry(repository, LAST_ONLY, NOW).is_empty


def test_a_pinned_parent_stays_with_its_packs(tmp_path: Path) -> None:
    """While a backup runs, the one it refers to is kept whatever the policy says."""
    folder = Folder(tmp_path / "data")
    repository, _ = two_backups(folder)
    oldest = repository.manifest(backup_on(0))
    with pinned(repository, backup_on(2), oldest, DayClock()) as usable:
        assert usable == oldest
        plan = plan_expiry(repository, LAST_ONLY, NOW)
        assert plan.pinned == (backup_on(0),)
        assert not plan.backups
        assert not plan.packs


def test_a_pack_of_a_running_backup_stays(tmp_path: Path) -> None:
    """Packs that belong to no manifest yet are left to whoever writes them."""
    folder = Folder(tmp_path / "data")
    repository, _ = two_backups(folder)
    with pinned(repository, backup_on(2), None, DayClock()):
        folder.write("base/5/1000", 40_000)
        written_tree(repository, folder.root, backup_on(2), None)
        plan = plan_expiry(repository, LAST_ONLY, NOW)
        assert not any(str(backup_on(2)) in name for name in plan.packs)
    plan = plan_expiry(repository, LAST_ONLY, NOW)
    assert any(str(backup_on(2)) in name for name in plan.packs)


def test_a_parent_that_is_announced_is_not_referred_to(tmp_path: Path) -> None:
    """Whoever begins a backup while its parent is being removed starts afresh."""
    folder = Folder(tmp_path / "data")
    repository, _ = two_backups(folder)
    newest = repository.manifest(backup_on(1))
    repository.store.put(f"expiring/{newest.backup_id}", b"")
    with pinned(repository, backup_on(2), newest, DayClock()) as usable:
        assert usable is None


def test_an_announcement_left_by_a_killed_expiry_is_cleaned_away(tmp_path: Path) -> None:
    """After a day a leftover announcement goes; a fresh one may belong to a running expiry."""
    folder = Folder(tmp_path / "data")
    repository, _ = two_backups(folder)
    name = f"expiring/{backup_on(1)}"
    repository.store.put(name, b"")
    written_at = next(iter(repository.store.list("expiring/"))).modified_at
    soon, later = written_at + timedelta(hours=1), written_at + timedelta(hours=25)
    keep_all = RetentionPolicy(last=9, daily=0, weekly=0, monthly=0)
    assert plan_expiry(repository, keep_all, soon).is_empty
    plan = plan_expiry(repository, keep_all, later)
    assert plan.leftovers == (name,)
    execute_expiry(repository, plan, later)
    assert not list(repository.store.list("expiring/"))


@pytest.mark.parametrize("moment", range(1, 20))
def test_a_backup_that_somebody_pins_meanwhile_stays(tmp_path: Path, moment: int) -> None:
    """Whenever the pin is made: it is refused, or the backup is there afterwards."""
    repository, store = two_backups(Folder(tmp_path / "data"))
    first = repository.backup_ids()[0]
    accepted: list[bool] = []

    def pin() -> None:
        with suppress(LockedError, NotFoundError):
            keep_backup(repository, Keeping(first, "for the audit", "ada", NOW))
            accepted.append(True)

    store.listings, store.at, store.event = 0, moment, pin
    execute_expiry(repository, plan_expiry(repository, LAST_ONLY, NOW), NOW)
    assert (first in repository.backup_ids()) is bool(accepted)
    assert (first in read_keepings(repository)) is bool(accepted)
    assert whole(repository)


@pytest.mark.parametrize("moment", range(1, 20))
def test_a_backup_that_is_brought_back_meanwhile_stays(tmp_path: Path, moment: int) -> None:
    """A proof that comes before the backup is announced counts; what stays keeps its proof."""
    repository, store = two_backups(Folder(tmp_path / "data"))
    first = repository.backup_ids()[0]
    proof = Proof(ProofKind.RESTORED, NOW, (first,))
    store.listings, store.at = 0, moment
    store.event = lambda: record_proof(repository, proof, 1)
    plan = plan_expiry(repository, LAST_ONLY, NOW)
    planned = store.listings
    done = execute_expiry(repository, plan, NOW)
    if moment <= planned:
        assert first in repository.backup_ids()
        assert read_proofs(repository)
    assert (first in repository.backup_ids()) is (first not in done.backups)
    assert whole(repository)
