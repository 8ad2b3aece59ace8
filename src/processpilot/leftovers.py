"""Temporary folders that killed processes left behind, known by name, owner and age."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

LOG_PREFIX = "processpilot-log-"
SPOOL_PREFIX = "processpilot-spool-"

# Nothing that is still in use stays untouched for so long.
LIFETIME_S = 24 * 3600.0


def remove_leftovers(place: Path | None = None, now_s: float | None = None) -> None:
    """Remove our own temporary folders older than a day; they may hold log in the clear."""
    now = time.time() if now_s is None else now_s
    for path in (place or Path(tempfile.gettempdir())).glob("processpilot-*"):
        if not path.name.startswith((LOG_PREFIX, SPOOL_PREFIX)):
            continue
        with suppress(OSError):
            status = path.lstat()
            if status.st_uid == os.geteuid() and now - status.st_mtime > LIFETIME_S:
                shutil.rmtree(path)
