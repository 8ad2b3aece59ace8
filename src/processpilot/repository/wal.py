"""Archived write-ahead log: whole segments, timeline histories, and tails of unfinished segments.

A tail is the beginning of a segment that is still being written, kept as pieces in the order they
arrived and dropped when the whole segment is stored. Which segments a recovery needs is decided in
`chain`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from processpilot.errors import GapError, IntegrityError, NotFoundError, UsageError
from processpilot.postgres.history import TimelineHistory
from processpilot.postgres.lsn import Lsn
from processpilot.postgres.wal import Segment
from processpilot.repository.names import HISTORIES, SEGMENTS, TAILS, objects
from processpilot.repository.repository import Repository
from processpilot.storage.store import ExistsError


@dataclass(frozen=True, slots=True, order=True)
class TailPiece:
    """Bytes `begin` (inclusive) to `end` (exclusive) of an unfinished segment."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class WalInventory:
    """What write-ahead log the repository holds, as listed at one moment."""

    segment_bytes: int
    segments: Mapping[int, frozenset[int]]
    tails: Mapping[Segment, tuple[TailPiece, ...]]
    histories: frozenset[int]

    def holds(self, segment: Segment) -> bool:
        """Whether the whole segment is stored."""
        return segment.number in self.segments.get(segment.timeline, frozenset())

    def whole_segments(self) -> Iterator[Segment]:
        """Return every whole segment that is stored."""
        for timeline, numbers in sorted(self.segments.items()):
            for number in sorted(numbers):
                yield Segment(timeline, number, self.segment_bytes)

    def tail_end(self, segment: Segment) -> int:
        """Return how many bytes of an unfinished segment are held without a hole; 0 if none."""
        return contiguous_end(self.tails.get(segment, ()))

    def end_of(self, timeline: int) -> Lsn | None:
        """Return where the last byte held of a timeline's log ends; None when none is held."""
        ends = [
            Lsn((number + 1) * self.segment_bytes)
            for number in self.segments.get(timeline, frozenset())
        ] + [
            Lsn(segment.begin + max(piece.end for piece in pieces))
            for segment, pieces in self.tails.items()
            if segment.timeline == timeline
        ]
        return max(ends, default=None)

    @property
    def newest_timeline(self) -> int:
        """The highest timeline that left any trace; 1 when there is none."""
        tails = {segment.timeline for segment in self.tails}
        return max({1} | tails | set(self.segments) | self.histories)


def contiguous_end(pieces: Iterable[TailPiece]) -> int:
    """Return up to where `pieces` cover a segment from its first byte without a hole."""
    end = 0
    for piece in sorted(pieces):
        if piece.begin > end:
            break
        end = max(end, piece.end)
    return end


def segment_object(segment: Segment) -> str:
    """Return the object name of a whole segment."""
    return f"{SEGMENTS}{segment.timeline:08X}/{segment.name}"


