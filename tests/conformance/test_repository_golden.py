"""What the first release of format 1 wrote, every later one restores."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from golden.make_golden import HERE, HISTORY, content
from made_repository import SEGMENT_BYTES
from repository_reader import SecondReader

from processpilot.postgres.wal import Segment
from processpilot.progress import silent
from processpilot.repository.keys import Identity
from processpilot.repository.names import MOVED, PACKS, objects, strangers
from processpilot.repository.repository import Repository, open_repository
from processpilot.repository.verify import verify_repository
from processpilot.repository.wal import WalArchive
from processpilot.restore.files import FileWriter
from processpilot.storage.local import LocalStore

HELD: dict[str, dict[str, str]] = json.loads((HERE / "content.json").read_text())
SECRET = (HERE / "identity.txt").read_text().strip()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A copy of the golden repository, opened."""
    shutil.copytree(HERE / "repository", tmp_path / "repository")
    return open_repository(LocalStore(tmp_path / "repository"), Identity(SECRET))


def test_it_has_every_kind_of_object(repository: Repository) -> None:
    """A golden repository that lacks a kind would not notice that the kind is read otherwise."""
    heads = {info.name.partition("/")[0] for info in repository.store.list("")}
    assert heads == {
        *("backups", "config", "floors", "histories", "keys"),
        *("moved", "packs", "tails", "wal"),
    }
    assert not list(strangers(repository.store))
    moved = {info.name.replace(MOVED, PACKS) for info in objects(repository.store, MOVED)}
    present = {info.name for info in objects(repository.store, PACKS)}
    assert moved
    assert not moved & present


def test_every_backup_restores(repository: Repository, tmp_path: Path) -> None:
    """Each file, folder and link comes back as it was."""
    found = {}
    for manifest in repository.manifests():
        target = tmp_path / str(manifest.backup_id)
        FileWriter(repository, manifest, target, {}, silent).write()
        found[str(manifest.backup_id)] = content(target)
    assert found == HELD


def test_the_second_reader_agrees(tmp_path: Path) -> None:
    """The reader made from the specification alone restores the same."""
    reader = SecondReader(HERE / "repository", SECRET)
    for backup, held in HELD.items():
        reader.restore(backup, tmp_path / backup, {})
        assert content(tmp_path / backup) == held


def test_it_verifies(repository: Repository) -> None:
    """Nothing in it is called damaged."""
    found = verify_repository(repository, None, deep=True, progress=silent)
    assert found.findings == ()
    assert found.backups == len(HELD)


def test_its_log_reads(repository: Repository) -> None:
    """Segments, a tail of two overlapping pieces, and a history."""
    archive = WalArchive(repository, SEGMENT_BYTES)
    inventory = archive.inventory()
    assert archive.read_segment(Segment(1, 4, SEGMENT_BYTES)) == bytes(SEGMENT_BYTES)
    tail = Segment(2, 5, SEGMENT_BYTES)
    expected = b"\x07" * 16_384 + b"\x09" * 5000
    assert archive.read_tail(tail, inventory.tails[tail]).rstrip(b"\0") == expected
    assert archive.history(2).format() == HISTORY
