"""What is true of every chain of log, whatever is held of whatever history."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from processpilot.postgres.history import Switch, TimelineHistory
from processpilot.postgres.lsn import Lsn
from processpilot.postgres.wal import Segment
from processpilot.repository.chain import Chain, resolve_chain
from processpilot.repository.wal import TailPiece, WalInventory

SIZE = 1 << 20
LAST = 7
NUMBERS = st.frozensets(st.integers(0, LAST))


@st.composite
def histories(draw: st.DrawFn) -> TimelineHistory:
    """Return a history of one to three timelines whose switches rise."""
    places = draw(st.lists(st.integers(1, LAST * 4), max_size=2, unique=True))
    switches = tuple(
        Switch(number, Lsn(place * SIZE // 4), "")
        for number, place in enumerate(sorted(places), start=1)
    )
    return TimelineHistory(len(switches) + 1, switches)


@st.composite
def inventories(draw: st.DrawFn) -> WalInventory:
    """Return any whole segments and tails of three timelines and a stranger."""
    segments = {timeline: draw(NUMBERS) for timeline in (1, 2, 3, 9)}
    tails = {
        Segment(timeline, number, SIZE): (TailPiece(begin * SIZE // 4, SIZE * 3 // 4),)
        for timeline in (1, 2, 3)
        for number, begin in draw(
            st.lists(st.tuples(st.integers(0, LAST), st.sampled_from([0, 0, 1])), max_size=2)
        )
    }
    return WalInventory(SIZE, segments, tails, frozenset())


def held_until(inventory: WalInventory, segment: Segment) -> int:
    """Return up to which byte of the log a segment is held, from its beginning on."""
    return segment.end if inventory.holds(segment) else segment.begin + inventory.tail_end(segment)


def has(inventory: WalInventory, history: TimelineHistory, byte: int) -> bool:
    """Whether somebody holds a byte on the timeline that wrote it, or on one that repeats it."""
    ended = (history.end_of(timeline) for timeline in history.timelines())
    wrote = history.timelines()[sum(end is not None and end <= byte for end in ended)]
    return any(
        timeline >= wrote
        and history.begin_of(timeline) // SIZE <= byte // SIZE
        and held_until(inventory, Segment(timeline, byte // SIZE, SIZE)) > byte
        for timeline in history.timelines()
    )


def served(chain: Chain) -> list[Segment]:
    """Return what recovery is given, in order."""
    return [*chain.segments, *([] if chain.tail is None else [chain.tail])]


@given(inventories(), histories(), st.integers(0, LAST * 4))
def test_every_byte_of_a_chain_is_held(
    inventory: WalInventory, history: TimelineHistory, begin: int
) -> None:
    """From the first segment to the end, on the timeline that wrote it, without a hole."""
    chain = resolve_chain(inventory, history, Lsn(begin * SIZE // 4))
    first = begin // 4 * SIZE
    assert chain.end >= first
    assert all(has(inventory, history, byte) for byte in range(first, chain.end, SIZE // 4))
    numbers = [segment.number for segment in served(chain)]
    assert numbers == list(range(first // SIZE, first // SIZE + len(numbers)))
    assert chain.end <= first + len(numbers) * SIZE
    assert all(segment.timeline in history.timelines() for segment in served(chain))


@given(inventories(), histories(), st.integers(0, LAST * 4))
def test_what_is_called_missing_is_not_there(
    inventory: WalInventory, history: TimelineHistory, begin: int
) -> None:
    """It is the file with which the log would go on where the chain ends."""
    chain = resolve_chain(inventory, history, Lsn(begin * SIZE // 4))
    assume(chain.missing is not None)
    assert chain.missing is not None
    assert not inventory.holds(chain.missing)
    assert chain.missing.begin <= chain.end <= chain.missing.end
    assert chain.missing == history.segment_at(chain.missing.number, SIZE)


@given(inventories(), histories(), st.integers(0, LAST * 4))
def test_without_a_missing_file_nothing_lies_behind_the_end(
    inventory: WalInventory, history: TimelineHistory, begin: int
) -> None:
    """No later log of that history is passed over in silence."""
    chain = resolve_chain(inventory, history, Lsn(begin * SIZE // 4))
    assume(chain.missing is None)
    behind = -(-chain.end // SIZE)
    for number in range(behind, LAST + 1):
        wanted = history.segment_at(number, SIZE)
        assert not inventory.holds(wanted)
        assert not inventory.tail_end(wanted)
