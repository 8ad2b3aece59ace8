"""A base backup through the replication protocol, where the data directory cannot be read.

One BASE_BACKUP command (manual, "Streaming Replication Protocol"; the message layout is that of
PostgreSQL 15 and later) sends every tablespace as a tar archive over one connection. The server
verifies page checksums while it reads: it warns of the first five bad pages of each file, and
reports an error behind the end of an otherwise whole backup. This is what pg_basebackup asks for;
asking ourselves spares a second copy on disk when there are tablespaces.
"""

from __future__ import annotations

import re
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO, cast

from psycopg import pq
from psycopg.conninfo import make_conninfo
from psycopg.pq.abc import PGconn, PGresult

from processpilot.backup.chunks import WINDOW_BYTES, ChunkWriter
from processpilot.backup.collect import Collected, TreeWriter
from processpilot.backup.parent import ParentTree
from processpilot.backup.scan import FoundDirectory, FoundFile, FoundTablespace, require_text
from processpilot.errors import ChecksumError, IntegrityError, RefusedError, UnavailableError
from processpilot.postgres.connection import ServerAddress
from processpilot.postgres.control import CONTROL_PATH, parse_control
from processpilot.postgres.layout import excludes_file
from processpilot.postgres.lsn import Lsn
from processpilot.postgres.pages import first_block_of
from processpilot.repository.manifest import UNKNOWN_ID, BadPage, DirectoryEntry
from processpilot.repository.tree import CHUNKS_PER_LEAF, FileEntry

_LABEL = "backup_label"
_MAP = "tablespace_map"
# Manual, "PostgreSQL Error Codes".
_WARNING = b"01000"
_DATA_CORRUPTED = b"XX001"
_WARNED_PAGE = re.compile(
    r"((?:(?:\./)?(?:base/\d+|global)|/.+?/PG_\d+_\d+/\d+)/\d+(?:_[a-z]+)?(?:\.\d+)?)\D+(\d+)"
)


@dataclass(frozen=True, slots=True)
class StreamedBackup:
    """What came over the connection, stored."""

    collected: Collected
    tablespaces: tuple[FoundTablespace, ...]
    timeline: int
    start_lsn: Lsn
    stop_lsn: Lsn
    backup_label: str
    tablespace_map: str


def collect_stream(
    address: ServerAddress,
    label: str,
    tree: TreeWriter,
    parent: ParentTree | None,
    bytes_per_s: float | None = None,
) -> StreamedBackup:
    """Store everything that one BASE_BACKUP sends, no faster than `bytes_per_s`."""
    connection = _connect(address)
    try:
        stream = _Stream(connection, address.shown, bytes_per_s)
        return _collect(stream, label, tree, parent)
    finally:
        connection.finish()


def _connect(address: ServerAddress) -> PGconn:
    options = {"replication": "true", "dbname": None}
    if address.password is not None:
        options["password"] = address.password
    connection = pq.PGconn.connect(make_conninfo(address.conninfo, **options).encode())
    if connection.status != pq.ConnStatus.OK:
        text = " ".join(connection.get_error_message().split())
        connection.finish()
        raise UnavailableError(
            f"cannot open a replication connection to {address.shown}: {text}",
            hint="The role needs REPLICATION, and pg_hba.conf a line for database replication.",
        )
    return connection


def _collect(
    stream: _Stream, label: str, tree: TreeWriter, parent: ParentTree | None
) -> StreamedBackup:
    start, spaces = stream.begin(label)
    tree.expect(sum(int(row[2] or 0) for row in spaces) * 1024)
    archives = _Archives(tree, parent)
    for name, source in stream.archives():
        archives.store(name.removesuffix(".tar"), source)
    stop = stream.end()
    if not archives.label:
        raise IntegrityError("the server sent no backup_label")
    collected = tree.finish(archives.directories())
    return StreamedBackup(
        replace(collected, bad_pages=tuple(stream.bad_pages)),
        tuple(
            FoundTablespace(int(oid), location, location.startswith("pg_tblspc/"))
            for oid, location, _ in spaces
            if oid and location
        ),
        int(start[1] or 0),
        Lsn.parse(start[0] or ""),
        Lsn.parse(stop[0] or ""),
        archives.label,
        archives.map,
    )


_Row = tuple[str | None, ...]


