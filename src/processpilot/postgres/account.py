"""As whom PostgreSQL's programs run when we are root, which they refuse.

A folder owned by an ordinary account: as that account. A folder owned by root: in a user
namespace that maps root's files to an ordinary id (`unshare`); no account and no copy is needed.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from processpilot.errors import UnavailableError

_MAPPED = ("unshare", "--user", "--map-user=1000", "--map-group=1000")


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a program for a folder's owner: words before it, and ids to change to."""

    prefix: tuple[str, ...] = ()
    user: int | None = None
    group: int | None = None


def launch_for(data_dir: Path) -> Launch:
    """Return how to run PostgreSQL programs on `data_dir` (which may not exist yet)."""
    if os.geteuid() != 0:
        return Launch()
    existing = data_dir
    while not existing.exists():
        existing = existing.parent
    status = existing.stat()
    if status.st_uid != 0 and data_dir.exists():
        return Launch((), status.st_uid, status.st_gid)
    if not _namespaces_work():
        raise UnavailableError(
            f"{existing} belongs to root, whom PostgreSQL refuses, and user namespaces are closed",
            hint="Give the folder to an ordinary account (chown), or run as one.",
        )
    return Launch(_MAPPED)


@lru_cache(maxsize=1)
def _namespaces_work() -> bool:
    try:
        done = subprocess.run([*_MAPPED, "true"], capture_output=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
