"""Laws of drills: moments lie in the window, verdicts are never better than what was found."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from processpilot.checks.result import CheckResult, Outcome
from processpilot.drill.history import distribution
from processpilot.drill.learning import duration_text, rounded_up
from processpilot.drill.moment import choose_moment
from processpilot.drill.verdict import Objective, Walked, judge
from processpilot.plan.fields import parse_duration
from processpilot.postgres.lsn import Lsn
from processpilot.restore.plan import Window
from processpilot.runbook.state import Verdict

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
MOMENTS = st.timedeltas(timedelta(0), timedelta(days=3650)).map(lambda age: BEGIN - age)
FIGURES = st.none() | st.floats(0, 1e6)
NAMES = st.sampled_from(["data", "isolation: network", "cleanup: folders", "step app"])


@given(begin=MOMENTS, span_us=st.integers(-10, 10**12), seed=st.integers(0, 2**32 - 1))
def test_a_moment_lies_in_the_window_and_its_seed_tells_it_again(
    begin: datetime, span_us: int, seed: int
) -> None:
    """Behind the begin, at most at the end; in an empty window there is none."""
    end = begin + timedelta(microseconds=span_us)
    window = Window(Lsn(1), begin, Lsn(2), end)
    moment = choose_moment(window, seed)
    assert moment == choose_moment(window, seed)
    if span_us <= 0:
        assert moment is None
    else:
        assert moment is not None
        assert begin < moment <= end


@given(
    checks=st.lists(st.tuples(NAMES, st.sampled_from(list(Outcome)))),
    figures=st.tuples(FIGURES, FIGURES, FIGURES),
    failure=st.none() | st.just("it broke"),
    given_up=st.none() | st.just("told to end"),
)
def test_passed_means_that_everything_was_found_and_nothing_was_bad(
    checks: list[tuple[str, Outcome]],
    figures: tuple[float | None, float | None, float | None],
    failure: str | None,
    given_up: str | None,
) -> None:
    """Whatever is failed, unknown, unmeasured, beyond its objective or given up is not green."""
    results = [CheckResult(name, outcome, "", "") for name, outcome in checks]
    aim = Objective("database", 1000.0, 10.0)
    verdict, reasons = judge(Walked(results, aim, failure, given_up, *figures))
    outcomes = {outcome for _, outcome in checks}
    took, window, bound = figures
    loss = bound if window is None else window
    good = (
        not outcomes & {Outcome.FAILED, Outcome.UNKNOWN}
        and failure is None
        and given_up is None
        and took is not None
        and took <= aim.rto_s
        and loss is not None
        and loss <= aim.rpo_s
    )
    assert (verdict is Verdict.PASSED) is good
    assert (reasons == ()) is good
    if Outcome.FAILED in outcomes or failure is not None:
        assert verdict is Verdict.FAILED


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_a_distribution_is_ordered(values: list[float]) -> None:
    """The worst is one of the values, and nothing lies above it."""
    found = distribution(values)
    assert found is not None
    assert min(values) <= found.median_s <= found.worst_s == max(values)
    assert found.p95_s in values


@given(st.floats(0, 1e7))
def test_a_rounded_duration_is_no_shorter_and_reads_back(seconds: float) -> None:
    """As the plan writes it."""
    rounded = rounded_up(seconds)
    assert seconds <= rounded <= max(1.0, seconds + 300)
    assert parse_duration(duration_text(rounded)) == rounded
