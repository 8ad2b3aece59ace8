"""The pace: no more than asked for on average, and no debt from a pause."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from processpilot.backup.pace import Pace


class Hand:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.at = 100.0

    def now(self) -> datetime:
        """Return a fixed moment."""
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        """Return the seconds slept so far."""
        return self.at

    def sleep(self, seconds: float) -> None:
        """Move the hand."""
        self.at += seconds


def test_a_thousand_bytes_at_a_hundred_a_second_take_ten_seconds() -> None:
    """Many small readings add up to the rate."""
    clock = Hand()
    pace = Pace(100.0, clock)
    for _ in range(100):
        pace(10)
    assert clock.at == pytest.approx(110.0)


def test_a_pause_is_not_made_up_for() -> None:
    """After an hour without reading, the next hour's worth does not pass at once."""
    clock = Hand()
    pace = Pace(100.0, clock)
    clock.sleep(3600)
    pace(10_000)
    assert clock.at == pytest.approx(3700 + 98.0, abs=3)


def test_without_a_rate_nothing_waits() -> None:
    """No limit, no sleep."""
    clock = Hand()
    Pace(None, clock)(10**12)
    assert clock.at == 100.0
