"""Health over any row of results, compared with what the rules say of the whole row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from processpilot.checks.hysteresis import Health, ProbeHealth, observe
from processpilot.checks.result import Outcome, ProbeResult

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
OUTCOMES = st.lists(st.sampled_from([Outcome.PASSED, Outcome.FAILED, Outcome.UNKNOWN]), max_size=40)
THRESHOLDS = st.integers(1, 5)


def run(outcomes: list[Outcome], fail_after: int, recover_after: int) -> ProbeHealth:
    """Return the health after a row of results, one a second."""
    health = ProbeHealth()
    for second, outcome in enumerate(outcomes):
        at = BEGIN + timedelta(seconds=second)
        result = ProbeResult("a.b", outcome, at, 0.0, f"{second}")
        health = observe(health, result, fail_after=fail_after, recover_after=recover_after)
    return health


def expected(outcomes: list[Outcome], fail_after: int, recover_after: int) -> Health:
    """Return the health that the rules demand, read from all counting results at once."""
    counting = [outcome for outcome in outcomes if outcome is not Outcome.UNKNOWN]
    health = Health.UNKNOWN
    for end in range(1, len(counting) + 1):
        seen = counting[:end]
        if seen[-fail_after:] == [Outcome.FAILED] * fail_after:
            health = Health.FAILING
        needed = recover_after if health is Health.FAILING else 1
        if seen[-needed:] == [Outcome.PASSED] * needed:
            health = Health.HEALTHY
    return health


@given(OUTCOMES, THRESHOLDS, THRESHOLDS)
def test_health_is_what_the_rules_say(
    outcomes: list[Outcome], fail_after: int, recover_after: int
) -> None:
    """Result by result or read as a whole, the health is the same."""
    found = run(outcomes, fail_after, recover_after)
    assert found.health is expected(outcomes, fail_after, recover_after)


@given(OUTCOMES, THRESHOLDS, THRESHOLDS)
def test_unknown_results_are_as_if_nobody_had_asked(
    outcomes: list[Outcome], fail_after: int, recover_after: int
) -> None:
    """Health and row are those of the other results alone."""
    counting = [outcome for outcome in outcomes if outcome is not Outcome.UNKNOWN]
    one, other = run(outcomes, fail_after, recover_after), run(counting, fail_after, recover_after)
    assert (one.health, one.streak, one.streak_outcome) == (
        other.health,
        other.streak,
        other.streak_outcome,
    )


@given(OUTCOMES, st.integers(2, 5), THRESHOLDS)
def test_fewer_failures_than_the_threshold_never_fail(
    outcomes: list[Outcome], fail_after: int, recover_after: int
) -> None:
    """Broken up by a success in time, no number of failures is an outage."""
    mixed: list[Outcome] = []
    for n, outcome in enumerate(outcomes):
        mixed.append(outcome)
        if n % (fail_after - 1) == fail_after - 2:
            mixed.append(Outcome.PASSED)
    for end in range(len(mixed) + 1):
        assert run(mixed[:end], fail_after, recover_after).health is not Health.FAILING


@given(OUTCOMES, THRESHOLDS, THRESHOLDS)
def test_the_last_success_is_the_last_success(
    outcomes: list[Outcome], fail_after: int, recover_after: int
) -> None:
    """Whatever came after it; none when there was none."""
    passed = [n for n, outcome in enumerate(outcomes) if outcome is Outcome.PASSED]
    found = run(outcomes, fail_after, recover_after).last_passed_at
    assert found == (BEGIN + timedelta(seconds=passed[-1]) if passed else None)


@given(OUTCOMES, THRESHOLDS, THRESHOLDS)
def test_enough_results_of_one_kind_always_decide(
    outcomes: list[Outcome], fail_after: int, recover_after: int
) -> None:
    """No past keeps a probe from failing or healing."""
    for outcome, health, count in (
        (Outcome.FAILED, Health.FAILING, fail_after),
        (Outcome.PASSED, Health.HEALTHY, recover_after),
    ):
        assert run(outcomes + [outcome] * count, fail_after, recover_after).health is health
