"""Which write-ahead log leads from a backup towards a timeline's end, and where it breaks.

Pure: decides on an inventory, reads nothing. Verification and restore both resolve through here,
so neither can call a chain whole that the other would find broken.
"""

from __future__ import annotations

from dataclasses import dataclass

from processpilot.postgres.history import TimelineHistory
from processpilot.postgres.lsn import Lsn
from processpilot.postgres.wal import Segment
from processpilot.repository.wal import TailPiece, WalInventory


@dataclass(frozen=True, slots=True)
class Chain:
    """Consecutive log from one point onward.

    `segments` are whole, in order; `tail` is the unfinished one behind them, if any; `end` is
    where the bytes held end (exclusive); `missing` is the first absent segment when later ones
    exist, and None when the chain simply ends.
    """

    timeline: int
    begin: Lsn
    end: Lsn
    segments: tuple[Segment, ...]
    tail: Segment | None
    tail_pieces: tuple[TailPiece, ...]
    missing: Segment | None

    def covers(self, lsn: Lsn) -> bool:
        """Whether every byte before `lsn` is held."""
        return self.end >= lsn


def resolve_chain(inventory: WalInventory, history: TimelineHistory, begin: Lsn) -> Chain:
    """Return the log held from the segment that contains `begin`, towards `history`'s timeline."""
    size = inventory.segment_bytes
    number = begin // size
    segments: list[Segment] = []
    end = Lsn(number * size)
    tail: Segment | None = None
    while (found := _held(inventory, history, number)) is not None:
        segment, limit = found
        if inventory.holds(segment):
            segments.append(segment)
            end = Lsn(min(segment.end, limit))
        else:
            tail = segment
            end = Lsn(min(segment.begin + inventory.tail_end(segment), limit))
        if tail is not None or end < segment.end:
            break
        number += 1
    return Chain(
        history.timeline,
        begin,
        end,
        tuple(segments),
        tail,
        inventory.tails.get(tail, ()) if tail is not None else (),
        _missing(inventory, history, number, begun=end > number * size),
    )


def _held(
    inventory: WalInventory, history: TimelineHistory, number: int
) -> tuple[Segment, Lsn] | None:
    """Return the segment recovery will read for `number`, and where its timeline ends.

    Recovery asks for the newest timeline that has begun by then and falls back to older ones;
    what it then reads is valid up to the switch to the next timeline.
    """
    size = inventory.segment_bytes
    wanted = history.segment_at(number, size)
    for timeline in sorted(history.timelines(), reverse=True):
        if timeline > wanted.timeline:
            continue
        segment = Segment(timeline, number, size)
        if inventory.holds(segment) or inventory.tail_end(segment):
            limit = history.end_of(timeline)
            if limit is not None and limit <= segment.begin:
                return None
            return segment, segment.end if limit is None else limit
    return None


def _missing(
    inventory: WalInventory, history: TimelineHistory, number: int, *, begun: bool
) -> Segment | None:
    """Return the segment `number` when the inventory holds later log of the same history.

    Of one that is `begun`, some bytes are held, and later is what lies behind it.
    """
    size = inventory.segment_bytes
    first = number + 1 if begun else number
    tails = {segment for segment in inventory.tails if inventory.tail_end(segment)}
    for timeline in history.timelines():
        limit = history.end_of(timeline)
        numbers = set(inventory.segments.get(timeline, frozenset()))
        numbers |= {segment.number for segment in tails if segment.timeline == timeline}
        if any(n >= first and (limit is None or n * size < limit) for n in numbers):
            return history.segment_at(number, size)
    return None
