"""Temporary folders of killed processes."""

from __future__ import annotations

import time
from pathlib import Path

from processpilot.leftovers import LIFETIME_S, LOG_PREFIX, SPOOL_PREFIX, remove_leftovers


def test_only_our_own_old_folders_go(tmp_path: Path) -> None:
    """Folders of these names go after a day; others, and younger ones, stay."""
    folders = [tmp_path / f"{prefix}x" for prefix in (LOG_PREFIX, SPOOL_PREFIX)]
    other = tmp_path / "processpilot-other-x"
    for folder in (*folders, other):
        folder.mkdir()
        (folder / "file").write_text("x")
    remove_leftovers(tmp_path, time.time() + LIFETIME_S - 60)
    assert all(folder.exists() for folder in folders)
    remove_leftovers(tmp_path, time.time() + LIFETIME_S + 60)
    assert not any(folder.exists() for folder in folders)
    assert other.exists()
