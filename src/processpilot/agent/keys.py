"""Keys as the command handles them: proven on stored bytes, added, removed, rotated, written down.

The escrow key is any key but the one this machine opens the repository with.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from processpilot.errors import NotFoundError, RefusedError
from processpilot.plan.secrets import read_secret, write_secret
from processpilot.repository.keys import (
    AgePublicKey,
    Identity,
    Recipient,
    add_recipient,
    free_label,
    new_identity,
    remove_recipient,
    unwrap_key,
)
from processpilot.repository.repository import open_repository
from processpilot.repository.tree import Directory
from processpilot.wiring.drivers import store_for
from processpilot.wiring.wired import Wired

STREAM = "keys"
KEY_PROVEN = "key-proven"
ESCROW_PROVEN = "escrow-proven"


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
    elsewhere = holder.label != wired.repository.opened_as.label
    wired.journal.append(
        STREAM,
        ESCROW_PROVEN if elsewhere else KEY_PROVEN,
        {"label": proven.label, "public": proven.public, "backup_id": proven.backup_id},
    )
    return proven


def add_key(wired: Wired, label: str, holder: Identity | AgePublicKey) -> Recipient:
    """Wrap the repository key for one more holder."""
    repository = wired.repository
    _, key = unwrap_key(repository.store, _own_identity(wired))
    added = add_recipient(repository.store, label, repository.keyring, key, holder)
    wired.journal.append(STREAM, "key-added", {"label": label, "public": added.public})
    return added


def remove_key(wired: Wired, label: str) -> None:
    """Take the repository from one holder; RefusedError for this machine's own key.

    Whoever copied the repository key before can still read what was stored.
    """
    if label == wired.repository.opened_as.label:
        raise RefusedError(
            f'"{label}" is the key that this machine opens the repository with',
            hint=f"Run `processpilot key rotate {label}` to replace it.",
        )
    remove_recipient(wired.repository.store, wired.repository.keyring, label)
    wired.journal.append(STREAM, "key-removed", {"label": label})


def rotate_key(wired: Wired, label: str, holder: Identity | AgePublicKey) -> Recipient:
    """Replace another holder's key: the new one is wrapped and tried before the old one goes."""
    store = wired.repository.store
    added = add_key(wired, free_label(store, label), holder)
    if isinstance(holder, Identity):
        open_repository(store, holder)
    remove_key(wired, label)
    return added


def rotate_own_key(wired: Wired) -> Recipient:
    """Replace the key this machine opens the repository with, and the file that holds it.

    Interrupted at any moment, the file holds a key that opens the repository, and rotating again
    goes on with the new key that was made. RefusedError when the key is in no file.
    """
    repository = wired.repository
    reference = wired.loaded.plan.repository.identity
    if not reference.startswith("file:"):
        raise RefusedError(
            f"the plan takes the key from {reference}, which cannot be written",
            hint="Add a key with `processpilot key add`, put it there, then remove the old one.",
        )
    path = wired.loaded.base / Path(reference.removeprefix("file:")).expanduser()
    fresh = path.with_name(f"{path.name}.new")
    if fresh.exists():
        identity = Identity(read_secret(f"file:{fresh}", wired.loaded.base).text)
    else:
        identity = new_identity()
        write_secret(fresh, identity.secret)
    try:
        added, _ = unwrap_key(repository.store, identity)
    except RefusedError:
        added = add_key(wired, free_label(repository.store, repository.opened_as.label), identity)
    open_repository(repository.store, identity)
    fresh.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    old = repository.opened_as.label
    remove_recipient(repository.store, repository.keyring, old)
    wired.journal.append(STREAM, "key-removed", {"label": old})
    return added


def _own_identity(wired: Wired) -> Identity:
    return Identity(read_secret(wired.loaded.plan.repository.identity, wired.loaded.base).text)
