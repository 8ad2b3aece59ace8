"""Tampering behind the journal's back is found, and the first broken position is named."""

from __future__ import annotations

import hashlib
import itertools
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from processpilot.clock import SystemClock
from processpilot.errors import IntegrityError
from processpilot.journal.chain import columns_of
from processpilot.journal.event import DOMAIN, canonical, sealed
from processpilot.journal.head import Head
from processpilot.journal.journal import Journal

LENGTH = 8
COLUMNS = ("stream", "sequence", "at", "kind", "data", "epoch", "previous_hash", "hash")


class Forgery:
    """A sound journal of eight events and a way to change its file without it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with closing(Journal.open(path, SystemClock())) as journal:
            for number in range(1, LENGTH + 1):
                journal.append(f"run/{number % 2}", "noted", {"number": number})

    def execute(self, *statements: str) -> None:
        """Carry out SQL as someone with access to the file would."""
        with closing(sqlite3.connect(self.path)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    def broken_at(self) -> int:
        """Return the position that verification names."""
        with (
            closing(Journal.open(self.path, SystemClock())) as journal,
            pytest.raises(IntegrityError, match=r"broken at position -?\d+: ") as caught,
        ):
            journal.verify()
        return int(caught.value.message.partition("at position ")[2].partition(":")[0])


@pytest.fixture
def forgery(tmp_path: Path) -> Iterator[Forgery]:
    """Give a journal to tamper with."""
    yield Forgery(tmp_path / "journal.sqlite")


@pytest.mark.parametrize(
    "change",
    [
        "stream = 'run/9'",
        "sequence = 99",
        "at = '2026-01-01T00:00:00.000000+00:00'",
        "at = replace(at, '+00:00', '')",
        "at = 'yesterday'",
        "kind = 'forged'",
        "data = '{\"number\":99}'",
        "data = '{\"number\": 5}'",
        'data = \'{"number":5,"number":5}\'',
        "data = '[]'",
        "data = 'no JSON'",
        "data = '{\"number\":NaN}'",
        "data = cast(x'7b22ff' as text)",
        "stream = cast(x'ff' as text)",
        "kind = x'00ff'",
        "epoch = epoch + 1",
        "epoch = 'one'",
        "previous_hash = hash",
        "hash = previous_hash",
    ],
)
def test_an_altered_column_is_found(forgery: Forgery, change: str) -> None:
    """Whatever is changed in an event, its position is named."""
    forgery.execute(f"UPDATE events SET {change} WHERE position = 5")
    assert forgery.broken_at() == 5


def test_a_removed_event_is_found(forgery: Forgery) -> None:
    """An event taken out of the middle is named as missing."""
    forgery.execute("DELETE FROM events WHERE position = 4")
    assert forgery.broken_at() == 4


def test_a_removed_event_is_found_though_the_hole_is_closed(forgery: Forgery) -> None:
    """Renumbering the later events does not hide it."""
    forgery.execute(
        "DELETE FROM events WHERE position = 4",
        *(f"UPDATE events SET position = {n - 1} WHERE position = {n}" for n in range(5, 9)),
    )
    assert forgery.broken_at() == 4


def test_swapped_events_are_found(forgery: Forgery) -> None:
    """Two events that changed places are found at the first of them."""
    forgery.execute(
        "UPDATE events SET position = 100 WHERE position = 3",
        "UPDATE events SET position = 3 WHERE position = 6",
        "UPDATE events SET position = 6 WHERE position = 100",
    )
    assert forgery.broken_at() == 3


def test_an_inserted_event_is_found(forgery: Forgery) -> None:
    """An event put before the first, or after the last without its hash, is found."""
    columns = "stream, sequence, at, kind, data, epoch, previous_hash, hash"
    forgery.execute(
        f"INSERT INTO events (position, {columns}) SELECT 9, 'forged', 1, at, kind, data, epoch, "
        "hash, hash FROM events WHERE position = 8"
    )
    assert forgery.broken_at() == 9
    forgery.execute("UPDATE events SET position = -3 WHERE position = 9")
    assert forgery.broken_at() == -3


def test_a_sequence_with_a_hole_is_found_though_hashed(forgery: Forgery) -> None:
    """Streams are counted too: an event hashed anew under a wrong number is found."""
    with closing(Journal.open(forgery.path, SystemClock())) as journal:
        (last,) = journal.recent(1)
    forged = sealed(replace(last, sequence=last.sequence + 1))
    forgery.execute(
        f"UPDATE events SET sequence = {forged.sequence}, hash = '{forged.hash}' "
        f"WHERE position = {forged.position}"
    )
    assert forgery.broken_at() == LENGTH


def test_an_event_changed_and_hashed_anew_is_found_at_the_next(forgery: Forgery) -> None:
    """Giving a changed event the hash it needs breaks the link from the event after it."""
    with closing(Journal.open(forgery.path, SystemClock())) as journal:
        changed = next(event for event in journal.recent(LENGTH) if event.position == 5)
    forged = sealed(replace(changed, kind="forged"))
    forgery.execute(f"UPDATE events SET kind = 'forged', hash = '{forged.hash}' WHERE position = 5")
    assert forgery.broken_at() == 6


@pytest.mark.parametrize("change", ["data = '{'", "kind = x'00ff'", "epoch = 'one'"])
def test_reading_an_unreadable_event_is_an_integrity_error(forgery: Forgery, change: str) -> None:
    """Readers are told of the damage too, not given a guess."""
    forgery.execute(f"UPDATE events SET {change} WHERE position = 5")
    with (
        closing(Journal.open(forgery.path, SystemClock())) as journal,
        pytest.raises(IntegrityError, match="position 5"),
    ):
        journal.read("run/1")


def test_appending_goes_on_after_damage(forgery: Forgery) -> None:
    """Damage in the past does not stop a recovery from being recorded, and stays visible."""
    forgery.execute("UPDATE events SET kind = 'forged' WHERE position = 2")
    with closing(Journal.open(forgery.path, SystemClock())) as journal:
        assert journal.append("run/1", "noted", {}).position == LENGTH + 1
    assert forgery.broken_at() == 2


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(order=st.permutations(range(1, LENGTH + 1)), kept=st.integers(1, LENGTH))
def test_only_a_beginning_of_the_chain_verifies(
    forgery: Forgery, order: list[int], kept: int
) -> None:
    """Events dealt out anew are found at the first that is not in its place; a prefix is not."""
    dealt = order[:kept]
    with closing(sqlite3.connect(forgery.path)) as connection:
        rows = {row[0]: row[1:] for row in connection.execute("SELECT * FROM events")}
        connection.execute("DELETE FROM events")
        for place, position in enumerate(dealt, start=1):
            marks = ", ".join("?" * 9)
            connection.execute(f"INSERT INTO events VALUES ({marks})", (place, *rows[position]))
        connection.commit()
    try:
        wrong = [place for place, position in enumerate(dealt, start=1) if place != position]
        if wrong:
            assert forgery.broken_at() == wrong[0]
        else:
            with closing(Journal.open(forgery.path, SystemClock())) as journal:
                assert journal.verify().position == kept
    finally:
        with closing(sqlite3.connect(forgery.path)) as connection:
            connection.execute("DELETE FROM events")
            marks = ", ".join("?" * 9)
            connection.executemany(
                f"INSERT INTO events VALUES ({marks})", [(p, *row) for p, row in rows.items()]
            )
            connection.commit()


FORGED = (
    st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=12)
    | st.binary(max_size=12)
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(position=st.integers(1, LENGTH), column=st.sampled_from(COLUMNS), value=FORGED)
def test_any_change_of_any_column_is_found(
    forgery: Forgery, position: int, column: str, value: int | float | str | bytes
) -> None:
    """Whatever one column of one event is made into, that event is named."""
    _altered(forgery, f"UPDATE events SET {column} = ? WHERE position = {position}", value)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    position=st.integers(1, LENGTH),
    column=st.sampled_from(COLUMNS),
    change=st.sampled_from(
        (
            "cast({0} as blob)",
            "cast({0} as text) || ' '",
            "' ' || {0}",
            "upper({0})",
            "lower({0}) || char(0)",
            "replace({0}, ':', ': ')",
            "replace({0}, '0', '1')",
            "replace({0}, 'u', '\\u0075')",
            "substr({0}, 2)",
            "{0} + 1",
            "-{0}",
        )
    ),
)
def test_any_respelling_of_any_column_is_found(
    forgery: Forgery, position: int, column: str, change: str
) -> None:
    """A value that only looks the same, as other JSON, in other case or as bytes, is named."""
    _altered(
        forgery, f"UPDATE events SET {column} = {change.format(column)} WHERE position = {position}"
    )


def _altered(forgery: Forgery, statement: str, *values: object) -> None:
    """Carry out a statement on a copy; unless it changed nothing, verification names its event."""
    whole = forgery.path
    copy = forgery.path = whole.with_name("forged.sqlite")
    try:
        shutil.copy(whole, copy)
        with closing(sqlite3.connect(copy)) as connection:
            query = "SELECT *, typeof(stream), typeof(kind), typeof(data) FROM events"
            before = connection.execute(query).fetchall()
            try:
                connection.execute(statement, values)
            except (sqlite3.IntegrityError, sqlite3.OperationalError):
                assume(False)
            after = connection.execute(query).fetchall()
            connection.commit()
        assume(before != after)
        position = int(statement.rpartition("= ")[2])
        assert forgery.broken_at() == position
    finally:
        forgery.path = whole
        for left in whole.parent.glob("forged.sqlite*"):
            left.unlink()


def test_an_event_spelled_otherwise_and_hashed_as_spelled_is_found(forgery: Forgery) -> None:
    """A hash over the same data in another spelling does not make the spelling sound."""
    with closing(Journal.open(forgery.path, SystemClock())) as journal:
        (last,) = journal.recent(1)
    data = canonical(last.data).decode()
    fields = {name: value for name, value in columns_of(last).items() if name != "hash"}
    hashed = canonical({**fields, "data": last.data}).decode()
    assert hashlib.sha256(DOMAIN + hashed.encode()).hexdigest() == last.hash
    respelled = data.replace(":", ": ")
    found = hashlib.sha256(DOMAIN + hashed.replace(data, respelled).encode()).hexdigest()
    forgery.execute(
        f"UPDATE events SET data = '{respelled}', hash = '{found}' WHERE position = {LENGTH}"
    )
    assert forgery.broken_at() == LENGTH


@pytest.mark.parametrize("depth", [60, 63])
def test_deep_data_verifies(tmp_path: Path, depth: int) -> None:
    """What append accepts, nested as deep as it may be and full of brackets, is sound."""
    deep: object = "[{[{" * 40
    for _ in range(depth):
        deep = [deep]
    with closing(Journal.open(tmp_path / "deep.sqlite", SystemClock())) as journal:
        journal.append('ü "quoted" \U0001f6a8', "noted", {"deep": deep})  # type: ignore[dict-item]
        assert journal.verify().position == 1


def test_a_chain_rewritten_with_new_hashes_is_found_with_a_kept_head(forgery: Forgery) -> None:
    """The chain alone cannot show it; a head kept elsewhere does, and one from before does not."""
    with closing(Journal.open(forgery.path, SystemClock())) as journal:
        events = journal.since(0, LENGTH)
        kept = journal.verify()
    previous = events[3].hash
    with closing(sqlite3.connect(forgery.path)) as connection:
        for event in events[4:]:
            forged = sealed(replace(event, previous_hash=previous, kind="forged"))
            previous = forged.hash
            assignments = ", ".join(f"{name} = ?" for name in columns_of(forged))
            connection.execute(
                f"UPDATE events SET {assignments} WHERE position = ?",
                (*columns_of(forged).values(), forged.position),
            )
        connection.commit()
    with closing(Journal.open(forgery.path, SystemClock())) as journal:
        assert journal.verify().position == LENGTH
        assert journal.verify(Head(4, events[3].hash)).position == LENGTH
        for head in (kept, Head(5, events[4].hash)):
            with pytest.raises(IntegrityError, match=f"event {head.position} has the hash"):
                journal.verify(head)


@pytest.mark.parametrize("left", [0, 1, 7])
def test_events_cut_off_at_the_end_are_found_with_a_kept_head(forgery: Forgery, left: int) -> None:
    """The rest verifies by itself, and both ends are named beside the head."""
    with closing(Journal.open(forgery.path, SystemClock())) as journal:
        kept = journal.verify()
    forgery.execute(f"DELETE FROM events WHERE position > {left}")
    with closing(Journal.open(forgery.path, SystemClock())) as journal:
        assert journal.verify().position == left
        with pytest.raises(IntegrityError, match=f"ends at position {left}, .* at {LENGTH}"):
            journal.verify(kept)


def test_every_head_of_the_past_stays_in_the_chain(forgery: Forgery) -> None:
    """Whatever was appended since, each earlier head is still there; so is the empty one."""
    with closing(Journal.open(forgery.path, SystemClock())) as journal:
        heads = [Head(), *(Head(event.position, event.hash) for event in journal.since(0, LENGTH))]
        assert {journal.verify(head) for head in heads} == {heads[-1]}
        for first, second in itertools.pairwise(heads):
            with pytest.raises(IntegrityError):
                journal.verify(Head(first.position, second.hash))


def test_an_index_that_says_something_else_than_the_table_is_found(forgery: Forgery) -> None:
    """Lists are read from indexes; one that leaves events out does not go unnoticed."""
    forgery.execute(
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET sql = replace(sql, 'sequence = 1', 'sequence = 2') "
        "WHERE name = 'events_first'",
    )
    with (
        closing(Journal.open(forgery.path, SystemClock())) as journal,
        pytest.raises(IntegrityError, match="damaged"),
    ):
        journal.verify()
