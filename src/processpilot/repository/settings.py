"""What a repository was created with, as stored in `config` and authenticated by its key.

Whoever only reads `config` knows nothing for certain: each field is believed once a key was found
under which its MAC holds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from processpilot.errors import (
    ChecksumError,
    IntegrityError,
    NotFoundError,
    RefusedError,
    UsageError,
)
from processpilot.repository.crypto import Keyring
from processpilot.repository.names import largest_bytes
from processpilot.storage.store import ObjectStore

FORMAT_VERSION = 1
CONFIG_NAME = "config"

# Measured (docs/architecture.md, "Chunk size"): 1 % of pages changed at random touch about 8 %
# of 64 KiB chunks and 27 % of 256 KiB ones.
DEFAULT_CHUNK_BYTES = 64 * 1024
# Whole pages, and whole chunks in a window of 8 MiB.
CHUNK_SIZES = frozenset(8192 << power for power in range(8))


@dataclass(frozen=True, slots=True)
class Settings:
    """What a repository was created with; never changes."""

    repository_id: bytes
    system_identifier: int
    chunk_bytes: int

    def __post_init__(self) -> None:
        if self.chunk_bytes not in CHUNK_SIZES:
            raise UsageError(
                f"chunks of {self.chunk_bytes} bytes: not a power of two, 8 to 1024 KiB"
            )

    def to_json(self) -> bytes:
        """Return the canonical text that the settings' authentication covers."""
        document = {
            "chunk_bytes": self.chunk_bytes,
            "format": FORMAT_VERSION,
            "repository_id": self.repository_id.hex(),
            "system_identifier": str(self.system_identifier),
        }
        return canonical(document)


def canonical(document: Mapping[str, object]) -> bytes:
    """Return the one text of a JSON object that its authentication covers."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class StoredSettings:
    """Settings as stored: not authenticated until `mac` was compared with that of `body`."""

    settings: Settings
    body: bytes
    mac: str

    def are_of(self, key: bytes) -> bool:
        """Whether a holder of `key` wrote them."""
        keyring = Keyring(self.settings.repository_id, key)
        return keyring.authenticate(b"config", self.body) == self.mac


def read_settings(store: ObjectStore) -> StoredSettings:
    """Return what the store says of itself; IntegrityError when it is malformed."""
    try:
        raw = store.get(CONFIG_NAME, limit_bytes=largest_bytes(CONFIG_NAME))
    except NotFoundError as error:
        raise NotFoundError(
            f"no repository at {store.location}",
            hint="Run `processpilot init` to create one, or check repository.url in the plan.",
        ) from error
    try:
        document = json.loads(raw)
        version = document["format"]
        if version != FORMAT_VERSION:
            raise RefusedError(
                f"the repository has format {version}, this program reads {FORMAT_VERSION}",
                hint="Use the release of ProcessPilot that wrote it, or a newer one.",
            )
        settings = Settings(
            bytes.fromhex(document["repository_id"]),
            int(document["system_identifier"]),
            int(document["chunk_bytes"]),
        )
        if raw != canonical(document):
            raise ChecksumError("the repository's settings were altered", place=CONFIG_NAME)
        mac = str(document.pop("mac"))
        return StoredSettings(settings, canonical(document), mac)
    except (ValueError, KeyError, TypeError, RecursionError, UsageError) as error:
        raise IntegrityError(f"the settings of {store.location} are damaged: {error}") from error


def check_settings(store: ObjectStore, keyring: Keyring) -> None:
    """Raise IntegrityError unless the settings are exactly as the key's holder wrote them."""
    stored = read_settings(store)
    if keyring.authenticate(b"config", stored.body) != stored.mac:
        raise settings_altered(store)


def settings_altered(store: ObjectStore) -> ChecksumError:
    """Return the error for settings that no holder of the repository's key wrote."""
    return ChecksumError(f"the settings of {store.location} fail authentication", place=CONFIG_NAME)
