"""Reading stored objects whole and saying what is wrong with each: one worker of a verification."""

from __future__ import annotations

from dataclasses import dataclass

from processpilot.errors import IntegrityError, NotFoundError
from processpilot.postgres.wal import Segment
from processpilot.repository.blob import REF, PackId, decode_refs, refs_in
from processpilot.repository.pack import MAGIC, read_pack
from processpilot.repository.repository import Repository
from processpilot.repository.wal import WalArchive


@dataclass(frozen=True, slots=True)
class PackTask:
    """Read a pack; the blobs in `needed` (references end to end) have to be in it.

    A pack of which nothing is needed may be gone: an expiry removed it.
    """

    pack: PackId
    needed: bytes

    @property
    def place(self) -> str:
        """The object's name."""
        return self.pack.object_name


@dataclass(frozen=True, slots=True)
class SegmentTask:
    """Read a whole segment of the log."""

    segment: Segment

    @property
    def place(self) -> str:
        """The segment's name."""
        return self.segment.name


Task = PackTask | SegmentTask


@dataclass(frozen=True, slots=True)
class Examined:
    """How many bytes were read, and what is wrong with them, if anything."""

    bytes: int
    problem: str | None = None


@dataclass(frozen=True)
class ExamineJob:
    """Everything a worker has to know; picklable where the repository's store is."""

    repository: Repository
    segment_bytes: int
    deep: bool

    def begin(self, _number: int) -> Examiner:
        """Return a worker."""
        return Examiner(self)


class Examiner:
    """One worker: authenticates whole objects, and with `deep` unpacks every blob."""

    def __init__(self, job: ExamineJob) -> None:
        self._repository = job.repository
        self._archive = WalArchive(job.repository, job.segment_bytes)
        self._deep = job.deep

    def do(self, task: Task) -> Examined:
        """Return what was found; only an unreachable store is an error."""
        try:
            if isinstance(task, SegmentTask):
                return Examined(len(self._archive.read_segment(task.segment)))
            return self._examine_pack(task)
        except (IntegrityError, NotFoundError) as error:
            return Examined(0, error.message)

    def finish(self) -> None:
        """Nothing is left open."""

    def close(self) -> None:
        """Nothing is left open."""

    def _examine_pack(self, task: PackTask) -> Examined:
        keyring = self._repository.keyring
        try:
            body, index = read_pack(self._repository.store, keyring, task.pack)
        except NotFoundError:
            if task.needed:
                self._read_elsewhere(task)
            return Examined(0)
        view = memoryview(body)
        end = len(MAGIC)
        for ref in refs_in(index):
            if ref.offset != end:
                raise IntegrityError(f"{task.place} has {ref.offset - end} stray bytes at {end}")
            end += ref.stored_bytes
            stored = view[ref.offset : end]
            if self._deep:
                self._repository.open_blob(ref, stored)
            else:
                keyring.open_blob(task.pack, ref.offset, stored)
        if not _rows(task.needed) <= _rows(index.tobytes()):
            raise IntegrityError(f"{task.place} lacks a blob that a backup refers to")
        return Examined(len(body))

    def _read_elsewhere(self, task: PackTask) -> None:
        """Read the blobs of a pack that was rewritten since the tasks were made."""
        for _ in self._repository.read_blobs(list(refs_in(decode_refs(task.needed)))):
            pass


def _rows(data: bytes) -> set[bytes]:
    return {data[begin : begin + REF.itemsize] for begin in range(0, len(data), REF.itemsize)}
