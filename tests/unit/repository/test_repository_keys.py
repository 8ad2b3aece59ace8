"""Wrapped keys: the last genuine one stays, and a damaged one can be removed."""

from __future__ import annotations

import pytest
from made_repository import OPERATOR, new_repository

from processpilot.errors import NotFoundError, RefusedError, UsageError
from processpilot.repository.keys import (
    AgePublicKey,
    add_recipient,
    free_label,
    list_recipients,
    new_identity,
    remove_recipient,
    unwrap_key,
)
from processpilot.storage.memory import MemoryStore


def test_a_forged_key_does_not_make_the_genuine_one_removable() -> None:
    """Whoever can write to the store must not talk us into removing the only real key."""
    store = MemoryStore()
    repository = new_repository(store)
    other = new_repository(MemoryStore())
    add_recipient(store, "forged", other.keyring, b"\x05" * 32, new_identity())
    store.put("keys/damaged", b"{}")
    with pytest.raises(RefusedError, match="the last key"):
        remove_recipient(store, repository.keyring, "operator")
    for label in ("forged", "damaged"):
        remove_recipient(store, repository.keyring, label)
    assert [holder.label for holder in list_recipients(store)] == ["operator"]


def test_a_public_key_is_enough_to_add_its_holder() -> None:
    """The holder opens with the identity that was never here."""
    repository = new_repository()
    _, key = unwrap_key(repository.store, OPERATOR)
    identity = new_identity()
    public = AgePublicKey(str(identity.public))
    add_recipient(repository.store, "far", repository.keyring, key, public)
    assert unwrap_key(repository.store, identity)[1] == key
    with pytest.raises(UsageError, match="malformed"):
        AgePublicKey("age1")


def test_labels_of_rotated_keys_count_up() -> None:
    """operator, operator-2, operator-3; a label that is free is no removal."""
    repository = new_repository()
    assert free_label(repository.store, "operator") == "operator-2"
    _, key = unwrap_key(repository.store, OPERATOR)
    add_recipient(repository.store, "operator-2", repository.keyring, key, new_identity())
    assert free_label(repository.store, "operator-2") == "operator-3"
    with pytest.raises(NotFoundError, match="no key is labelled"):
        remove_recipient(repository.store, repository.keyring, "operator-3")
