"""A repository opened with a key: its settings, blobs, sealed objects and backups.

Creating writes the settings first and the wrapped keys after them; a repository whose creation
was interrupted opens no key and says so. Everything stored is put-if-absent: nothing here
overwrites an object.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence

from processpilot.errors import ChecksumError, NotFoundError, RefusedError
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
from processpilot.repository.names import BACKUPS, largest_bytes, objects
from processpilot.repository.settings import (
    CONFIG_NAME,
    DEFAULT_CHUNK_BYTES,
    Settings,
    canonical,
    check_settings,
    read_settings,
)
from processpilot.storage.store import ObjectStore

__all__ = [
    "DEFAULT_CHUNK_BYTES",
    "Repository",
    "Settings",
    "check_settings",
    "create_repository",
    "open_repository",
]


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
        return self.keyring.open_object(name, self.store.get(name, limit_bytes=largest_bytes(name)))

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
    store.put(CONFIG_NAME, canonical(document))
    opened_as = [
        add_recipient(store, label, keyring, key, identity) for label, identity in recipients
    ]
    return Repository(store, settings, keyring, opened_as[0])


def open_repository(
    store: ObjectStore, identity: Identity, *, expected_id: str | None = None
) -> Repository:
    """Return the repository at `store`, opened with `identity`, its settings authenticated.

    With `expected_id` (32 hexadecimal digits) another repository is refused: whoever can write to
    the place and knows a public recipient could put one of their own there.
    """
    settings = read_settings(store).settings
    if expected_id is not None and settings.repository_id.hex() != expected_id:
        raise RefusedError(
            f"{store.location} is repository {settings.repository_id.hex()}, "
            f"the plan was made for {expected_id}",
            hint="Find out who replaced it. If it was you, correct repository.id in the plan.",
        )
    recipient, key = unwrap_key(store, identity)
    return Repository(store, settings, Keyring(settings.repository_id, key), recipient)
