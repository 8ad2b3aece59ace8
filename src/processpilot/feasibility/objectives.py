"""Recovery time: the critical path of each scenario against the objectives of what it takes down.

A scenario takes down its own component and everything that depends on it. Its own component
counts as recovered at the scenario's end, where it is proven: there the report's recovery time
stops too. The others are back after the step that brings them up, not before what they depend on,
and at the end if no step does.
"""

from __future__ import annotations

from collections.abc import Iterator

from processpilot.feasibility.figures import addition, hours, listed, minutes, number
from processpilot.feasibility.finding import Remark
from processpilot.feasibility.path import Reach, Span, Timeline
from processpilot.feasibility.study import Study
from processpilot.plan.act import ActionName
from processpilot.plan.component import Component, Priority
from processpilot.plan.model import Plan
from processpilot.plan.scenario import Scenario
from processpilot.plan.step import BuiltInStep, ServiceStep

_LITTLE = 0.1


def remarks(study: Study) -> Iterator[Remark]:
    """Yield where a scenario is late, or nearly so."""
    for n, scenario in enumerate(study.plan.scenarios):
        times = study.timelines[scenario.id]
        place = f"scenarios[{n}]"
        for component in affected(study.plan, scenario):
            yield from _judged(study.plan, place, scenario, component, times)
        yield from _beyond_critical(study.plan, place, scenario, times.end)


def affected(plan: Plan, scenario: Scenario) -> tuple[Component, ...]:
    """Return the components that a scenario takes down, each after what it depends on."""
    down = {scenario.component}
    for component in plan.start_order():
        if down & set(component.depends_on):
            down.add(component.id)
    return tuple(c for c in plan.start_order() if c.id in down)


def brought_up(plan: Plan, scenario: Scenario, times: Timeline) -> dict[str, Reach]:
    """Return for each component the first step that says it works again; not every one has one."""
    down = affected(plan, scenario)
    named: dict[str, Reach] = {}
    for reach in times.reaches:
        for identifier in reach.step.brings_up:
            _keep_first(named, identifier, reach)
    for reach in times.reaches:
        for identifier in _implied(reach, scenario, down):
            if not any(identifier in other.step.brings_up for other in times.reaches):
                _keep_first(named, identifier, reach)
    return named


def _keep_first(named: dict[str, Reach], identifier: str, reach: Reach) -> None:
    if identifier not in named or reach.end.seconds < named[identifier].end.seconds:
        named[identifier] = reach


def _implied(reach: Reach, scenario: Scenario, down: tuple[Component, ...]) -> tuple[str, ...]:
    match reach.step:
        case BuiltInStep(action=ActionName.START_DATABASE):
            return (scenario.component,)
        case BuiltInStep(action=ActionName.START_APPLICATIONS):
            return tuple(c.id for c in down if c.id != scenario.component)
        case ServiceStep(do="start" | "restart", component=identifier):
            return (identifier,)
    return ()


def up_at(
    plan: Plan, scenario: Scenario, component: Component, times: Timeline
) -> tuple[Span, Reach | None]:
    """Return when a component works again, and the step after which it does (None: the last)."""
    if component.id == scenario.component:
        return times.end, None
    named = brought_up(plan, scenario, times)
    first = named.get(component.id)
    if first is None:
        above = [reach for other, reach in named.items() if _needs(plan, other, component.id)]
        first = min(above, key=lambda reach: reach.end.seconds, default=None)
    if first is None:
        return times.end, None
    below = [reach for other, reach in named.items() if _needs(plan, component.id, other)]
    last = max((first, *below), key=lambda reach: reach.end.seconds)
    return last.end, last


def _needs(plan: Plan, component: str, other: str) -> bool:
    """Return whether a component depends on another one, directly or not."""
    return any(
        name == other or _needs(plan, name, other) for name in plan.component(component).depends_on
    )


def _judged(
    plan: Plan, place: str, scenario: Scenario, component: Component, times: Timeline
) -> Iterator[Remark]:
    span, reach = up_at(plan, scenario, component, times)
    slack_s = round(component.rto_s - span.seconds, 6)
    until = f"step {reach.step.id}" if reach is not None else f"the end of {scenario.id}"
    where = reach.place if reach is not None else f"{place}.steps[{len(scenario.steps) - 1}]"
    start = f"{addition(span)} until {component.id} is up ({until}), its objective is "
    objective = minutes(component.rto_s)
    name = f"{scenario.id}: {component.id}"
    if slack_s < 0:
        late = minutes(-slack_s)
        yield Remark(
            "objective-missed",
            where,
            f"{name} misses its objective of {hours(component.rto_s)} by {late}",
            f"{start}{objective}: {late} too late",
            f"{_shorten(span)}, or agree on {minutes(span.seconds)} or more for {component.id}.",
        )
    elif span.unknown and slack_s > 0:
        yield Remark(
            "objective-unproven",
            where,
            f"{name} may or may not meet its objective of {hours(component.rto_s)}",
            f"{start}{objective}: {minutes(slack_s)} are left for what nobody knows",
            f"Give an estimate or a time box to {listed(span.unknown)}.",
        )
    elif slack_s == 0 and span.seconds > 0:
        yield Remark(
            "no-slack",
            where,
            f"{name} has no slack in its objective of {hours(component.rto_s)}",
            f"{start}{objective}: 0 min are left, and the clock runs before anybody notices",
            f"{_shorten(span)}, or agree on more than {objective} for {component.id}.",
        )
    elif 0 < slack_s < _LITTLE * component.rto_s:
        percent = number(100 * slack_s / component.rto_s, 1.0)
        yield Remark(
            "little-slack",
            where,
            f"{name} has little slack in its objective of {hours(component.rto_s)}",
            f"{start}{objective}: {minutes(slack_s)} are left, {percent} %",
            f"{_shorten(span)}.",
        )


def _shorten(span: Span) -> str:
    longest = max(span.terms, key=lambda term: term.seconds, default=None)
    if longest is None:
        return "Let the steps take less"
    return f"Shorten {longest.step} ({minutes(longest.seconds)}) or let steps go side by side"


def _beyond_critical(plan: Plan, place: str, scenario: Scenario, end: Span) -> Iterator[Remark]:
    critical = [c for c in plan.components if c.priority is Priority.CRITICAL]
    if not critical or end.seconds <= max(c.rto_s for c in critical):
        return
    longest = max(critical, key=lambda c: c.rto_s)
    rest = ", ".join(f"{c.id} {minutes(c.rto_s)}" for c in critical)
    yield Remark(
        "beyond-critical",
        place,
        f"{scenario.id} takes {minutes(end.seconds)}, longer than every critical objective",
        f"{addition(end)}; critical objectives: {rest}; "
        f"{minutes(end.seconds - longest.rto_s)} beyond the longest ({longest.id})",
        "Bring critical components up in an earlier step (brings_up) and reconcile afterwards, "
        "or agree on objectives for this scenario.",
    )
