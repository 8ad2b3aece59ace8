"""Backup, restore and verification by worker processes give what threads give."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_repository import Folder, backup_on, new_repository, written_tree

from processpilot.crew import open_crew
from processpilot.errors import IntegrityError
from processpilot.progress import silent
from processpilot.repository.blob import PackId
from processpilot.repository.examine import ExamineJob, PackTask
from processpilot.repository.manifest import Manifest
from processpilot.repository.names import PACKS, objects
from processpilot.repository.repository import Repository
from processpilot.restore.files import FileWriter
from processpilot.storage.local import LocalStore

LEAF_BYTES = 1024 * 8192


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder with small files, an empty one, and one of three leaves."""
    made = Folder(tmp_path / "data")
    for number in range(300):
        made.write(f"base/5/{2000 + number}", number * 100)
    made.write("base/5/3000", 2 * LEAF_BYTES + 12_345)
    return made


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """An empty repository on disk."""
    return new_repository(LocalStore(tmp_path / "repository", create=True))


def content(root: Path) -> dict[str, bytes]:
    """Return every file's content by its path."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.name != "backup_label"
    }


def restored(repository: Repository, manifest: Manifest, target: Path) -> dict[str, bytes]:
    """Restore by processes and return what came out."""
    FileWriter(repository, manifest, target, {}, silent, in_processes=True).write()
    return content(target)


def test_what_processes_store_they_restore(
    folder: Folder, repository: Repository, tmp_path: Path
) -> None:
    """Every byte comes back, of a first backup and of one that refers to it."""
    first = written_tree(repository, folder.root, backup_on(0), None, processes=True, workers=2)
    repository.commit(first)
    assert restored(repository, first, tmp_path / "one") == content(folder.root)
    folder.write("base/5/2005", 70_000)
    second = written_tree(repository, folder.root, backup_on(1), first, processes=True, workers=3)
    assert second.stored_bytes < first.stored_bytes / 50
    assert restored(repository, second, tmp_path / "two") == content(folder.root)


def test_processes_and_threads_store_the_same(folder: Folder, repository: Repository) -> None:
    """What one kind stored, the other finds unchanged."""
    first = written_tree(repository, folder.root, backup_on(0), None, processes=True)
    repository.commit(first)
    second = written_tree(repository, folder.root, backup_on(1), first, processes=False)
    assert second.directories == first.directories


def test_processes_notice_what_is_damaged(
    folder: Folder, repository: Repository, tmp_path: Path
) -> None:
    """A flipped bit ends a restore, and a verification names the pack."""
    first = written_tree(repository, folder.root, backup_on(0), None, processes=True)
    packs = [PackId.parse(info.name) for info in objects(repository.store, PACKS)]
    path = tmp_path / "repository" / packs[1].object_name
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(body)
    with pytest.raises(IntegrityError):
        restored(repository, first, tmp_path / "one")
    job = ExamineJob(repository, 16 << 20, deep=False)
    with open_crew(job.begin, 2, processes=True) as crew:
        tasks = [PackTask(pack, b"") for pack in packs]
        found = {task.place: examined.problem for task, examined in crew.results(tasks)}
    assert [place for place, problem in found.items() if problem] == [packs[1].object_name]
