"""Objectives that contradict each other: nothing is back before what it depends on."""

from __future__ import annotations

from collections.abc import Iterator

from processpilot.feasibility.figures import hours
from processpilot.feasibility.finding import Remark
from processpilot.feasibility.study import Study


def remarks(study: Study) -> Iterator[Remark]:
    """Yield each objective that is stricter than that of a component it depends on."""
    plan = study.plan
    for n, component in enumerate(plan.components):
        for name in component.depends_on:
            other = plan.component(name)
            for kind, own_s, theirs_s, what in (
                ("rto", component.rto_s, other.rto_s, "be back within"),
                ("rpo", component.rpo_s, other.rpo_s, "lose at most"),
            ):
                if own_s >= theirs_s:
                    continue
                yield Remark(
                    f"{kind}-contradiction",
                    f"components[{n}].{kind}",
                    f"{component.id} must {what} {hours(own_s)}, but depends on {other.id}, "
                    f"which may take {hours(theirs_s)}"
                    if kind == "rto"
                    else f"{component.id} may lose {hours(own_s)}, but its data are in {other.id}, "
                    f"which may lose {hours(theirs_s)}",
                    f"{hours(theirs_s)} - {hours(own_s)} = {hours(theirs_s - own_s)} too strict",
                    f"Agree on {kind} {hours(own_s)} or less for {other.id}, or on "
                    f"{hours(theirs_s)} or more for {component.id}.",
                )
