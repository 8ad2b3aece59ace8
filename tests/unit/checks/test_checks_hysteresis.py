"""Health from rows of results: thresholds, what breaks a row, and what is remembered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from processpilot.checks.hysteresis import Health, ProbeHealth, observe
from processpilot.checks.result import Outcome, ProbeResult

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
OUTCOMES = {"p": Outcome.PASSED, "f": Outcome.FAILED, "u": Outcome.UNKNOWN}
LETTERS = {Health.UNKNOWN: "?", Health.HEALTHY: "+", Health.FAILING: "-"}


def at(second: int) -> datetime:
    """Return the moment of a result."""
    return BEGIN + timedelta(seconds=second)


def states(results: str, fail_after: int = 3, recover_after: int = 2) -> list[ProbeHealth]:
    """Return the health after each result, one a second."""
    found = [ProbeHealth()]
    for second, letter in enumerate(results):
        result = ProbeResult("a.b", OUTCOMES[letter], at(second), 0.1, f"{letter}{second}")
        after = observe(found[-1], result, fail_after=fail_after, recover_after=recover_after)
        found.append(after)
    return found[1:]


@pytest.mark.parametrize(
    ("results", "health"),
    [
        ("p", "+"),
        ("f", "?"),
        ("fff", "??-"),
        ("ffp", "??+"),
        ("pff", "+++"),
        ("pfff", "+++-"),
        ("pffpff", "++++++"),
        ("pffpfff", "++++++-"),
        ("fffp", "??--"),
        ("fffpp", "??--+"),
        ("fffpfp", "??----"),
        ("fffpfpp", "??----+"),
        ("fffffpp", "??----+"),
        ("fuffp", "???--"),
        ("ffuf", "???-"),
        ("fffupup", "??----+"),
        ("uuuu", "????"),
        ("puuuu", "+++++"),
        ("fffuuuu", "??-----"),
    ],
)
def test_health_follows_rows_of_results(results: str, health: str) -> None:
    """Three failures in a row fail, two successes heal, and the unknown breaks no row."""
    assert "".join(LETTERS[state.health] for state in states(results)) == health


def test_thresholds_of_one_follow_every_result() -> None:
    """Without patience health is the last answer."""
    found = "".join(LETTERS[s.health] for s in states("pfpf", fail_after=1, recover_after=1))
    assert found == "+-+-"


def test_the_last_success_is_remembered_through_an_outage() -> None:
    """The recovery clock begins where the service was last seen working."""
    found = states("ppffffu")
    assert [state.last_passed_at for state in found] == [at(0)] + [at(1)] * 6


def test_failing_since_is_the_first_failure_of_the_row() -> None:
    """Neither more failures nor unknown results move it; a success ends it."""
    found = states("pffufp")
    assert [state.failing_since for state in found] == [None, *[at(1)] * 4, None]


def test_the_detail_is_the_newest_result_s() -> None:
    """Even of one that could not be asked."""
    assert [state.detail for state in states("pfu")] == ["p0", "f1", "u2"]


def test_an_unknown_result_changes_nothing_but_the_detail() -> None:
    """It counts for neither side."""
    before, after = states("ffu")[1:]
    assert (after.health, after.streak, after.streak_outcome) == (
        before.health,
        before.streak,
        before.streak_outcome,
    )
