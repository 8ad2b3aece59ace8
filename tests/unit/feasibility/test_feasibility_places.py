"""Places: a part of the plan has a line and a column."""

from __future__ import annotations

from feasibility_plans import RUNBOOK, load
from hypothesis import given
from hypothesis import strategies as st
from plan_text import PLAN, position_of

from processpilot.feasibility.named import strings_of
from processpilot.feasibility.places import Places


def test_a_place_is_where_its_value_begins() -> None:
    """Lists, mappings and flow style."""
    places = Places(PLAN)
    line, _ = position_of(PLAN, "rto: 2h")
    assert places.position("components[1].rto")[0] == line
    assert places.position("scenarios[0].steps[1]") == (
        position_of(PLAN, "{id: checks")[0],
        position_of(PLAN, "{id: checks")[1],
    )


def test_what_a_file_leaves_out_is_where_it_would_be() -> None:
    """The nearest part above it, or the beginning."""
    places = Places(PLAN)
    assert places.position("protection.spool_dir") == places.position("protection")
    assert places.position("channels") == (1, 1)


@given(st.sampled_from(list(strings_of(load(RUNBOOK).plan, ""))))
def test_every_string_of_a_plan_is_found_on_its_line(placed: tuple[str, str]) -> None:
    """The places of findings lead to the text they speak of, unless it is a default."""
    place, text = placed
    line, _ = Places(RUNBOOK).position(place)
    first = text.partition("\n")[0][:20]
    default = first not in RUNBOOK
    assert (
        default
        or first in RUNBOOK.splitlines()[line - 1]
        or place.split(".")[-1]
        in (
            "superuser",
            "mode",
            "slot",
            "state_dir",
            "autonomy",
            "schedule",
        )
    )
