"""Writing stretches of files: what one worker of a restore does.

Every chunk is authenticated and its content compared with its name before it is written. Workers
share nothing; each opens the repository for itself.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from processpilot.errors import UnavailableError
from processpilot.repository.blob import BlobRef, PackId, decode_refs, ref_of, refs_in
from processpilot.repository.repository import Repository
from processpilot.repository.tree import CHUNKS_PER_LEAF, check_part

# Blobs of one pack are read in one request, up to this many bytes of plaintext.
_RUN_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class TargetFile:
    """A file as it has to be in the end."""

    path: Path
    size_bytes: int
    mode: int
    owner: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file (`repository.tree`), by its number.

    `rows` are the part's references, or the one reference of the leaf that holds them. A `whole`
    file is made and finished by whoever writes its only piece.
    """

    file: TargetFile
    number: int
    rows: bytes
    is_leaf: bool
    whole: bool


@dataclass(frozen=True, slots=True)
class _Place:
    """One chunk and where it goes."""

    ref: BlobRef
    path: Path
    offset: int


@dataclass(frozen=True)
class WriteJob:
    """Everything a worker has to know; picklable where the repository's store is."""

    repository: Repository
    chunk_bytes: int

    def begin(self, _number: int) -> PieceWriter:
        """Return a worker."""
        return PieceWriter(self)


class PieceWriter:
    """One worker: writes batches of pieces and answers how many bytes they had."""

    def __init__(self, job: WriteJob) -> None:
        self._repository = job.repository
        self._chunk_bytes = job.chunk_bytes
        self._part_bytes = CHUNKS_PER_LEAF * job.chunk_bytes
        self._open: dict[Path, int] = {}

    def do(self, task: Sequence[Piece]) -> int:
        """Write the pieces; whole files are durable and complete on return."""
        try:
            return self._write(task)
        finally:
            for descriptor in self._open.values():
                os.close(descriptor)
            self._open.clear()

    def finish(self) -> None:
        """Nothing is left open."""

    def close(self) -> None:
        """Nothing is left open."""

    def _write(self, pieces: Sequence[Piece]) -> int:
        by_pack: dict[PackId, list[_Place]] = defaultdict(list)
        size = 0
        for piece in pieces:
            path = piece.file.path
            self._open[path] = create_file(piece.file) if piece.whole else open_file(path)
            for place in self._places(piece):
                by_pack[place.ref.pack].append(place)
                size += place.ref.raw_bytes
        for places in by_pack.values():
            for run in _runs(places):
                blobs = self._repository.read_blobs([place.ref for place in run])
                # One by one, while a chunk is still in the processor's cache (measured).
                for place, chunk in zip(run, blobs, strict=True):
                    write_all(self._open[place.path], place.path, place.offset, chunk)
        for piece in pieces:
            if piece.whole:
                finish_file(self._open[piece.file.path], piece.file)
            else:
                _begin_writing_back(self._open[piece.file.path], piece.number * self._part_bytes)
        return size

    def _places(self, piece: Piece) -> Iterator[_Place]:
        rows = piece.rows
        if piece.is_leaf:
            rows = self._repository.read_blob(ref_of(rows))
        file, number = piece.file, piece.number
        refs = decode_refs(rows)
        check_part(str(file.path), file.size_bytes, number, refs, self._chunk_bytes)
        offset = number * self._part_bytes
        for ref in refs_in(refs):
            yield _Place(ref, file.path, offset)
            offset += ref.raw_bytes


def create_file(file: TargetFile) -> int:
    """Make a file of its final length, full of nothing; return its descriptor."""
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(file.path, flags, 0o600)
        try:
            os.truncate(descriptor, file.size_bytes)
        except OSError:
            os.close(descriptor)
            raise
    except OSError as error:
        raise UnavailableError(f"cannot create {file.path}: {error.strerror}") from error
    return descriptor


def open_file(path: Path) -> int:
    """Return the descriptor of a file made before."""
    try:
        return os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise UnavailableError(f"cannot write {path}: {error.strerror}") from error


def finish_file(descriptor: int, file: TargetFile) -> None:
    """Give a file its mode and owner; durable on return."""
    try:
        os.fchmod(descriptor, file.mode)
        if os.geteuid() == 0:
            os.fchown(descriptor, *file.owner)
        os.fsync(descriptor)
    except OSError as error:
        raise UnavailableError(f"cannot flush {file.path}: {error.strerror}") from error


def _begin_writing_back(descriptor: int, offset: int) -> None:
    """Have the kernel begin with the disk's work on what was just written (Linux does, when told
    that it will not be needed; what is dirty stays in memory). `finish_file` waits for its end.
    """
    os.posix_fadvise(descriptor, offset, 0, os.POSIX_FADV_DONTNEED)


def _runs(places: list[_Place]) -> Iterator[list[_Place]]:
    """Yield chunks of one pack in its order, as many at a time as one request should read."""
    run: list[_Place] = []
    size = 0
    for place in sorted(places, key=lambda place: place.ref.offset):
        if run and size + place.ref.raw_bytes > _RUN_BYTES:
            yield run
            run, size = [], 0
        run.append(place)
        size += place.ref.raw_bytes
    if run:
        yield run


def write_all(descriptor: int, path: Path, offset: int, content: bytes) -> None:
    """Write all of `content` at `offset`."""
    try:
        written = os.pwrite(descriptor, content, offset)
        while written < len(content):
            written += os.pwrite(descriptor, memoryview(content)[written:], offset + written)
    except OSError as error:
        raise UnavailableError(f"cannot write {path}: {error.strerror}") from error
