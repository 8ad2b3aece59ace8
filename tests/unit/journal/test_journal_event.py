"""Canonical bytes and hashes of events."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processpilot.errors import UsageError
from processpilot.journal.event import FIRST_PREVIOUS_HASH, Event, canonical, digest, sealed

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    SCALARS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(TEXT, VALUES, max_size=5)

EVENT = sealed(
    Event(
        position=7,
        stream="run/1",
        sequence=3,
        at=datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC),
        kind="step-finished",
        data={"step": "restore", "seconds": 1.5},
        epoch=2,
        previous_hash=FIRST_PREVIOUS_HASH,
        hash="",
    )
)


@given(OBJECTS)
def test_canonical_form_reads_back_and_is_stable(data: dict[str, object]) -> None:
    """Reading canonical bytes gives the data, and writing that gives the same bytes."""
    written = canonical(data)
    assert json.loads(written) == data
    assert canonical(json.loads(written)) == written


@given(OBJECTS)
def test_canonical_form_ignores_the_order_of_keys(data: dict[str, object]) -> None:
    """The same data with keys in another order has the same bytes."""
    assert canonical(dict(reversed(list(data.items())))) == canonical(data)


def test_canonical_form_has_sorted_keys_no_spaces_and_utf8() -> None:
    """The spelling is exactly what the documentation promises."""
    data = {"b": [1, 2.5, None], "a": {"ü": True}}
    assert canonical(data) == '{"a":{"ü":true},"b":[1,2.5,null]}'.encode()


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        [float("-inf")],
        {1: "number as a key"},
        {"deep": {None: 1}},
        "\ud800",
        b"bytes",
        {1, 2},
        datetime(2026, 1, 1, tzinfo=UTC),
    ],
)
def test_what_json_would_bend_is_refused(value: object) -> None:
    """Values that would not read back as they were are a UsageError, not a silent change."""
    with pytest.raises(UsageError):
        canonical({"value": value})  # type: ignore[dict-item]


def test_endless_nesting_is_refused() -> None:
    """Data that contains itself is a UsageError instead of a recursion without end."""
    data: dict[str, object] = {}
    data["self"] = data
    with pytest.raises(UsageError, match="nested deeper than 64"):
        canonical(data)


def test_the_hash_of_a_known_event_never_changes() -> None:
    """Journals written today verify with later releases."""
    assert EVENT.hash == "ad4b7eaa47f72e60fc51ee1ad4a4acd7114abd04b2582dc00d596c6950be2ad6"


@pytest.mark.parametrize(
    "changed",
    [
        {"position": 8},
        {"stream": "run/2"},
        {"sequence": 4},
        {"at": EVENT.at + timedelta(microseconds=1)},
        {"kind": "step-failed"},
        {"data": {"step": "restore", "seconds": 1.25}},
        {"epoch": 3},
        {"previous_hash": "1" * 64},
    ],
)
def test_every_field_counts_towards_the_hash(changed: dict[str, object]) -> None:
    """A change in any one field gives another hash."""
    assert digest(replace(EVENT, **changed)) != EVENT.hash  # type: ignore[arg-type]


def test_the_same_moment_in_another_zone_has_the_same_hash() -> None:
    """Time is hashed in UTC."""
    elsewhere = EVENT.at.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert digest(replace(EVENT, at=elsewhere)) == EVENT.hash


@given(OBJECTS, OBJECTS)
def test_different_data_has_different_hashes(
    one: dict[str, object], other: dict[str, object]
) -> None:
    """Hashes agree exactly when the canonical data does."""
    hashes = [digest(replace(EVENT, data=data)) for data in (one, other)]  # type: ignore[arg-type]
    assert (hashes[0] == hashes[1]) == (canonical(one) == canonical(other))
