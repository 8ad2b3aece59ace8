"""The names that objects of a repository have; whatever else lies there is a stranger.

Listings pass strangers over, because a file that a person or a file manager left must not stand
between anybody and a restore. Verification names them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from processpilot.errors import UsageError
from processpilot.repository.blob import BackupId
from processpilot.storage.store import MOST_BYTES, ObjectInfo, ObjectStore

BACKUPS = "backups/"
EXPIRING = "expiring/"
FLOORS = "floors/"
HISTORIES = "histories/"
KEPT = "kept/"
KEYS = "keys/"
MOVED = "moved/"
PACKS = "packs/"
PINS = "pins/"
PROOFS = "proofs/"
SEGMENTS = "wal/"
TAILS = "tails/"

_BACKUP = r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}"
_SEGMENT = r"[0-9A-F]{24}"
_TIMELINE = r"[0-9A-F]{8}"

# docs/repository-format.md, "Objects".
_PATTERNS = {
    BACKUPS: re.compile(_BACKUP),
    EXPIRING: re.compile(_BACKUP),
    FLOORS: re.compile(r"[0-9a-f]{16}"),
    HISTORIES: re.compile(_TIMELINE),
    KEPT: re.compile(_BACKUP),
    KEYS: re.compile(r"[a-z0-9-]+"),
    MOVED: re.compile(rf"{_BACKUP}/[0-9a-f]{{8}}"),
    PACKS: re.compile(rf"{_BACKUP}/[0-9a-f]{{8}}"),
    PINS: re.compile(_BACKUP),
    PROOFS: re.compile(_BACKUP),
    SEGMENTS: re.compile(rf"({_TIMELINE})/\1[0-9A-F]{{16}}"),
    TAILS: re.compile(rf"{_SEGMENT}/[0-9a-f]{{8}}-[0-9a-f]{{8}}"),
}
_BACKUP_FIRST = frozenset({BACKUPS, EXPIRING, KEPT, MOVED, PACKS, PINS, PROOFS})
_SINGLE = {"config", "probe=create"}

# What no genuine object of a kind exceeds; of the other kinds the store's own limit holds.
_SMALL_BYTES = 64 * 1024
_LARGEST_BYTES = {
    "config": _SMALL_BYTES,
    EXPIRING: _SMALL_BYTES,
    FLOORS: _SMALL_BYTES,
    HISTORIES: 1024 * 1024,
    KEPT: _SMALL_BYTES,
    KEYS: _SMALL_BYTES,
    MOVED: 64 * 1024 * 1024,
    PINS: _SMALL_BYTES,
    PROOFS: 1024 * 1024,
}


def largest_bytes(name: str) -> int:
    """Return what an object of that name can have at most: more is not read."""
    head, slash, _ = name.partition("/")
    return _LARGEST_BYTES.get(head + slash, MOST_BYTES)


def objects(store: ObjectStore, prefix: str) -> Iterator[ObjectInfo]:
    """Return what lies under one of the prefixes above and is named as it should be."""
    for info in store.list(prefix):
        if _is_ours(prefix, info.name.removeprefix(prefix)):
            yield info


def _is_ours(prefix: str, rest: str) -> bool:
    pattern = _PATTERNS.get(prefix)
    if pattern is None or not pattern.fullmatch(rest):
        return False
    return prefix not in _BACKUP_FIRST or _is_backup(rest.partition("/")[0])


def _is_backup(text: str) -> bool:
    """Whether `text` names a moment there is, and one that a reference can hold."""
    try:
        return BackupId.parse(text).time_s in range(1 << 32)
    except UsageError:
        return False


def strangers(store: ObjectStore) -> Iterator[str]:
    """Return the names of objects that no part of the format accounts for."""
    for info in store.list(""):
        head, slash, rest = info.name.partition("/")
        if info.name not in _SINGLE and not _is_ours(head + slash, rest):
            yield info.name
