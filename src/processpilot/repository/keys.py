"""The repository key, wrapped for each recipient; any one of them opens the repository.

A recipient is an age key (X25519) or a passphrase. Wrapping is plain age, so the age tool opens
a wrapped key too. A wrapped key is never overwritten: rotation adds one under a new label, tries
it, and removes the old one. Packs are left alone, so this does not revoke somebody who already
copied the repository key.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
import secrets
from dataclasses import dataclass

import pyrage

from processpilot.errors import (
    ChecksumError,
    IntegrityError,
    NotFoundError,
    RefusedError,
    UsageError,
)
from processpilot.repository.crypto import KEY_BYTES, Keyring
from processpilot.repository.names import KEYS, largest_bytes, objects
from processpilot.repository.settings import canonical, read_settings, settings_altered
from processpilot.storage.store import ObjectStore

_LABEL = re.compile(r"[a-z0-9-]{1,40}")


@dataclass(frozen=True, slots=True)
class Recipient:
    """One holder of the repository: `kind` is age or passphrase, `public` the age recipient."""

    label: str
    kind: str
    public: str | None

    def __str__(self) -> str:
        return f"{self.label} ({self.public or 'a passphrase'})"


@dataclass(frozen=True, slots=True)
class AgePublicKey:
    """The public half of an age identity: enough to wrap the repository key for its holder."""

    public: str

    def __post_init__(self) -> None:
        try:
            pyrage.x25519.Recipient.from_str(self.public)
        except pyrage.RecipientError as error:
            raise UsageError(
                "the age recipient is malformed", hint="It is one word that begins age1."
            ) from error


@dataclass(frozen=True, slots=True, repr=False)
class Identity:
    """A secret that unwraps the repository key: an age identity or a passphrase."""

    secret: str

    @property
    def is_age(self) -> bool:
        """Whether this is an age identity rather than a passphrase."""
        return self._age_line() is not None

    def _age_line(self) -> str | None:
        for line in self.secret.splitlines():
            if line.strip().startswith("AGE-SECRET-KEY-"):
                return line.strip()
        return None

    @property
    def public(self) -> str | None:
        """The age recipient that belongs to this identity; None for a passphrase."""
        line = self._age_line()
        return None if line is None else str(_parse_age(line).to_public())

    def unwrap(self, kind: str, wrapped: bytes) -> bytes | None:
        """Return what was wrapped, or None when this secret does not open it."""
        line = self._age_line()
        if (line is not None) != (kind == "age"):
            return None
        try:
            if line is not None:
                return bytes(pyrage.decrypt(wrapped, [_parse_age(line)]))
            return bytes(pyrage.passphrase.decrypt(wrapped, self.secret))
        except pyrage.DecryptError:
            return None


def _parse_age(line: str) -> pyrage.x25519.Identity:
    try:
        return pyrage.x25519.Identity.from_str(line)
    except pyrage.IdentityError as error:
        raise UsageError(
            "the age identity is malformed", hint="It is one line that begins AGE-SECRET-KEY-1."
        ) from error


def new_identity() -> Identity:
    """Return a fresh age identity."""
    return Identity(str(pyrage.x25519.Identity.generate()))


def add_recipient(
    store: ObjectStore,
    label: str,
    keyring: Keyring,
    key: bytes,
    holder: Identity | AgePublicKey,
) -> Recipient:
    """Return the recipient under which `key` is now wrapped for `holder`; durable on return."""
    if not _LABEL.fullmatch(label):
        raise UsageError(
            f'"{label}" is not a key label', hint="Use a-z, 0-9 and hyphens, 40 at most."
        )
    if label in _labels(store):
        raise RefusedError(f'a key labelled "{label}" exists already', hint="Choose another label.")
    public = holder.public
    if public is not None:
        wrapped = pyrage.encrypt(key, [pyrage.x25519.Recipient.from_str(public)])
    else:
        assert isinstance(holder, Identity)
        wrapped = pyrage.passphrase.encrypt(key, holder.secret)
    document = {
        "label": label,
        "kind": "age" if public else "passphrase",
        "public": public,
        "wrapped": base64.b64encode(wrapped).decode(),
    }
    document["mac"] = keyring.authenticate(b"recipient", canonical(document))
    store.put(f"{KEYS}{label}", canonical(document))
    return Recipient(label, str(document["kind"]), public)


def remove_recipient(store: ObjectStore, keyring: Keyring, label: str) -> None:
    """Remove the wrapped key of `label`; damaged ones can be removed too.

    NotFoundError when there is none. RefusedError when no genuine one would be left: the repository
    could never be opened again.
    """
    if label not in _labels(store):
        raise NotFoundError(
            f'no key is labelled "{label}"', hint="Run `processpilot key list` to see the labels."
        )
    if not any(known != label for known in _genuine(store, keyring)):
        raise RefusedError(
            f'"{label}" is the last key that opens the repository',
            hint="Add another with `processpilot key add` first.",
        )
    store.delete(f"{KEYS}{label}")


def free_label(store: ObjectStore, label: str) -> str:
    """Return a label like `label` that no key has: escrow-2 after escrow."""
    taken = _labels(store)
    stem = re.sub(r"-\d+$", "", label)
    return next(name for n in itertools.count(2) if (name := f"{stem}-{n}") not in taken)


def _labels(store: ObjectStore) -> set[str]:
    return {info.name.removeprefix(KEYS) for info in objects(store, KEYS)}


def _genuine(store: ObjectStore, keyring: Keyring) -> list[str]:
    """Return the labels whose wrapped key is as a holder of the repository key wrote it."""
    found = []
    for label in sorted(_labels(store)):
        try:
            _check(f"{KEYS}{label}", _wrapped(store, f"{KEYS}{label}"), keyring)
        except IntegrityError:
            continue
        found.append(label)
    return found


def check_recipients(store: ObjectStore, keyring: Keyring) -> None:
    """Raise ChecksumError unless every wrapped key is exactly as the key's holder wrote it."""
    for info in objects(store, KEYS):
        _check(info.name, _wrapped(store, info.name), keyring)


