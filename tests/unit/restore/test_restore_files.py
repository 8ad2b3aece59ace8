"""Writing a backup's files, where the machine is tight."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from made_repository import Folder, backup_on, new_repository, written_tree

from processpilot.crew import worker_count
from processpilot.errors import IntegrityError
from processpilot.progress import silent
from processpilot.repository.blob import PackId, decode_refs, ref_of
from processpilot.repository.manifest import Manifest
from processpilot.repository.pack import PackWriter
from processpilot.repository.repository import Repository
from processpilot.repository.tree import Directory, FileEntry, LinkEntry
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


def with_folder(
    repository: Repository, manifest: Manifest, path: str, folder: Directory
) -> Manifest:
    """Return the manifest with one folder more: what a hostile server could have sent."""
    pack = PackId(manifest.backup_id, 1000)
    writer = PackWriter(repository.keyring, lambda: pack, repository.store.put)
    data = folder.to_json()
    node = ref_of(writer.add(data, repository.keyring.chunk_name(data)))
    writer.flush()
    entry = manifest.directories[0].model_copy(update={"path": path, "node": node})
    return manifest.model_copy(update={"directories": (*manifest.directories, entry)})


def empty_file(name: str) -> Directory:
    """Return a folder that holds an empty file of that name."""
    return Directory((FileEntry(name, 0o600, 0, None, decode_refs(b""), None),))


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("{outside}", empty_file("x")),
        ("../outside", empty_file("x")),
        ("base/../../outside", empty_file("x")),
        ("pg_tblspc/5/../../outside", empty_file("x")),
        ("more", empty_file("../../outside/x")),
        ("more", empty_file("..")),
        ("more", empty_file("link/x")),
        ("more", Directory((), (LinkEntry("../../outside/x", "/etc"),))),
    ],
)
def test_no_path_leads_out_of_the_target(tmp_path: Path, path: str, folder: Directory) -> None:
    """Absolute, upwards, through a tablespace, in the name of a file or of a link."""
    source = Folder(tmp_path / "data")
    repository = new_repository()
    made = written_tree(repository, source.root, backup_on(0), None)
    (tmp_path / "outside").mkdir()
    path = path.format(outside=tmp_path / "outside")
    manifest = with_folder(repository, made, path, folder)
    spaces = {5: tmp_path / "spaces" / "5"}
    with pytest.raises(IntegrityError, match="names a"):
        FileWriter(repository, manifest, tmp_path / "out", spaces, silent).write()
    assert list((tmp_path / "outside").iterdir()) == []
    assert not (tmp_path / "out/global/pg_control").exists()
