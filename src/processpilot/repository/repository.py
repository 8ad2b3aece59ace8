"""A repository opened with a key: its settings, blobs, sealed objects and backups.

Creating writes the settings first and the wrapped keys after them; a repository whose creation
was interrupted opens no key and says so. Everything stored is put-if-absent: nothing here
overwrites an object.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from processpilot.errors import (
    ChecksumError,
    IntegrityError,
    NotFoundError,
    RefusedError,
    UsageError,
)
from processpilot.repository.blob import BackupId, BlobRef, PackId
from processpilot.repository.crypto import Keyring, decompress
from processpilot.repository.keys import (
    Identity,
    Recipient,
    add_recipient,
    new_repository_key,
    unwrap_key,
)
from processpilot.repository.manifest import Manifest
from processpilot.repository.moves import Moves
from processpilot.repository.names import BACKUPS, objects
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
        return _canonical(document)


def _canonical(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


class Repository:
    """An open repository. Safe to share between threads."""

    def __init__(
        self, store: ObjectStore, settings: Settings, keyring: Keyring, opened_as: Recipient
    ) -> None:
        self.store = store
        self.settings = settings
        self.keyring = keyring
        self.opened_as = opened_as
        self.moves = Moves(self)

    def __reduce__(self) -> tuple[object, ...]:
        """Make it picklable where its store is, for workers of this very process (`crew`)."""
        return Repository, (self.store, self.settings, self.keyring, self.opened_as)

    def put_object(self, name: str, data: bytes, *, level: int = 3) -> int:
        """Store `data` sealed as `name` and return the bytes stored; durable on return.

        An object of that name with other content is left alone and raises ExistsError.
        """
        sealed = self.keyring.seal_object(name, data, level=level)
        self.store.put(name, sealed)
        return len(sealed)

    def get_object(self, name: str) -> bytes:
        """Return what was stored as `name`, authenticated."""
        return self.keyring.open_object(name, self.store.get(name))

    def open_blob(self, ref: BlobRef, stored: bytes | memoryview) -> bytes:
        """Return the plaintext of a blob whose stored bytes are at hand, fully checked."""
        body = self.keyring.open_blob(ref.pack, ref.offset, stored)
        place = ref.pack.object_name
        data = decompress(body, place=place, limit_bytes=ref.raw_bytes)
        if len(data) != ref.raw_bytes or self.keyring.chunk_name(data) != ref.name:
            raise ChecksumError(
                f"the blob at offset {ref.offset} of {place} is not the one referred to",
                place=place,
            )
        return data

    def read_blob(self, ref: BlobRef) -> bytes:
        """Return the plaintext of one blob, read from the store and fully checked."""
        return next(self.read_blobs([ref]))

    def read_blobs(self, refs: Sequence[BlobRef]) -> Iterator[bytes]:
        """Yield the plaintext of several blobs of one pack, in the order given.

        All are fetched at once; each is opened when it is asked for. A pack that was rewritten is
        followed to where its blobs lie now.
        """
        pack = refs[0].pack
        ranges = [(ref.offset, ref.stored_bytes) for ref in refs]
        try:
            parts = self.store.get_ranges(pack.object_name, ranges)
        except NotFoundError:
            places = self.moves.of(pack)
            if places is None:
                raise
            yield from self._read_each([self.moves.place(ref, places) for ref in refs])
            return
        for ref, part in zip(refs, parts, strict=True):
            yield self.open_blob(ref, part)

    def _read_each(self, refs: Sequence[BlobRef]) -> Iterator[bytes]:
        """Yield the plaintext of blobs of any packs, in the order given."""
        by_pack: dict[PackId, list[BlobRef]] = defaultdict(list)
        for ref in refs:
            by_pack[ref.pack].append(ref)
        read = {pack: self.read_blobs(wanted) for pack, wanted in by_pack.items()}
        for ref in refs:
            yield next(read[ref.pack])

    def backup_ids(self) -> list[BackupId]:
        """Return the identities of every committed backup, oldest first."""
        return sorted(
            BackupId.parse(info.name.removeprefix(BACKUPS)) for info in objects(self.store, BACKUPS)
        )

    def manifest(self, backup: BackupId) -> Manifest:
        """Return one backup's manifest; NotFoundError when there is no such backup."""
        try:
            return Manifest.from_json(self.get_object(f"{BACKUPS}{backup}"))
        except NotFoundError as error:
            raise NotFoundError(
                f"no backup {backup} in {self.store.location}",
                hint="Run `processpilot backup list` to see the backups there are.",
            ) from error

    def manifests(self) -> list[Manifest]:
        """Return every backup's manifest, oldest first."""
        return [self.manifest(backup) for backup in self.backup_ids()]

    def commit(self, manifest: Manifest) -> None:
        """Make a backup exist: the one write that does so; durable on return."""
        self.put_object(f"{BACKUPS}{manifest.backup_id}", manifest.to_json())


def create_repository(
    store: ObjectStore,
    settings: Settings,
    recipients: Sequence[tuple[str, Identity]],
) -> Repository:
    """Return a new repository with a random key wrapped for each (label, identity).

    RefusedError when the store holds anything already.
    """
    if not recipients:
        raise RefusedError("a repository without a recipient could never be opened")
    if (present := next(iter(store.list("")), None)) is not None:
        raise RefusedError(
            f"{store.location} is not empty: it holds {present.name}",
            hint="Give an empty place, or open the repository that is there.",
        )
    key = new_repository_key()
    keyring = Keyring(settings.repository_id, key)
    body = settings.to_json()
    document = json.loads(body) | {"mac": keyring.authenticate(b"config", body)}
    store.put(CONFIG_NAME, _canonical(document))
    opened_as = [
        add_recipient(store, label, keyring, key, identity) for label, identity in recipients
    ]
    return Repository(store, settings, keyring, opened_as[0])


@dataclass(frozen=True, slots=True)
class _Stored:
    """Settings as stored: not authenticated until `mac` was compared with that of `body`."""

    settings: Settings
    body: bytes
    mac: str


def _read_settings(store: ObjectStore) -> _Stored:
    try:
        raw = store.get(CONFIG_NAME)
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
        if raw != _canonical(document):
            raise ChecksumError("the repository's settings were altered", place=CONFIG_NAME)
        mac = str(document.pop("mac"))
        return _Stored(settings, _canonical(document), mac)
    except (ValueError, KeyError, TypeError, UsageError) as error:
        raise IntegrityError(f"the settings of {store.location} are damaged: {error}") from error


def check_settings(store: ObjectStore) -> None:
    """Raise IntegrityError unless the settings are exactly as they were written."""
    _read_settings(store)


def open_repository(
    store: ObjectStore, identity: Identity, *, expected_id: str | None = None
) -> Repository:
    """Return the repository at `store`, opened with `identity`, its settings authenticated.

    With `expected_id` (32 hexadecimal digits) another repository is refused: whoever can write to
    the place and knows a public recipient could put one of their own there.
    """
    stored = _read_settings(store)
    settings = stored.settings
    if expected_id is not None and settings.repository_id.hex() != expected_id:
        raise RefusedError(
            f"{store.location} is repository {settings.repository_id.hex()}, "
            f"the plan was made for {expected_id}",
            hint="Find out who replaced it. If it was you, correct repository.id in the plan.",
        )
    recipient, key = unwrap_key(store, identity)
    keyring = Keyring(settings.repository_id, key)
    if keyring.authenticate(b"config", stored.body) != stored.mac:
        raise ChecksumError(
            f"the settings of {store.location} fail authentication", place=CONFIG_NAME
        )
    return Repository(store, settings, keyring, recipient)
