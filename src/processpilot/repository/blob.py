"""References to stored blobs: what a manifest holds instead of bytes.

A blob is one chunk of a file or one node of a manifest tree, stored compressed and encrypted
inside a pack. Its reference says which pack, where, how long, and what the plaintext hashes to.
References are kept in numpy arrays, because a terabyte has sixteen million of them.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

import numpy as np
from numpy.typing import NDArray

from processpilot.errors import IntegrityError, UsageError

# docs/repository-format.md, "References": 56 bytes, little-endian, no padding.
REF = np.dtype(
    [
        ("name", "V32"),
        ("backup_time", "<u4"),
        ("backup_tag", "<u4"),
        ("pack", "<u4"),
        ("offset", "<u4"),
        ("stored_bytes", "<u4"),
        ("raw_bytes", "<u4"),
    ]
)

_ROW = struct.Struct("<32s6I")
assert _ROW.size == REF.itemsize

Refs = NDArray[np.void]

_BACKUP_ID = re.compile(r"(\d{8}T\d{6}Z)-([0-9a-f]{8})")
_BACKUP_TIME = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True, order=True)
class BackupId:
    """A backup's identity: the second it began and 32 random bits; sorts by time.

    Its text, `20261123T031500Z-9f31c2aa`, is what people type and what object names carry.
    """

    time_s: int
    tag: int

    @classmethod
    def new(cls, at: datetime, tag: int) -> BackupId:
        """Return the identity of a backup that begins `at`."""
        return cls(int(at.timestamp()), tag)

    @classmethod
    def parse(cls, text: str) -> BackupId:
        """Return the identity written as `text`; UsageError when it is not one."""
        match = _BACKUP_ID.fullmatch(text)
        if match is None:
            raise UsageError(
                f'"{text}" is not a backup id',
                hint="Run `processpilot backup list` to see the backups there are.",
            )
        try:
            at = datetime.strptime(match[1], _BACKUP_TIME).replace(tzinfo=UTC)
        except ValueError as error:
            raise UsageError(f'"{text}" is not a backup id: {error}') from error
        return cls(int(at.timestamp()), int(match[2], 16))

    @property
    def began_at(self) -> datetime:
        """The second the backup began, in UTC."""
        return datetime.fromtimestamp(self.time_s, UTC)

    def __str__(self) -> str:
        return f"{self.began_at:{_BACKUP_TIME}}-{self.tag:08x}"


@dataclass(frozen=True, slots=True)
class PackId:
    """A pack's identity: the backup that wrote it and its number within that backup."""

    backup: BackupId
    number: int

    @property
    def object_name(self) -> str:
        """The name of the object that holds the pack."""
        return f"packs/{self.backup}/{self.number:08x}"

    @classmethod
    def parse(cls, object_name: str) -> Self:
        """Return the identity of the pack held by `object_name`, which must be a pack's name."""
        _, backup, number = object_name.split("/")
        return cls(BackupId.parse(backup), int(number, 16))


@dataclass(frozen=True, slots=True)
class BlobRef:
    """Where one blob lies and what its plaintext hashes to (`name`, 32 bytes)."""

    name: bytes
    pack: PackId
    offset: int
    stored_bytes: int
    raw_bytes: int

    def to_bytes(self) -> bytes:
        """Return the stored form: one row of a `Refs` array."""
        backup = self.pack.backup
        return _ROW.pack(
            self.name,
            backup.time_s,
            backup.tag,
            self.pack.number,
            self.offset,
            self.stored_bytes,
            self.raw_bytes,
        )


def ref_of(row: bytes | memoryview) -> BlobRef:
    """Return the reference stored in 56 bytes."""
    name, time_s, tag, number, offset, stored_bytes, raw_bytes = _ROW.unpack(row)
    pack = PackId(BackupId(time_s, tag), number)
    return BlobRef(name, pack, offset, stored_bytes, raw_bytes)


def refs_in(refs: Refs) -> Iterator[BlobRef]:
    """Yield each row of `refs` as a value."""
    data = memoryview(refs.tobytes())
    for begin in range(0, len(data), REF.itemsize):
        yield ref_of(data[begin : begin + REF.itemsize])


def decode_refs(data: bytes) -> Refs:
    """Return the references stored as `data`, read-only; IntegrityError when cut off."""
    if len(data) % REF.itemsize:
        raise IntegrityError(f"a list of references has {len(data)} bytes, not a multiple of 56")
    return np.frombuffer(data, REF)


def packs_in(refs: Refs) -> set[PackId]:
    """Return every pack that `refs` point into."""
    keys = np.unique(refs[["backup_time", "backup_tag", "pack"]])
    return {PackId(BackupId(int(t), int(g)), int(p)) for t, g, p in keys.tolist()}