class _Stream:
    """The messages of one BASE_BACKUP."""

    def __init__(self, connection: PGconn, shown: str, bytes_per_s: float | None) -> None:
        self._connection = connection
        self._bytes_per_s = bytes_per_s
        self._shown = shown
        self._pushed_back: bytes | None = None
        self._ended = False
        self._spaces: list[_Row] = []
        self.bad_pages: list[BadPage] = []
        connection.notice_handler = self._noticed

    def begin(self, label: str) -> tuple[_Row, list[_Row]]:
        """Send the command; return the start row and the tablespace rows (OID, path, KiB)."""
        quoted = label.replace("'", "''")
        command = (
            f"BASE_BACKUP (LABEL '{quoted}', CHECKPOINT 'fast', PROGRESS true, "
            "WAIT false, TABLESPACE_MAP true, MANIFEST 'no', VERIFY_CHECKSUMS true"
        )
        if self._bytes_per_s is not None:
            # Kilobytes; 32 to 1048576 (manual, "Streaming Replication Protocol").
            rate = min(max(int(self._bytes_per_s / 1024), 32), 1024 * 1024)
            command += f", MAX_RATE {rate}"
        command += ")"
        self._connection.send_query(command.encode())
        start = self._rows()
        spaces = self._rows()
        result = self._connection.get_result()
        if result is None or result.status != pq.ExecStatus.COPY_OUT:
            raise self._failure(result)
        self._spaces = spaces
        return start[0], spaces

    def _rows(self) -> list[_Row]:
        result = self._connection.get_result()
        if result is None or result.status != pq.ExecStatus.TUPLES_OK:
            raise self._failure(result)
        return [
            tuple(
                None if value is None else value.decode()
                for value in (result.get_value(row, column) for column in range(result.nfields))
            )
            for row in range(result.ntuples)
        ]

    def archives(self) -> Iterator[tuple[str, IO[bytes]]]:
        """Yield each archive's name and its bytes; read one before asking for the next."""
        while (message := self._message()) is not None:
            if message[:1] != b"n":
                continue
            name = message[1:].split(b"\0", 1)[0].decode()
            source = _ArchiveBytes(self)
            yield name, cast(IO[bytes], source)
            source.drain()

    def data(self) -> bytes | None:
        """Return the archive's next bytes; None at its end."""
        while (message := self._message()) is not None:
            if message[:1] == b"d":
                return message[1:]
            if message[:1] == b"n":
                self._pushed_back = message
                return None
        return None

    def _message(self) -> bytes | None:
        if self._pushed_back is not None:
            message, self._pushed_back = self._pushed_back, None
            return message
        if self._ended:
            return None
        count, data = self._connection.get_copy_data(0)
        if count > 0:
            return bytes(data)
        if count == -1:
            self._ended = True
            return None
        raise UnavailableError(f"{self._shown} broke off the backup", transient=True)

    def end(self) -> _Row:
        """Return the stop row; the server reports here what went wrong on its side.

        Bad pages that it named are no failure: the backup is whole, and is marked.
        """
        row = self._rows()[0]
        while (result := self._connection.get_result()) is not None:
            if result.status != pq.ExecStatus.FATAL_ERROR:
                continue
            damage = result.error_field(pq.DiagnosticField.SQLSTATE) == _DATA_CORRUPTED
            if not (damage and self.bad_pages):
                raise self._failure(result)
        return row

    def _noticed(self, result: PGresult) -> None:
        """Take down the page that a warning names, in whatever language it is written."""
        if result.error_field(pq.DiagnosticField.SQLSTATE) != _WARNING:
            return
        text = (result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"").decode(
            errors="replace"
        )
        named = _WARNED_PAGE.search(text)
        if named is not None:
            path = self._relative(named[1])
            block = first_block_of(path) + int(named[2])
            self.bad_pages.append(BadPage(path=path, block=block))

    def _relative(self, path: str) -> str:
        """Return the path inside the data directory; tablespaces are warned of by place."""
        for oid, location, _ in self._spaces:
            if oid and location and path.startswith(f"{location}/"):
                return f"pg_tblspc/{oid}/{path.removeprefix(f'{location}/')}"
        return path.removeprefix("./")

    def _failure(self, result: PGresult | None) -> Exception:
        text = "" if result is None else result.get_error_message()
        text = " ".join((text or self._connection.get_error_message()).split())
        if "checksum verification failure" in text:
            return ChecksumError(
                f"{self._shown} found pages with a wrong checksum: {text}",
                place=self._shown,
                hint="The server's log names the file and block; repair it before backing up.",
            )
        if "permission denied" in text:
            return RefusedError(f"{self._shown} denies the backup: {text}")
        return UnavailableError(f"{self._shown} ended the backup: {text}")


