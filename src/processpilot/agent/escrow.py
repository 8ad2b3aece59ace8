"""Proving that a key opens the newest backup: not only the wrapped key, but stored bytes."""

from __future__ import annotations

from dataclasses import dataclass

from processpilot.agent.examine import ESCROW_PROVEN
from processpilot.errors import NotFoundError
from processpilot.repository.keys import Identity
from processpilot.repository.repository import open_repository
from processpilot.repository.tree import Directory
from processpilot.wiring.drivers import store_for
from processpilot.wiring.wired import Wired

KEY_PROVEN = "key-proven"


@dataclass(frozen=True, slots=True)
class ProvenKey:
    """Whose key it is and which backup it opened."""

    label: str
    public: str | None
    backup_id: str


def prove_key(wired: Wired, identity: Identity) -> ProvenKey:
    """Open the newest backup with `identity`; write down that it did."""
    repository = open_repository(
        store_for(wired.loaded), identity, expected_id=wired.loaded.plan.repository.id
    )
    backups = repository.backup_ids()
    if not backups:
        raise NotFoundError(
            f"no backup in {repository.store.location} to try the key on",
            hint="Run `processpilot backup create` first.",
        )
    manifest = repository.manifest(backups[-1])
    Directory.from_json(repository.read_blob(manifest.directories[0].node))
    holder = repository.opened_as
    proven = ProvenKey(holder.label, holder.public, str(manifest.backup_id))
    wired.journal.append(
        "keys",
        ESCROW_PROVEN if holder.label == "escrow" else KEY_PROVEN,
        {"label": proven.label, "public": proven.public, "backup_id": proven.backup_id},
    )
    return proven
