"""Recovery time against objectives: when each component is back, and what is left."""

from __future__ import annotations

import pytest
from feasibility_plans import API, findings, of_code, small

WORKER = """\
  - {id: worker, title: Worker, priority: low, rto: 8h, rpo: 8h, depends_on: [api]}
"""


def steps(restore: str, start: str, brings: str = "brings_up: [api]") -> str:
    """Return two steps with these times; the second brings the API up."""
    return (
        f"- {{id: restore, title: Restore, action: manual, timebox: {restore}}}\n"
        f"- {{id: start, title: Start, action: manual, timebox: {start}, {brings}}}\n"
        "- {id: rest, title: Rest, action: manual, timebox: 30m}"
    )


def test_a_component_is_up_after_the_step_that_names_it() -> None:
    """The arithmetic adds the steps until then, and not one more."""
    found = of_code(
        findings(small(steps("90m", "60m"), components=API)),
        "objective-missed",
    )
    assert [f.arithmetic for f in found] == [
        "90 + 60 = 150 min (time boxes) until api is up (step start), its objective is 120 min: "
        "30 min too late"
    ]
    assert found[0].place == "scenarios[0].steps[1]"


def test_a_component_that_nothing_brings_up_is_up_at_the_end() -> None:
    """Then the whole scenario counts."""
    text = small(steps("90m", "10m", "note: x"), components=API)
    assert "90 + 10 + 30 = 130 min" in of_code(findings(text), "objective-missed")[0].arithmetic


def test_what_another_one_needs_is_up_with_it() -> None:
    """The API is up when the worker that depends on it is."""
    text = small(steps("90m", "10m", "brings_up: [worker]"), components=API + WORKER)
    assert not of_code(findings(text), "objective-missed")


def test_nothing_is_up_before_what_it_depends_on() -> None:
    """A worker that is brought up first waits for the API after all."""
    lines = steps("90m", "10m", "brings_up: [worker]")
    text = small(
        lines.replace("timebox: 30m", "timebox: 600m, brings_up: [api]"),
        components=API + WORKER,
    )
    late = {f.message.split()[1] for f in of_code(findings(text), "objective-missed")}
    assert late == {"api", "worker", "database"}


def test_starting_a_service_brings_its_component_up() -> None:
    """A service step need not say so again."""
    text = small(
        "- {id: restart, title: Restart, action: service, component: api, do: restart, "
        "timebox: 60m}\n- {id: rest, title: Rest, action: manual, timebox: 150m}",
        components=API,
    )
    assert not of_code(findings(text), "objective-missed")


@pytest.mark.parametrize(
    ("minutes", "code"),
    [
        (241, "objective-missed"),
        (240, "no-slack"),
        (239, "little-slack"),
        (217, "little-slack"),
        (216, None),
    ],
)
def test_what_is_left_decides(minutes: int, code: str | None) -> None:
    """Late, to the minute, under a tenth, and enough: of 240 minutes a tenth is 24."""
    text = small(f"- {{id: all, title: All, action: manual, timebox: {minutes}m}}")
    every = ("objective-missed", "no-slack", "little-slack", "objective-unproven")
    assert [f.code for f in findings(text) if f.code in every] == ([] if code is None else [code])


def test_an_unknown_step_leaves_the_objective_unproven() -> None:
    """Neither held nor missed is claimed; what is missed already is."""
    unknown = "- {id: hope, title: Hope, action: manual}\n"
    known = "- {id: all, title: All, action: manual, timebox: %s}"
    found = findings(small(unknown + known % "60m"))
    assert len(of_code(found, "objective-unproven")) == 1
    assert "180 min are left" in of_code(found, "objective-unproven")[0].arithmetic
    assert of_code(findings(small(unknown + known % "300m")), "objective-missed")
    (used_up,) = of_code(findings(small(unknown + known % "240m")), "no-slack")
    assert "240 min (time box), not counting hope" in used_up.arithmetic


def test_beyond_every_critical_objective() -> None:
    """Compared with the longest one; the others have priority too."""
    text = small("- {id: all, title: All, action: manual, timebox: 300m}")
    (found,) = of_code(findings(text), "beyond-critical")
    assert "60 min beyond the longest (database)" in found.arithmetic
    assert not of_code(findings(text.replace("critical", "low")), "beyond-critical")
