"""Durations and windows in words."""

from __future__ import annotations

import pytest

from processpilot.prose.spans import duration_text, find_duration, find_window, split_window

MIN = 60.0
HOUR = 3600.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("4 hours", 4 * HOUR),
        ("4h", 4 * HOUR),
        ("4-hour response SLA", 4 * HOUR),
        ("0 minutes", 0),
        ("0", 0),
        ("none", 0),
        ("zero data loss", 0),
        ("Immediate phone support", 0),
        ("half an hour", 30 * MIN),
        ("half a day", 12 * HOUR),
        ("1 day", 24 * HOUR),
        ("1 business day", 24 * HOUR),
        ("2 hours 30 minutes", 2.5 * HOUR),
        ("1h30", 1.5 * HOUR),
        ("1,5 Stunden", 1.5 * HOUR),
        ("eine halbe Stunde", 30 * MIN),
        ("RTO <= 300s", 300),
        ("2–4 hours", 4 * HOUR),
        ("two weeks", 14 * 24 * HOUR),
        ("1000000s", 1_000_000),
        ("3 items", None),
        ("PostgreSQL 16", None),
        ("", None),
    ],
)
def test_durations_in_words_are_read(text: str, seconds: float | None) -> None:
    """People's ways of writing a time are all the same time; what is none is none."""
    assert find_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "begin", "end", "relative"),
    [
        ("0-15 minutes", 0, 15, True),
        ("15–30 min", 15, 30, True),
        ("60+ min", 60, None, True),
        ("after 20 minutes", 20, None, True),
        ("within 2 hours", 0, 120, True),
        ("first 10 minutes", 0, 10, True),
        ("T+15 to T+30 min", 15, 30, True),
        ("0–10 Minuten", 0, 10, True),
        ("45 min", 0, 45, False),
        ("1 h to 2 h", 60, 120, True),
    ],
)
def test_windows_have_two_ends(text: str, begin: int, end: int | None, relative: bool) -> None:
    """A window says from when to when, or just how long."""
    window = find_window(text)
    assert window is not None
    assert (window.begin_s, window.relative) == (begin * MIN, relative)
    assert window.end_s == (None if end is None else end * MIN)


@pytest.mark.parametrize(
    ("title", "left", "minutes"),
    [
        ("Step 2: Database Recovery (30-120 min)", "Step 2: Database Recovery", 90),
        ("Restore — 30 min", "Restore", 30),
        ("Triage (first 10 minutes)", "Triage", 10),
        ("Restore (estimated duration: 45 min)", "Restore", 45),
        ("Deployment (if restart fails)", "Deployment (if restart fails)", None),
        ("Wait 5 minutes before the next step", "Wait 5 minutes before the next step", None),
    ],
)  # fmt: skip
def test_a_title_gives_its_window_away(title: str, left: str, minutes: int | None) -> None:
    """A window in brackets or at the end is taken out; one in a sentence stays."""
    text, window = split_window(title)
    assert text == left
    assert (window.length_s if window else None) == (minutes * MIN if minutes else None)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, 0), (15, "15s"), (900, "15m"), (5400, "90m"), (14400, "4h"), (86400, "24h"),
     (2592000, "30d"), (0.25, "250ms")],
)  # fmt: skip
def test_durations_are_written_as_plans_write_them(seconds: float, text: str | int) -> None:
    """The largest unit that holds it whole; days only from a week on."""
    assert duration_text(seconds) == text
