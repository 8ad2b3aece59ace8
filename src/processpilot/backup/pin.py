"""Pins: a running backup says which older backup it refers to, so that it is not expired meanwhile.

The pin is written first and the parent looked at afterwards; whoever expires does the reverse
(announces, then looks for pins). Whichever order the two meet in, one of them notices.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from processpilot.clock import Clock
from processpilot.repository.blob import BackupId
from processpilot.repository.manifest import Manifest
from processpilot.repository.names import EXPIRING, PINS
from processpilot.repository.repository import Repository


@contextmanager
def pinned(
    repository: Repository, backup: BackupId, parent: Manifest | None, clock: Clock
) -> Iterator[Manifest | None]:
    """Yield `parent` while it is safe from expiry, or None when it is just being expired."""
    name = f"{PINS}{backup}"
    document = {
        "parent": None if parent is None else str(parent.backup_id),
        "begin_at": clock.now().isoformat(),
    }
    repository.put_object(name, json.dumps(document).encode())
    try:
        yield None if parent is None or _being_expired(repository, parent) else parent
    finally:
        repository.store.delete(name)


def _being_expired(repository: Repository, parent: Manifest) -> bool:
    announced = any(repository.store.list(f"{EXPIRING}{parent.backup_id}"))
    return announced or parent.backup_id not in repository.backup_ids()