class WalArchive:
    """The write-ahead log of one repository. Safe to share between threads.

    Storing something that is there already, with the same content, does nothing: whoever was
    interrupted may begin again. Other content raises IntegrityError.
    """

    def __init__(self, repository: Repository, segment_bytes: int) -> None:
        self._repository = repository
        self.segment_bytes = segment_bytes

    def put_segment(self, segment: Segment, data: bytes) -> int:
        """Store a whole segment, then drop its tail; return the bytes stored; durable on return."""
        if len(data) != self.segment_bytes:
            raise IntegrityError(
                f"{segment.name} has {len(data)} bytes, a segment has {self.segment_bytes}"
            )
        stored = self._put(segment_object(segment), data, level=1)
        self.drop_tail(segment)
        return stored

    def put_history(self, history: TimelineHistory) -> None:
        """Store a timeline's history file; durable on return."""
        self._put(f"{HISTORIES}{history.timeline:08X}", history.format().encode(), level=3)

    def put_tail(self, segment: Segment, begin: int, data: bytes) -> int:
        """Store bytes from `begin` of an unfinished segment; return the bytes stored."""
        name = f"{TAILS}{segment.name}/{begin:08x}-{begin + len(data):08x}"
        return self._put(name, data, level=1)

    def drop_tail(self, segment: Segment) -> None:
        """Delete every piece of a segment's tail."""
        for info in self._repository.store.list(f"{TAILS}{segment.name}/"):
            self._repository.store.delete(info.name)

    def _put(self, name: str, data: bytes, *, level: int) -> int:
        try:
            return self._repository.put_object(name, data, level=level)
        except ExistsError:
            if self._repository.get_object(name) != data:
                raise IntegrityError(
                    f"{name} is stored with other content than the server sends now",
                    hint="Another server with the same identity may be archiving here; "
                    "run `processpilot check` before anything else.",
                ) from None
            return 0

    def inventory(self) -> WalInventory:
        """Return what is held now."""
        store = self._repository.store
        segments: dict[int, set[int]] = {}
        for info in objects(store, SEGMENTS):
            if (segment := self._segment(info.name.rpartition("/")[2])) is not None:
                segments.setdefault(segment.timeline, set()).add(segment.number)
        tails: dict[Segment, list[TailPiece]] = {}
        for info in objects(store, TAILS):
            if (found := self._piece(info.name)) is not None:
                tails.setdefault(found[0], []).append(found[1])
        histories = {
            int(info.name.removeprefix(HISTORIES), 16) for info in objects(store, HISTORIES)
        }
        return WalInventory(
            self.segment_bytes,
            {timeline: frozenset(numbers) for timeline, numbers in segments.items()},
            {segment: tuple(sorted(pieces)) for segment, pieces in tails.items()},
            frozenset(histories),
        )

    def strangers(self) -> Iterator[str]:
        """Return names that no segment of this size and no piece of one can have."""
        for info in objects(self._repository.store, SEGMENTS):
            if self._segment(info.name.rpartition("/")[2]) is None:
                yield info.name
        for info in objects(self._repository.store, TAILS):
            if self._piece(info.name) is None:
                yield info.name

    def _segment(self, name: str) -> Segment | None:
        try:
            return Segment.parse(name, self.segment_bytes)
        except UsageError:
            return None

    def _piece(self, name: str) -> tuple[Segment, TailPiece] | None:
        _, of, between = name.split("/")
        begin, _, end = between.partition("-")
        piece = TailPiece(int(begin, 16), int(end, 16))
        segment = self._segment(of)
        if segment is None or not piece.begin < piece.end <= self.segment_bytes:
            return None
        return segment, piece

    def history(self, timeline: int) -> TimelineHistory:
        """Return a timeline's history; timeline 1 has an empty one and needs no file."""
        if timeline == 1:
            return TimelineHistory(1, ())
        try:
            text = self._repository.get_object(f"{HISTORIES}{timeline:08X}").decode()
        except NotFoundError as error:
            name = f"{timeline:08X}.history"
            raise GapError(f"the history file {name} is not stored", segment=name) from error
        return TimelineHistory.parse(timeline, text)

    def read_segment(self, segment: Segment) -> bytes:
        """Return a whole segment; GapError when it is not stored."""
        try:
            data = self._repository.get_object(segment_object(segment))
        except NotFoundError as error:
            raise GapError(f"segment {segment.name} is missing", segment=segment.name) from error
        if len(data) != self.segment_bytes:
            raise IntegrityError(f"{segment.name} is stored with {len(data)} bytes")
        return data

    def read_tail(self, segment: Segment, pieces: Iterable[TailPiece]) -> bytes:
        """Return an unfinished segment from its pieces, padded with zeros to a segment's size.

        A segment that was finished since its pieces were listed is read whole and cut to them;
        GapError when neither is there.
        """
        listed = sorted(pieces)
        try:
            return self._join(segment, listed)
        except GapError as gap:
            try:
                whole = self.read_segment(segment)
            except GapError:
                raise gap from None
        return whole[: contiguous_end(listed)].ljust(self.segment_bytes, b"\0")

    def _join(self, segment: Segment, pieces: list[TailPiece]) -> bytes:
        body = bytearray(self.segment_bytes)
        end = 0
        for piece in pieces:
            if piece.begin > end:
                break
            name = f"{TAILS}{segment.name}/{piece.begin:08x}-{piece.end:08x}"
            try:
                data = self._repository.get_object(name)
            except NotFoundError as error:
                raise GapError(f"{name} is missing", segment=segment.name) from error
            if len(data) != piece.end - piece.begin:
                raise IntegrityError(f"{name} is stored with {len(data)} bytes")
            body[piece.begin : piece.end] = data
            end = max(end, piece.end)
        return bytes(body)

    def delete_segment(self, segment: Segment) -> None:
        """Delete a whole segment; only `expire` decides that nothing needs it."""
        self._repository.store.delete(segment_object(segment))
