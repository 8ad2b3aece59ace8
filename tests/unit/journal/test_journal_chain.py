"""Tampering behind the journal's back is found, and the first broken position is named."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processpilot.clock import SystemClock
from processpilot.errors import IntegrityError
from processpilot.journal.event import sealed
from processpilot.journal.journal import Journal

LENGTH = 8


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
