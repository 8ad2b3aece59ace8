"""Backups, expiries and prunes beside each other on a real folder: all stays whole."""

from __future__ import annotations

import itertools
import os
import random
import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from made_repository import BEGIN, SEGMENT_BYTES, Folder, backup_on, new_repository, written_tree

from processpilot.backup.parent import choose_parent
from processpilot.backup.pin import pinned
from processpilot.clock import SystemClock
from processpilot.errors import LockedError, NotFoundError
from processpilot.postgres.wal import Segment
from processpilot.progress import silent
from processpilot.repository.blob import BackupId
from processpilot.repository.expire import execute_expiry, plan_expiry
from processpilot.repository.prune import execute_prune, plan_prune
from processpilot.repository.repository import Repository
from processpilot.repository.retention import RetentionPolicy
from processpilot.repository.verify import verify_repository
from processpilot.repository.wal import WalArchive
from processpilot.restore.files import FileWriter
from processpilot.storage.local import LocalStore

NIGHTLY = bool(os.environ.get("PROCESSPILOT_NIGHTLY"))
DAYS = 150 if NIGHTLY else 15
KEPT = RetentionPolicy(last=2, daily=0, weekly=0, monthly=0)


class Race:
    """One repository in which a backup is taken every day, and two others tidy up all the time."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.source = random.Random(seed)
        self.folder = Folder(folder / "data", seed)
        self.store = LocalStore(folder / "repository", create=True)
        self.repository = new_repository(self.store)
        self.day = 0
        self.over = threading.Event()
        self.failures: list[BaseException] = []
        self.tags = itertools.count(1000)
        self.rewritten = 0
        self.expired = 0
        for number in range(12):
            self.folder.write(f"base/5/{2000 + number}", 20_000)

    @property
    def now(self) -> datetime:
        """The moment of the race's own calendar."""
        return BEGIN + timedelta(days=self.day, hours=1)

    def take(self) -> None:
        """Take a day's backup, with everything changed but a few files."""
        repository = Repository(
            self.store, self.repository.settings, self.repository.keyring, self.repository.opened_as
        )
        for number in self.source.sample(range(12), 9):
            self.folder.write(f"base/5/{2000 + number}", 20_000)
        parent = choose_parent(repository, self.repository.settings.system_identifier)
        backup = backup_on(self.day)
        with pinned(repository, backup, parent, SystemClock()) as usable:
            manifest = written_tree(repository, self.folder.root, backup, usable, workers=2)
            segment = Segment(1, self.day + 1, SEGMENT_BYTES)
            WalArchive(repository, SEGMENT_BYTES).put_segment(segment, b"\x05" * SEGMENT_BYTES)
            repository.commit(manifest)

    def tidy(self) -> None:
        """Expire and prune until the race is over."""
        while not self.over.is_set():
            repository = Repository(
                self.store,
                self.repository.settings,
                self.repository.keyring,
                self.repository.opened_as,
            )
            try:
                plan = plan_expiry(repository, KEPT, self.now)
                self.expired += len(execute_expiry(repository, plan, self.now).backups)
                prune = plan_prune(repository, self.now)
                execute_prune(repository, prune, BackupId.new(self.now, next(self.tags)), silent)
                self.rewritten += len(prune.rewrites)
            except (LockedError, NotFoundError):
                continue  # another one came first
            except BaseException as error:  # noqa: BLE001 - told by the test
                self.failures.append(error)
                return


@pytest.mark.parametrize("seed", range(3))
def test_backups_and_prunes_beside_each_other(tmp_path: Path, seed: int) -> None:
    """Two tidy up while a third backs up; every day all that is listed is whole, and restores."""
    race = Race(tmp_path, seed)
    tidying = [threading.Thread(target=race.tidy) for _ in range(2)]
    for thread in tidying:
        thread.start()
    try:
        for race.day in range(DAYS):
            race.take()
    finally:
        race.over.set()
        for thread in tidying:
            thread.join()
    assert race.failures == []
    found = verify_repository(race.repository, None, deep=True, progress=silent)
    assert found.findings == ()
    assert race.expired > 0
    newest = race.repository.manifests()[-1]
    assert newest.backup_id == backup_on(DAYS - 1)
    FileWriter(race.repository, newest, tmp_path / "out", {}, silent).write()
    for path in (race.folder.root / "base/5").iterdir():
        assert (tmp_path / "out/base/5" / path.name).read_bytes() == path.read_bytes()
    print(f"{race.expired} backups expired, {race.rewritten} packs rewritten beside {DAYS} backups")
