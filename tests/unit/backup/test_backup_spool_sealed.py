"""Spools put aside after a recovery stay for a week."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from processpilot.backup.spool import Spool, remove_sealed

AT = datetime(2026, 3, 1, 3, tzinfo=UTC)


def test_a_sealed_spool_goes_after_a_week_and_nothing_else_does(tmp_path: Path) -> None:
    """Only folders sealed more than seven days ago are removed; strangers stay."""
    spool = Spool(tmp_path / "spool", 1 << 20)
    (spool.folder / "000000010000000000000001.partial").write_bytes(b"x")
    sealed = spool.seal(AT)
    stranger = tmp_path / "spool-sealed-by-hand"
    stranger.mkdir()
    remove_sealed(spool.folder, AT + timedelta(days=7))
    assert sealed.exists()
    remove_sealed(spool.folder, AT + timedelta(days=7, seconds=1))
    assert not sealed.exists()
    assert stranger.exists()
    assert spool.folder.exists()
