"""Backups that people keep: no policy lets go of them until somebody releases them.

One object per backup, created and deleted, never changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from processpilot.errors import LockedError, NotFoundError, RefusedError
from processpilot.repository.blob import BackupId
from processpilot.repository.names import EXPIRING, KEPT, objects
from processpilot.repository.repository import Repository


@dataclass(frozen=True, slots=True)
class Keeping:
    """Who keeps a backup, since when, and why."""

    backup: BackupId
    why: str
    by: str
    at: datetime


def keep_backup(repository: Repository, keeping: Keeping) -> None:
    """Keep a backup; durable on return.

    NotFoundError when there is no such backup, RefusedError when it is kept already, LockedError
    when an expiry is about to remove it.
    """
    repository.manifest(keeping.backup)
    present = read_keepings(repository).get(keeping.backup)
    if present is not None:
        raise RefusedError(
            f"backup {keeping.backup} is kept already: {present.why} ({present.by})",
            hint=f"Run `processpilot backup unpin {keeping.backup}` first to give another reason.",
        )
    document = {"at": keeping.at.isoformat(), "by": keeping.by, "why": keeping.why}
    name = f"{KEPT}{keeping.backup}"
    repository.put_object(name, json.dumps(document, sort_keys=True).encode())
    # Expiry announces before it looks here; we look for its announcement after we wrote.
    announced = {info.name for info in objects(repository.store, EXPIRING)}
    if f"{EXPIRING}{keeping.backup}" in announced or keeping.backup not in repository.backup_ids():
        repository.store.delete(name)
        raise LockedError(
            f"backup {keeping.backup} is being expired right now",
            hint="Wait for the expiry to end; run `processpilot backup list` to see what is left.",
        )


def release_backup(repository: Repository, backup: BackupId) -> None:
    """Keep a backup no longer; NotFoundError when nobody keeps it."""
    if backup not in {_named(info.name) for info in objects(repository.store, KEPT)}:
        raise NotFoundError(
            f"nobody keeps backup {backup}", hint="Run `processpilot backup list` to see."
        )
    repository.store.delete(f"{KEPT}{backup}")


def read_keepings(repository: Repository) -> Mapping[BackupId, Keeping]:
    """Return what people keep; ChecksumError when one was not written with the repository's key."""
    found = {}
    for info in objects(repository.store, KEPT):
        backup = _named(info.name)
        try:
            document = json.loads(repository.get_object(info.name))
        except NotFoundError:
            continue
        at = datetime.fromisoformat(document["at"])
        found[backup] = Keeping(backup, str(document["why"]), str(document["by"]), at)
    return found


def _named(name: str) -> BackupId:
    return BackupId.parse(name.removeprefix(KEPT))
