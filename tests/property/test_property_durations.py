"""Durations: parsing inverts writing, and order and addition are those of time."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from processpilot.plan.fields import parse_duration

UNIT_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
UNITS = st.sampled_from(sorted(UNIT_S))
# Ten years, which are the longest, are 3653 days.
COUNTS = st.integers(0, 3653)


def seconds(text: str) -> float:
    """Return a duration that must be understood, in seconds."""
    value = parse_duration(text)
    assert isinstance(value, float)
    return value


@given(COUNTS, UNITS)
def test_whole_counts_of_a_unit_read_as_its_seconds(count: int, unit: str) -> None:
    """With and without space between and around."""
    expected = pytest.approx(count * UNIT_S[unit])
    assert seconds(f"{count}{unit}") == expected
    assert seconds(f"  {count} {unit} ") == expected


@given(st.decimals(0, 3653, places=3), UNITS)
def test_fractions_of_a_unit_read_as_its_seconds(count: object, unit: str) -> None:
    """Three decimals lose nothing that matters."""
    assert math.isclose(seconds(f"{count:f}{unit}"), float(str(count)) * UNIT_S[unit])


@given(COUNTS, COUNTS)
def test_longer_durations_read_as_longer(one: int, other: int) -> None:
    """The order of what is written is the order of what is read."""
    assert (seconds(f"{one}m") < seconds(f"{other}m")) == (one < other)


@given(COUNTS)
def test_units_convert(count: int) -> None:
    """A day is 24 hours, an hour 60 minutes, a minute 60 seconds, a second 1000 ms."""
    assert seconds(f"{count}d") == seconds(f"{count * 24}h")
    assert seconds(f"{count}h") == seconds(f"{count * 60}m")
    assert seconds(f"{count}m") == seconds(f"{count * 60}s")
    assert math.isclose(seconds(f"{count}s"), seconds(f"{count * 1000}ms"))


@given(st.text(max_size=12))
@example("4hh")
@example("-1s")
@example("99999999d")
@example("4h 30m")
def test_any_text_is_a_duration_or_refused_as_none(text: str) -> None:
    """Nothing but ValueError comes of a text, and what is accepted is never negative."""
    try:
        assert seconds(text) >= 0
    except ValueError as error:
        assert "is not a duration such as" in str(error) or "is too long" in str(error)
        assert text.strip() != "0"
    else:
        assert text.strip() == "0" or text.strip().endswith(tuple(UNIT_S))
