"""The names that objects of a repository have; whatever else lies there is a stranger.

Listings pass strangers over, because a file that a person or a file manager left must not stand
between anybody and a restore. Verification names them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from processpilot.storage.store import ObjectInfo, ObjectStore

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

_BACKUP = r"\d{8}T\d{6}Z-[0-9a-f]{8}"
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
_SINGLE = {"config", "probe=create"}


def objects(store: ObjectStore, prefix: str) -> Iterator[ObjectInfo]:
    """Return what lies under one of the prefixes above and is named as it should be."""
    pattern = _PATTERNS[prefix]
    for info in store.list(prefix):
        if pattern.fullmatch(info.name.removeprefix(prefix)):
            yield info


def strangers(store: ObjectStore) -> Iterator[str]:
    """Return the names of objects that no part of the format accounts for."""
    for info in store.list(""):
        head, slash, rest = info.name.partition("/")
        pattern = _PATTERNS.get(head + slash)
        if info.name not in _SINGLE and (pattern is None or not pattern.fullmatch(rest)):
            yield info.name
