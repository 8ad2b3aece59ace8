"""The control file of a backup is whole, or there is no backup."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest
from made_repository import Folder, backup_on, control_file, new_repository, take, written_tree

from processpilot.errors import ChecksumError, IntegrityError
from processpilot.progress import silent
from processpilot.repository.tree import Directory
from processpilot.repository.verify import verify_repository
from processpilot.restore.files import FileWriter

WHOLE = control_file(random.Random(4))
TORN = bytes([WHOLE[40] ^ 1]).join((WHOLE[:40], WHOLE[41:]))


def test_a_control_file_that_is_being_written_is_read_again(tmp_path: Path) -> None:
    """Half of it would start nowhere; a moment later it is whole."""
    folder = Folder(tmp_path / "data")
    path = folder.root / "global/pg_control"
    path.write_bytes(TORN)
    mending = threading.Timer(0.1, lambda: path.write_bytes(WHOLE))
    mending.start()
    repository = new_repository()
    manifest = written_tree(repository, folder.root, backup_on(0), None)
    mending.join()
    FileWriter(repository, manifest, tmp_path / "out", {}, silent).write()
    assert (tmp_path / "out/global/pg_control").read_bytes() == WHOLE


def test_a_control_file_that_stays_torn_ends_the_backup(tmp_path: Path) -> None:
    """No backup is committed that could not start."""
    folder = Folder(tmp_path / "data")
    (folder.root / "global/pg_control").write_bytes(TORN)
    with pytest.raises(ChecksumError, match="CRC"):
        written_tree(new_repository(), folder.root, backup_on(0), None)


def test_without_a_control_file_there_is_no_backup(tmp_path: Path) -> None:
    """A folder without one is no data directory."""
    folder = Folder(tmp_path / "data")
    (folder.root / "global/pg_control").unlink()
    with pytest.raises(IntegrityError, match="pg_control"):
        written_tree(new_repository(), folder.root, backup_on(0), None)


def test_verification_says_what_a_restore_would(tmp_path: Path) -> None:
    """A backup whose tree lacks the control file is refused by one and named by the other."""
    repository = new_repository()
    folder = Folder(tmp_path / "data")
    (folder.root / "more").mkdir()
    manifest = take(repository, folder, 0)
    assert verify_repository(repository, None, deep=True, progress=silent).intact
    empty = next(entry.node for entry in manifest.directories if entry.path == "more")
    assert Directory.from_json(repository.read_blob(empty)).files == ()
    without = manifest.model_copy(
        update={
            "directories": tuple(
                entry.model_copy(update={"node": empty}) if entry.path == "global" else entry
                for entry in manifest.directories
            )
        }
    )
    name = f"backups/{manifest.backup_id}"
    repository.store.delete(name)
    repository.commit(without)
    found = verify_repository(repository, None, deep=True, progress=silent)
    assert [finding.place for finding in found.findings] == [name]
    with pytest.raises(IntegrityError, match="no control file"):
        FileWriter(repository, without, tmp_path / "out", {}, silent).write()
