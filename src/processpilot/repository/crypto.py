"""Encryption of what is stored: subkeys, chunk names, sealed objects, blobs in packs.

Everything hangs from one random 256-bit repository key. AES-256-GCM authenticates each object
and each blob together with its own place, so that bytes moved elsewhere do not open.
`docs/repository-format.md`, "Encryption", is the specification. Wrapping the repository key for
people is left to `keys`.
"""

from __future__ import annotations

import secrets
import threading
from functools import lru_cache

import blake3
import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from processpilot.errors import ChecksumError
from processpilot.repository.blob import PackId

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
OBJECT_MAGIC = b"PPO1"

# One sealed object holds at most a WAL segment (1 GiB) or a manifest; a frame that claims more
# is not ours, and is refused before memory is reserved for it.
MAX_OBJECT_BYTES = 2 << 30


class Keyring:
    """The repository key in use: derives every other key, opens and seals.

    Safe to share between threads. Its repr never shows the key.
    """

    def __init__(self, repository_id: bytes, key: bytes) -> None:
        assert len(key) == KEY_BYTES
        self._id = repository_id
        self._key = key
        self._names = self._derive(b"chunk names")
        self._pack_cipher = lru_cache(maxsize=4096)(self._derive_pack_cipher)

    def __repr__(self) -> str:
        return f"Keyring({self._id.hex()})"

    def __reduce__(self) -> tuple[object, ...]:
        """Make it picklable, key included, for workers of this very process (`crew`)."""
        return Keyring, (self._id, self._key)

    def _derive(self, purpose: bytes) -> bytes:
        kdf = HKDF(SHA256(), KEY_BYTES, salt=self._id, info=b"processpilot 1 " + purpose)
        return kdf.derive(self._key)

    def _derive_pack_cipher(self, pack: PackId) -> AESGCM:
        return AESGCM(self._derive(b"pack " + pack.object_name.encode()))

    def chunk_name(self, data: bytes | memoryview) -> bytes:
        """Return the keyed BLAKE3 hash (32 bytes) that names a chunk or node."""
        return blake3.blake3(data, key=self._names).digest()

    def authenticate(self, purpose: bytes, data: bytes) -> str:
        """Return a keyed hash (hexadecimal) proving that the key's holder wrote `data`."""
        return blake3.blake3(data, key=self._derive(b"mac " + purpose)).hexdigest()

    def seal_blob(self, pack: PackId, offset: int, compressed: bytes) -> bytes:
        """Return `compressed` encrypted for its place: `offset` within `pack`.

        A place is written once, so the offset serves as the nonce.
        """
        nonce = offset.to_bytes(NONCE_BYTES, "little")
        return self._pack_cipher(pack).encrypt(nonce, compressed, self._id)

    def open_blob(self, pack: PackId, offset: int, stored: bytes | memoryview) -> bytes:
        """Return what `seal_blob` was given; ChecksumError when one bit differs."""
        nonce = offset.to_bytes(NONCE_BYTES, "little")
        try:
            return self._pack_cipher(pack).decrypt(nonce, stored, self._id)
        except InvalidTag as error:
            raise ChecksumError(
                f"stored bytes of {pack.object_name} at offset {offset} fail authentication",
                place=pack.object_name,
                hint="Run `processpilot backup verify` to see which backups are affected.",
            ) from error

    def seal_object(self, name: str, data: bytes, *, level: int = 3) -> bytes:
        """Return `data` compressed and encrypted as the object called `name`."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        cipher = AESGCM(self._derive(b"object " + name.encode()))
        body = zstandard.ZstdCompressor(level=level, write_content_size=True).compress(data)
        return OBJECT_MAGIC + nonce + cipher.encrypt(nonce, body, self._id)

    def open_object(self, name: str, stored: bytes) -> bytes:
        """Return what `seal_object` was given; ChecksumError when it is not that."""
        nonce_end = len(OBJECT_MAGIC) + NONCE_BYTES
        nonce = stored[len(OBJECT_MAGIC) : nonce_end]
        if not stored.startswith(OBJECT_MAGIC) or len(stored) < nonce_end + TAG_BYTES:
            raise ChecksumError(f"{name} is not an object of this format", place=name)
        cipher = AESGCM(self._derive(b"object " + name.encode()))
        try:
            body = cipher.decrypt(nonce, memoryview(stored)[nonce_end:], self._id)
        except InvalidTag as error:
            raise ChecksumError(f"{name} fails authentication", place=name) from error
        return decompress(body, place=name, limit_bytes=MAX_OBJECT_BYTES)


_local = threading.local()


def _decompressor() -> zstandard.ZstdDecompressor:
    """Return this thread's decompressor; making one costs as much as using it for a small blob."""
    found: zstandard.ZstdDecompressor | None = getattr(_local, "decompressor", None)
    if found is None:
        found = _local.decompressor = zstandard.ZstdDecompressor()
    return found


def decompress(body: bytes, *, place: str, limit_bytes: int) -> bytes:
    """Return one zstd frame's content; ChecksumError when damaged or over `limit_bytes`."""
    try:
        if zstandard.frame_content_size(body) > limit_bytes:
            raise ChecksumError(f"{place} claims more than {limit_bytes} bytes", place=place)
        return _decompressor().decompress(body)
    except zstandard.ZstdError as error:
        raise ChecksumError(f"{place} does not decompress: {error}", place=place) from error