class _ArchiveBytes:
    """One archive as a file that can be read forwards."""

    def __init__(self, stream: _Stream) -> None:
        self._stream = stream
        self._rest = b""
        self._ended = False

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes; empty at the end."""
        parts = [self._rest]
        have = len(self._rest)
        while have < size and not self._ended:
            data = self._stream.data()
            if data is None:
                self._ended = True
                break
            parts.append(data)
            have += len(data)
        joined = b"".join(parts)
        self._rest = joined[size:]
        return joined[:size]

    def drain(self) -> None:
        """Read to the end of the archive."""
        while self.read(WINDOW_BYTES):
            pass


class _Archives:
    """Stores the members of every archive and remembers the folders they lie in."""

    def __init__(self, tree: TreeWriter, parent: ParentTree | None) -> None:
        self._tree = tree
        self._parent = parent
        self._writer = tree.chunk_writer()
        self._folders: dict[str, tarfile.TarInfo] = {}
        self._files: dict[str, list[FileEntry]] = defaultdict(list)
        self._links: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self.label = ""
        self.map = ""

    def store(self, name: str, source: IO[bytes]) -> None:
        """Store one archive: `base`, or a tablespace by its OID."""
        prefix = "" if name == "base" else f"pg_tblspc/{name}"
        if prefix:
            # Tablespaces arrive before the data directory, and without an entry of their own.
            self._folders[prefix] = _private_folder()
        with tarfile.open(fileobj=source, mode="r|", bufsize=1 << 20) as archive:
            for member in archive:
                path = member.name.removeprefix("./").rstrip("/")
                full = "/".join(part for part in (prefix, path) if part not in ("", "."))
                self._store_member(archive, member, full)

    def _store_member(self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
        folder, _, name = require_text(path).rpartition("/")
        if member.isdir():
            self._folders[path] = member
        elif member.issym():
            if folder != "pg_tblspc":
                self._links[folder].append((name, member.linkname))
        elif member.isreg():
            content = archive.extractfile(member)
            assert content is not None
            if path == _LABEL:
                self.label = content.read().decode()
            elif path == _MAP:
                self.map = content.read().decode()
            elif not excludes_file(path):
                self._store_file(member, path, content)

    def _store_file(self, member: tarfile.TarInfo, path: str, content: IO[bytes]) -> None:
        rows = b"".join(self._rows(self._writer, path, content))
        file = FoundFile(path, member.size, member.mode, UNKNOWN_ID, UNKNOWN_ID)
        entry = self._tree.add_file(file, rows, None)
        self._files[path.rpartition("/")[0]].append(entry)

    def _rows(self, writer: ChunkWriter, path: str, content: IO[bytes]) -> Iterator[bytes]:
        per_leaf = CHUNKS_PER_LEAF * self._tree.chunk_bytes
        offset = 0
        known = None
        while window := content.read(min(WINDOW_BYTES, per_leaf - offset % per_leaf)):
            if path == CONTROL_PATH:
                parse_control(window)
            if offset % per_leaf == 0 and self._parent is not None:
                known = self._parent.stretch(path, offset // per_leaf)
            first = offset % per_leaf // self._tree.chunk_bytes
            yield from writer.write_window(memoryview(window), first, known)
            offset += len(window)

    def directories(self) -> tuple[DirectoryEntry, ...]:
        """Return the manifest's folders, parents before children."""
        folders = {"": _private_folder()} | self._folders
        return tuple(
            self._tree.add_directory(
                FoundDirectory(
                    path,
                    info.mode,
                    UNKNOWN_ID,
                    UNKNOWN_ID,
                    (),
                    tuple(sorted(self._links[path])),
                ),
                sorted(self._files[path], key=lambda entry: entry.name),
            )
            for path, info in sorted(folders.items())
        )


def _private_folder() -> tarfile.TarInfo:
    """Return a folder's entry with the mode that PostgreSQL gives its own."""
    info = tarfile.TarInfo()
    info.mode = 0o700
    return info
