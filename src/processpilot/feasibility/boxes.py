"""Time boxes: whether each step has a duration, and whether they fit into each other."""

from __future__ import annotations

from collections.abc import Iterator

from processpilot.feasibility.figures import addition, minutes
from processpilot.feasibility.finding import Remark
from processpilot.feasibility.path import own_term, together
from processpilot.feasibility.study import Placed, Study
from processpilot.plan.step import Group, SubRunbook


def remarks(study: Study) -> Iterator[Remark]:
    """Yield missing, short and contradictory times of the steps of scenarios."""
    for placed in study.steps:
        if placed.scenario is None:
            continue
        if isinstance(placed.step, Group):
            yield from _group(study, placed, placed.step, placed.scenario.id)
        elif not isinstance(placed.step, SubRunbook):
            yield from _missing(study, placed, placed.scenario.id)
        yield from _too_short(study, placed, placed.scenario.id)


def _missing(study: Study, placed: Placed, scenario_id: str) -> Iterator[Remark]:
    step = placed.step
    known = own_term(step, scenario_id, study.world.measured)
    if known is None and not placed.boxed:
        yield Remark(
            "duration-unknown",
            placed.place,
            f"{scenario_id}: nobody knows how long {step.id} takes",
            "no run measured it, and it has neither estimate nor time box: it counts as 0 min",
            "Give it an estimate or a time box, or measure it in a drill.",
        )
    elif known is not None and step.timebox_s is None and not placed.boxed:
        yield Remark(
            "timebox-missing",
            placed.place,
            f"{scenario_id}: {step.id} has no time box",
            f"{minutes(known.seconds)} ({known.source}) expected, nothing says when it is too long",
            "Give it a time box.",
        )


def _group(study: Study, placed: Placed, group: Group, scenario_id: str) -> Iterator[Remark]:
    inside = together(group, scenario_id, study.plan, study.world.measured)
    if group.timebox_s is None or round(inside.seconds - group.timebox_s, 6) <= 0:
        return
    yield Remark(
        "timebox-exceeded",
        f"{placed.place}.timebox",
        f"{scenario_id}: the steps of {group.id} do not fit into its time box",
        f"{addition(inside)} in a time box of {minutes(group.timebox_s)}: "
        f"{minutes(inside.seconds - group.timebox_s)} too much",
        f"Give {group.id} at least {minutes(inside.seconds)}, or its steps less.",
    )


def _too_short(study: Study, placed: Placed, scenario_id: str) -> Iterator[Remark]:
    step = placed.step
    if step.timebox_s is None:
        return
    known = own_term(step, scenario_id, study.world.measured)
    if known is not None and known.seconds > step.timebox_s:
        runs = f" in {known.count} runs" if known.count else ""
        yield Remark(
            "timebox-too-short",
            f"{placed.place}.timebox",
            f"{scenario_id}: {step.id} takes longer than its time box",
            f"{minutes(known.seconds)} ({known.source}{runs}) in {minutes(step.timebox_s)}: "
            f"{minutes(known.seconds - step.timebox_s)} too much",
            f"Give it at least {minutes(known.seconds)}.",
        )
