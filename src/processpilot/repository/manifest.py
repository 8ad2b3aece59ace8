"""Manifests: what a backup is, from the server it was taken from to the root of its tree.

Writing the manifest is what makes a backup exist. It repeats everything a bare machine has to
know before it restores: versions, settings that recovery insists on, tablespaces, locale and
collation versions, and the plan that was in force.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    ValidationError,
)

from processpilot.errors import IntegrityError, RefusedError, UsageError
from processpilot.postgres.lsn import Lsn
from processpilot.repository.blob import BackupId, BlobRef, ref_of

MANIFEST_FORMAT = 1


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a moment without a time zone")
    return value


def _to_ref(value: object) -> object:
    if isinstance(value, str):
        return ref_of(base64.b64decode(value, validate=True))
    return value


Moment = Annotated[datetime, AfterValidator(_aware)]
LsnField = Annotated[
    Lsn,
    BeforeValidator(lambda value: Lsn.parse(value) if isinstance(value, str) else value),
    PlainSerializer(str),
]
BackupIdField = Annotated[
    BackupId,
    BeforeValidator(lambda value: BackupId.parse(value) if isinstance(value, str) else value),
    PlainSerializer(str),
]
RefField = Annotated[
    BlobRef,
    BeforeValidator(_to_ref),
    PlainSerializer(lambda ref: base64.b64encode(ref.to_bytes()).decode()),
]


class _Record(BaseModel):
    """Frozen; fields that a newer release added are ignored when read."""

    model_config = ConfigDict(frozen=True, extra="ignore", arbitrary_types_allowed=True)


class Collation(_Record):
    """A database's collation provider and the library version it was built with."""

    database: str
    provider: str
    version: str | None


class ClusterFacts(_Record):
    """The server as it was when the backup was taken."""

    system_identifier: int
    major: int
    server_version: str
    wal_segment_bytes: int
    block_bytes: int
    data_checksums: bool
    settings: Mapping[str, str]
    preload_libraries: tuple[str, ...]
    extensions: tuple[str, ...]
    collations: tuple[Collation, ...]
    data_directory: str
    databases: tuple[str, ...]
    superuser: str | None


# The server's own user id says nothing on another machine, so a backup that came over the
# replication protocol does not record it.
UNKNOWN_ID = -1


class DirectoryEntry(_Record):
    """One directory of the backup: path relative to the data directory, "" for its root.

    Tablespaces appear as `pg_tblspc/<oid>` and below. `owner` and `group` are names where the
    machine knew them; ids are UNKNOWN_ID where nobody could tell.
    """

    path: str
    mode: int
    uid: int
    gid: int
    owner: str | None
    group: str | None
    node: RefField


class Tablespace(_Record):
    """A tablespace: its OID and the folder it lived in; `inside` when in the data directory."""

    oid: int
    location: str
    inside: bool = False


class BadPage(_Record):
    """A page whose checksum was wrong on the source's own disk.

    `block` counts through all segments of the relation's fork; `relation` is its name as in
    "app: public.orders", where the catalogs still told.
    """

    path: str
    block: int
    relation: str | None = None

    def __str__(self) -> str:
        named = "" if self.relation is None else f" ({self.relation})"
        return f"{self.path} block {self.block}{named}"


class _Format(_Record):
    format: int


def _check_format(data: bytes) -> None:
    found = _Format.model_validate_json(data).format
    if found != MANIFEST_FORMAT:
        raise RefusedError(
            f"a backup was written in format {found}, this program reads {MANIFEST_FORMAT}",
            hint="Use the release of ProcessPilot that wrote it, or a newer one.",
        )


class Manifest(_Record):
    """One backup, complete."""

    format: int = MANIFEST_FORMAT
    backup_id: BackupIdField
    parent: BackupIdField | None
    method: str
    begin_at: Moment
    end_at: Moment
    timeline: int
    start_lsn: LsnField
    stop_lsn: LsnField
    stop_at: Moment
    cluster: ClusterFacts
    directories: tuple[DirectoryEntry, ...]
    tablespaces: tuple[Tablespace, ...]
    backup_label: str
    tablespace_map: str
    file_count: int
    source_bytes: int
    stored_bytes: int
    chunk_bytes: int
    bad_pages: tuple[BadPage, ...] = ()
    missing_files: tuple[str, ...] = ()
    config_files: Mapping[str, str] = {}
    plan: str | None = None
    program: str
    # How many backups in a row, this one included, read only what the server's summaries named.
    partly_read: int = 0
    # False when nobody was streaming: the log then ends at the stop, and a hole behind is expected.
    continuous: bool = True

    def to_json(self) -> bytes:
        """Return the stored form."""
        return self.model_dump_json().encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Return the manifest stored as `data`; IntegrityError when it is malformed.

        RefusedError when a newer program wrote it in a way this one does not know.
        """
        try:
            _check_format(data)
            return cls.model_validate_json(data)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise IntegrityError(f"a manifest is malformed at {place}: {first['msg']}") from error
        except (UsageError, struct.error) as error:
            raise IntegrityError(f"a manifest is malformed: {error}") from error
