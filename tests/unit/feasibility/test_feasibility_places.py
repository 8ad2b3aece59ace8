"""Places: a part of the plan has a line and a column."""

from __future__ import annotations

from feasibility_plans import RUNBOOK, load
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


def test_every_name_of_a_plan_is_found_on_its_line() -> None:
    """The places of findings lead to the text they speak of."""
    places, lines = Places(RUNBOOK), RUNBOOK.splitlines()
    written = ("id", "title", "phone", "note", "instruction", "means", "text", "primary")
    named = [
        (place, text)
        for place, text in strings_of(load(RUNBOOK).plan, "")
        if text and place.rsplit(".", 1)[-1] in written
    ]
    assert len(named) > 60
    for place, text in named:
        line, column = places.position(place)
        assert text in lines[line - 1][column - 1 :], place
