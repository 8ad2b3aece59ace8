"""The critical path: sums, longest branches, groups with times of their own, measured figures."""

from __future__ import annotations

import pytest
from feasibility_plans import load, small

from processpilot.feasibility.figures import addition, hours, minutes
from processpilot.feasibility.path import Source, Span, Term, Timeline, timeline
from processpilot.runbook.forecast import Measured


def walked(steps: str, measured: dict[tuple[str, str], Measured] | None = None) -> Timeline:
    """Return the timeline of the small plan's scenario with these steps."""
    plan = load(small(steps)).plan
    return timeline(plan, plan.scenarios[0], measured or {})


def ends(times: Timeline) -> dict[str, float]:
    """Return the minute at which each step ends."""
    return {reach.step.id: reach.end.seconds / 60 for reach in times.reaches}


GROUP = """
- {id: first, title: First, action: manual, timebox: 10m}
- id: group
  title: Group
  action: parallel
  steps:
    - {id: long, title: Long, action: manual, timebox: 30m}
    - {id: short, title: Short, action: manual, timebox: 5m}
- {id: last, title: Last, action: manual, estimate: 1m, timebox: 9m}
"""


def test_steps_add_up_and_the_longest_branch_counts() -> None:
    """10 + max(30, 5) + 1 is 41; each step ends where its own way to it ends."""
    times = walked(GROUP)
    assert ends(times) == {"first": 10, "group": 40, "long": 40, "short": 15, "last": 41}
    assert [term.step for term in times.end.terms] == ["first", "long", "last"]
    assert times.end.terms[-1].source is Source.ESTIMATE


def test_what_was_measured_comes_before_estimate_and_time_box() -> None:
    """The longest branch is chosen by what was measured."""
    times = walked(
        GROUP,
        {
            ("failure", "long"): Measured(60, 90, 3),
            ("failure", "last"): Measured(120, 120, 1),
        },
    )
    assert ends(times)["group"] == 15
    assert times.end.terms[-1] == Term("last", 120, Source.MEASURED, 1)


BOXED = """
- id: group
  title: Group
  action: sequence
  timebox: 60m
  steps:
    - {id: known, title: Known, action: manual, timebox: 10m}
    - {id: unknown, title: Unknown, action: manual}
    - {id: after, title: After, action: manual, timebox: 10m}
- {id: last, title: Last, action: manual, timebox: 5m}
"""


def test_a_group_s_own_time_stands_for_what_is_in_it() -> None:
    """A step in it ends where its sum says, or with the group once something is not known."""
    times = walked(BOXED)
    assert ends(times) == {"group": 60, "known": 10, "unknown": 60, "after": 60, "last": 65}
    assert times.end.unknown == ()


def test_a_group_that_is_exactly_its_steps_shows_them() -> None:
    """15 + 15 + 30 is shown, not 60, where both say the same."""
    times = walked(
        BOXED.replace(
            "{id: unknown, title: Unknown, action: manual}",
            "{id: unknown, title: Unknown, action: manual, timebox: 40m}",
        )
    )
    assert addition(times.end) == "10 + 40 + 10 + 5 = 65 min (time boxes)"


def test_a_group_measured_through_and_through_takes_what_was_measured() -> None:
    """Its time box was a guess; measured parts of it are a floor until all are measured."""
    measured = {("failure", name): Measured(60, 60, 2) for name in ("known", "unknown", "after")}
    assert ends(walked(BOXED, measured))["group"] == 3
    long = {("failure", "known"): Measured(7200, 7200, 2)}
    assert ends(walked(BOXED, long))["group"] == 120


def test_a_step_without_any_time_is_named_and_counts_as_nothing() -> None:
    """The sum says what it leaves out."""
    times = walked(
        "- {id: one, title: One, action: manual}\n"
        "- {id: two, title: T, action: manual, timebox: 1h}"
    )
    assert times.end.unknown == ("one",)
    assert addition(times.end) == "60 min (time box), not counting one: nobody knows how long"


def test_a_sub_runbook_takes_as_long_as_its_scenario() -> None:
    """Its steps keep their own places, and are measured under their own scenario."""
    text = small("- {id: other, title: Other, action: runbook, scenario: second}") + (
        "  - id: second\n    title: Second\n    component: database\n"
        "    symptoms: [{means: words}]\n"
        "    steps: [{id: inner, title: Inner, action: manual, timebox: 7m}]\n"
    )
    plan = load(text).plan
    times = timeline(plan, plan.scenarios[0], {("second", "inner"): Measured(60, 60, 1)})
    assert times.end.seconds == 60
    assert [reach.place for reach in times.reaches] == [
        "scenarios[0].steps[0]",
        "scenarios[1].steps[0]",
    ]


@pytest.mark.parametrize(
    ("terms", "text"),
    [
        ((), "0 s"),
        ((Term("a", 900, Source.TIMEBOX),), "15 min (time box)"),
        (
            (Term("a", 126, Source.MEASURED, 5), Term("b", 900, Source.ESTIMATE)),
            "2.1 (measured, 5 runs) + 15 (estimate) = 17.1 min",
        ),
        (
            (Term("a", 10, Source.MEASURED, 1), Term("b", 20, Source.MEASURED, 3)),
            "10 + 20 = 30 s (measured, 1 to 3 runs)",
        ),
    ],
)
def test_every_figure_says_where_it_is_from(terms: tuple[Term, ...], text: str) -> None:
    """A sum can be followed by hand, and guesses are told from measurements."""
    assert addition(Span(terms)) == text


def test_spans_are_written_in_fitting_units() -> None:
    """Seconds below a minute, minutes in sums, hours where people agreed on hours."""
    assert (minutes(2), minutes(0), minutes(5400)) == ("2 s", "0 min", "90 min")
    assert (hours(86400), hours(5400), hours(1800)) == ("24 h", "1 h 30 min", "30 min")
