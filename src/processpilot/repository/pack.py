"""Packs: objects of about 24 MiB that hold many blobs.

A pack is a magic, blobs end to end, a sealed index of them, and the index's length. Restores read
by reference and need no index; it serves whoever has to list what a pack holds.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import zstandard

from processpilot.errors import ChecksumError
from processpilot.repository.blob import BlobRef, PackId, Refs, decode_refs
from processpilot.repository.crypto import TAG_BYTES, Keyring, decompress
from processpilot.storage.store import ObjectStore

MAGIC = b"PPK1"
TARGET_BYTES = 24 * 1024 * 1024
_LENGTH = struct.Struct("<I")
_MAX_INDEX_BYTES = 64 * 1024 * 1024


# Room for the blob that crosses the target, and for the index.
_ROOM_BYTES = TARGET_BYTES + 2 * 1024 * 1024


class _OpenPack:
    """A pack being filled, in memory reserved once."""

    def __init__(self, pack: PackId) -> None:
        self.pack = pack
        self.rows: list[bytes] = []
        self.size_bytes = 0
        self._body = bytearray(_ROOM_BYTES)
        self.add(MAGIC)

    def add(self, part: bytes) -> None:
        end = self.size_bytes + len(part)
        if end > len(self._body):
            self._body.extend(bytes(end - len(self._body)))
        self._body[self.size_bytes : end] = part
        self.size_bytes = end

    @property
    def content(self) -> memoryview:
        return memoryview(self._body)[: self.size_bytes]


class PackWriter:
    """Collects blobs into packs for one thread; `upload(name, bytes)` receives each full pack.

    `next_pack` hands out pack identities; it must be safe to call from several threads.
    """

    def __init__(
        self,
        keyring: Keyring,
        next_pack: Callable[[], PackId],
        upload: Callable[[str, memoryview], None],
        *,
        level: int = 1,
    ) -> None:
        self._keyring = keyring
        self._next_pack = next_pack
        self._upload = upload
        self._compressor = zstandard.ZstdCompressor(level=level, write_content_size=True)
        self._open: _OpenPack | None = None
        self.stored_bytes = 0

    @property
    def open_pack(self) -> PackId | None:
        """The pack that is being filled; all others were handed over."""
        return None if self._open is None else self._open.pack

    def add(self, data: bytes | memoryview, name: bytes) -> bytes:
        """Return the 56-byte reference of `data`, which `name` must be the chunk name of.

        The blob is durable once `flush` has returned and the uploads have been waited for.
        """
        return self.add_compressed(self._compressor.compress(data), name, len(data))

    def add_compressed(self, frame: bytes, name: bytes, raw_bytes: int) -> bytes:
        """Return the reference of a blob that is compressed already: one zstd frame."""
        if self._open is None:
            self._open = _OpenPack(self._next_pack())
        current = self._open
        offset = current.size_bytes
        stored = self._keyring.seal_blob(current.pack, offset, frame)
        current.add(stored)
        row = BlobRef(name, current.pack, offset, len(stored), raw_bytes).to_bytes()
        current.rows.append(row)
        if current.size_bytes >= TARGET_BYTES:
            self.flush()
        return row

    def flush(self) -> None:
        """Hand over the pack being filled, if there is one."""
        if self._open is None:
            return
        current, self._open = self._open, None
        index = self._compressor.compress(b"".join(current.rows))
        sealed = self._keyring.seal_blob(current.pack, current.size_bytes, index)
        current.add(sealed + _LENGTH.pack(len(sealed)))
        self.stored_bytes += current.size_bytes
        self._upload(current.pack.object_name, current.content)


def read_pack(store: ObjectStore, keyring: Keyring, pack: PackId) -> tuple[bytes, Refs]:
    """Return a whole pack's bytes and its own index of blobs, the index authenticated."""
    name = pack.object_name
    body = store.get(name)
    smallest = len(MAGIC) + TAG_BYTES + _LENGTH.size
    if len(body) < smallest or not body.startswith(MAGIC):
        raise ChecksumError(f"{name} is not a pack of this format", place=name)
    (length,) = _LENGTH.unpack(body[-_LENGTH.size :])
    offset = len(body) - _LENGTH.size - length
    if offset < len(MAGIC):
        raise ChecksumError(f"{name} has an index of {length} bytes, longer than it", place=name)
    stored = memoryview(body)[offset : len(body) - _LENGTH.size]
    index = keyring.open_blob(pack, offset, stored)
    return body, decode_refs(decompress(index, place=name, limit_bytes=_MAX_INDEX_BYTES))
