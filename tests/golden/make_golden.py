"""Writes tests/golden/format-1: a small repository with every kind of object, and what it holds.

Run once, with the release that wrote format 1 first; later releases only read what lies there.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import sys
from datetime import timedelta
from pathlib import Path

from made_repository import (
    BEGIN,
    OPERATOR,
    SEGMENT_BYTES,
    backup_on,
    control_file,
    new_repository,
    written_tree,
)

from processpilot.postgres.history import TimelineHistory
from processpilot.postgres.wal import Segment
from processpilot.progress import silent
from processpilot.repository.blob import BackupId
from processpilot.repository.expire import execute_expiry, plan_expiry
from processpilot.repository.manifest import Manifest
from processpilot.repository.prune import execute_prune, plan_prune
from processpilot.repository.repository import Repository
from processpilot.repository.retention import RetentionPolicy
from processpilot.repository.wal import WalArchive
from processpilot.storage.local import LocalStore

HERE = Path(__file__).parent / "format-1"
HISTORY = "1\t0/500000\tno recovery target specified\n"
_LONG_BYTES = 1024 * 8192 + 20_000


def fill(root: Path, source: random.Random) -> None:
    """Make a folder with files of every shape: empty, short, inline, long, oddly named; a link."""
    for path in ("base/5", "global", "pg_tblspc", "pg_wal"):
        (root / path).mkdir(parents=True)
    (root / "global/pg_control").write_bytes(control_file(source))
    (root / "base/5/empty").write_bytes(b"")
    (root / "base/5/long").write_bytes(source.randbytes(500) * (_LONG_BYTES // 500))
    (root / "größe").write_bytes(b"umlaut")
    (root / "link").symlink_to("base/5/empty")
    change(root, source, 0)


def change(root: Path, source: random.Random, first: int) -> None:
    """Give files from number `first` on new content."""
    for number in range(first, 12):
        (root / f"base/5/{2000 + number}").write_bytes(source.randbytes(9000))


def take(repository: Repository, root: Path, day: int) -> Manifest:
    """Store a backup and its segment of log."""
    ids = repository.backup_ids()
    parent = repository.manifest(ids[-1]) if ids else None
    manifest = written_tree(repository, root, backup_on(day), parent)
    segment = Segment(1, day + 1, SEGMENT_BYTES)
    WalArchive(repository, SEGMENT_BYTES).put_segment(segment, bytes(SEGMENT_BYTES))
    repository.commit(manifest)
    return manifest


def content(root: Path) -> dict[str, str]:
    """Return the SHA-256 of every file, and every link's target, by path."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file() and name != "backup_label":
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def main() -> int:
    """Write the repository, its key and what its backups hold."""
    shutil.rmtree(HERE, ignore_errors=True)
    root = HERE.parent / "data"
    shutil.rmtree(root, ignore_errors=True)
    source = random.Random(1)
    repository = new_repository(LocalStore(HERE / "repository", create=True))
    backups: dict[BackupId, dict[str, str]] = {}
    fill(root, source)
    for day in range(4):
        change(root, source, day)
        backups[take(repository, root, day).backup_id] = content(root)
    now = BEGIN + timedelta(days=10)
    policy = RetentionPolicy(last=2, daily=0, weekly=0, monthly=0)
    execute_expiry(repository, plan_expiry(repository, policy, now), now)
    execute_prune(repository, plan_prune(repository, now), backup_on(9), silent)
    archive = WalArchive(repository, SEGMENT_BYTES)
    archive.put_tail(Segment(2, 5, SEGMENT_BYTES), 0, b"\x07" * 16_384)
    archive.put_tail(Segment(2, 5, SEGMENT_BYTES), 8192, b"\x07" * 8192 + b"\x09" * 5000)
    archive.put_history(TimelineHistory.parse(2, HISTORY))
    (HERE / "identity.txt").write_text(OPERATOR.secret + "\n")
    held = {str(backup): backups[backup] for backup in repository.backup_ids()}
    (HERE / "content.json").write_text(json.dumps(held, indent=1, ensure_ascii=False) + "\n")
    shutil.rmtree(root)
    shutil.rmtree(HERE / "repository" / "tmp~", ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
