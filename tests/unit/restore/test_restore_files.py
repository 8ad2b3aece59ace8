"""Writing a backup's files, where the machine is tight."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from made_repository import Folder, backup_on, new_repository, written_tree

from processpilot.crew import worker_count
from processpilot.progress import silent
from processpilot.restore.files import FileWriter


@contextmanager
def most_open_files(count: int) -> Iterator[None]:
    """Allow this process so many open files for the length of the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_many_small_files_need_few_descriptors(tmp_path: Path) -> None:
    """Eight workers together stay below the usual limit of 1024 open files."""
    folder = Folder(tmp_path / "data")
    for number in range(worker_count() * 300):
        (folder.root / f"base/5/{2000 + number}").write_bytes(b"%d" % number)
    repository = new_repository()
    manifest = written_tree(repository, folder.root, backup_on(0), None)
    used = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counted, not walked
    with most_open_files(used + worker_count() * 120):
        FileWriter(repository, manifest, tmp_path / "out", {}, silent, in_processes=False).write()
    assert len(list((tmp_path / "out/base/5").iterdir())) == worker_count() * 300 + 2
