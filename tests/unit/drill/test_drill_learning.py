"""What measuring teaches the plan: a change of values in its text, and nothing but them."""

from __future__ import annotations

from datetime import timedelta

from drill_events import BEGIN, rehearsal
from plan_text import PLAN, load

from processpilot.drill.learning import learn, phase_durations
from processpilot.drill.state import Phase
from processpilot.runbook.forecast import Measured
from processpilot.runbook.state import Verdict

TEXT = PLAN.replace(
    "      - {id: assess, title: Assess, action: assess}\n",
    "      # looked at first\n"
    "      - {id: assess, title: Assess, action: assess, estimate: 15m, timebox: 2h}  # ours\n"
    "      - id: restore\n"
    "        title: Restore\n"
    "        action: restore\n"
    '        timebox: "1m"   # too short\n'
    "        estimate: 30s\n",
)


def test_measured_durations_change_estimates_and_boxes_that_are_too_short() -> None:
    """The difference names both values; comments, order and quotes elsewhere stay."""
    runs = {"failure": {"assess": Measured(40.2, 55.0, 3), "restore": Measured(70.0, 100.0, 5)}}
    lesson = learn(load(TEXT), runs, {})
    assert [(p.place, p.key, p.old_s, p.new_s) for p in lesson.proposals] == [
        ("failure.assess", "estimate", 900.0, 41.0),
        ("failure.restore", "estimate", 30.0, 90.0),
        ("failure.restore", "timebox", 60.0, 150.0),
    ]
    assert lesson.text == (
        TEXT.replace("estimate: 15m", "estimate: 41s")
        .replace('timebox: "1m"', "timebox: 150s")
        .replace("estimate: 30s", "estimate: 90s")
    )
    changed = lesson.difference(TEXT, "processpilot.yaml").splitlines()
    assert [line for line in changed if line.startswith("-") and "---" not in line] == [
        "-      - {id: assess, title: Assess, action: assess, estimate: 15m, timebox: 2h}  # ours",
        '-        timebox: "1m"   # too short',
        "-        estimate: 30s",
    ]


def test_a_time_box_never_gets_shorter_by_itself() -> None:
    """It is a promise that people make."""
    lesson = learn(load(TEXT), {"failure": {"assess": Measured(900.0, 900.0, 3)}}, {})
    assert lesson.proposals == ()


def test_too_few_measurements_say_nothing() -> None:
    """And the lesson says of which steps."""
    lesson = learn(load(TEXT), {"failure": {"assess": Measured(1.0, 1.0, 2)}}, {})
    assert lesson.proposals == ()
    assert lesson.text == TEXT
    assert lesson.too_few == ("failure.assess", "failure.restore", "failure.checks")


def test_drills_fill_in_where_no_run_was_measured() -> None:
    """What a built-in action took in drills counts for the steps that do it."""
    begun = [
        rehearsal(at=BEGIN + timedelta(hours=n), phases={Phase.RESTORE: 100.0 + n, Phase.START: 1})
        for n in range(3)
    ]
    failed = rehearsal(Verdict.FAILED, phases={Phase.RESTORE: 1.0})
    drills = phase_durations([*begun, failed])
    assert drills["restore"] == Measured(101.0, 102.0, 3)
    lesson = learn(load(TEXT), {}, drills)
    assert {proposal.place for proposal in lesson.proposals} == {"failure.restore"}


def test_what_was_learned_is_learned_once() -> None:
    """The plan with the change proposes nothing more."""
    runs = {"failure": {"restore": Measured(70.0, 100.0, 5)}}
    lesson = learn(load(TEXT), runs, {})
    assert learn(load(lesson.text), runs, {}).proposals == ()