def _wrapped(store: ObjectStore, name: str) -> bytes:
    return store.get(name, limit_bytes=largest_bytes(name))


def _check(name: str, raw: bytes, keyring: Keyring) -> None:
    try:
        document = json.loads(raw)
        mac = document.pop("mac")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ChecksumError(f"{name} is not a wrapped key", place=name) from error
    expected = keyring.authenticate(b"recipient", canonical(document))
    if mac != expected or raw != canonical(document | {"mac": mac}):
        raise ChecksumError(f"{name} fails authentication", place=name)


def list_recipients(store: ObjectStore) -> list[Recipient]:
    """Return every recipient whose wrapped key can be read, sorted by label."""
    return [recipient for recipient, _ in _stored(store)[0]]


def _stored(store: ObjectStore) -> tuple[list[tuple[Recipient, bytes]], list[str]]:
    """Return recipients with their wrapped keys, and the names of those that are damaged.

    One damaged key must not lock out the holder of another.
    """
    found = []
    damaged = []
    for info in objects(store, KEYS):
        try:
            document = json.loads(_wrapped(store, info.name))
            wrapped = base64.b64decode(document["wrapped"], validate=True)
            recipient = Recipient(document["label"], document["kind"], document["public"])
        except (ValueError, KeyError, TypeError, RecursionError, IntegrityError):
            damaged.append(info.name)
            continue
        found.append((recipient, wrapped))
    return found, damaged


def unwrap_key(store: ObjectStore, identity: Identity) -> tuple[Recipient, bytes]:
    """Return the repository key and the recipient that `identity` opened it as.

    A key that opens but did not write the repository's settings is passed over: whoever may write
    to the store can wrap one of their own for a public recipient. RefusedError when `identity`
    opens none of them, NotFoundError when there is no wrapped key at all, IntegrityError when it
    opens none that is genuine, or none while some are damaged.
    """
    settings = read_settings(store)
    stored, damaged = _stored(store)
    forged = False
    if not stored and not damaged:
        raise NotFoundError(
            f"no wrapped key in {store.location}",
            hint="Check the repository's address; `processpilot init` creates one.",
        )
    for recipient, wrapped in stored:
        if recipient.public is not None and recipient.public != identity.public:
            continue
        key = identity.unwrap(recipient.kind, wrapped)
        if key is not None and len(key) == KEY_BYTES and settings.are_of(key):
            return recipient, key
        forged = forged or key is not None
    if forged:
        raise settings_altered(store)
    if damaged:
        raise IntegrityError(
            f"the key given opens no recipient; {', '.join(damaged)} is damaged",
            hint="Give the identity file or passphrase of another recipient, or bring the damaged "
            "object back from a copy of the repository.",
        )
    given = "the passphrase given" if identity.public is None else f"the key {identity.public}"
    raise RefusedError(
        f"{given} opens none of the repository's recipients: "
        f"{', '.join(str(recipient) for recipient, _ in stored)}",
        hint="Give the identity file or passphrase of one of them.",
    )


def new_repository_key() -> bytes:
    """Return 32 random bytes."""
    return secrets.token_bytes(KEY_BYTES)
