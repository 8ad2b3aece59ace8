"""What a plan refers to must be there, once, and in an order that destroys nothing unproven.

Yields "place: message"; `load` finds the line and column of each place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from processpilot.plan.act import ActionName, ReleaseAct, ServiceAct, ToggleAct, VendorAct
from processpilot.plan.condition import Condition, ProbeCondition
from processpilot.plan.scenario import Scenario
from processpilot.plan.step import ActStep, Group, MessageStep, Step, SubRunbook, every_step

if TYPE_CHECKING:
    from processpilot.plan.model import Plan


def broken_references(plan: Plan) -> Iterator[str]:
    """Yield "place: message" for every reference that leads nowhere and every double id."""
    yield from _doubles("components", [c.id for c in plan.components])
    yield from _doubles("scenarios", [s.id for s in plan.scenarios])
    yield from _doubles("team.roles", [r.id for r in plan.team.roles])
    yield from _doubles("team.people", [p.name for p in plan.team.people], key="name")
    yield from _doubles("toggles", [t.id for t in plan.toggles])
    yield from _doubles("channels", [c.id for c in plan.channels])
    yield from _doubles("drills", [d.id for d in plan.drills])
    yield from _doubles("vendors", [v.id for v in plan.vendors])
    yield from _doubles("team.rotations", [r.id for r in plan.team.rotations])
    yield from _doubles("heartbeats", [h.id for h in plan.heartbeats])
    yield from _components(plan)
    for n, scenario in enumerate(plan.scenarios):
        yield from _Steps(plan).scenario(f"scenarios[{n}]", scenario)
    for n, drill in enumerate(plan.drills):
        yield from _Steps(plan).all(f"drills[{n}].steps", drill.steps)
    yield from _circles(plan)
    yield from _people(plan)


def _components(plan: Plan) -> Iterator[str]:
    components = {c.id for c in plan.components}
    for n, component in enumerate(plan.components):
        yield from _doubles(f"components[{n}].probes", [p.id for p in component.probes])
        for m, other in enumerate(component.depends_on):
            if other not in components:
                yield f'components[{n}].depends_on[{m}]: there is no component "{other}"'
    if all(other in components for c in plan.components for other in c.depends_on):
        try:
            TopologicalSorter({c.id: c.depends_on for c in plan.components}).prepare()
        except CycleError as error:
            circle = " -> ".join(str(part) for part in error.args[1])
            yield f"components: they depend on each other in a circle: {circle}"


def _people(plan: Plan) -> Iterator[str]:
    """Yield what roles, people, alerts, drills and vendors name and the plan lacks."""
    channels, scenarios = {c.id for c in plan.channels}, {s.id for s in plan.scenarios}
    rotations, roles = {r.id for r in plan.team.rotations}, {r.id for r in plan.team.roles}
    wanted: list[tuple[str, str | None, set[str], str]] = []
    for n, role in enumerate(plan.team.roles):
        wanted.append((f"team.roles[{n}].rotation", role.rotation, rotations, "rotation"))
    owned = [(f"team.people[{n}]", p.channels) for n, p in enumerate(plan.team.people)]
    owned += [(f"vendors[{n}]", v.channels) for n, v in enumerate(plan.vendors)]
    for place, names in owned:
        for m, channel in enumerate(names):
            wanted.append((f"{place}.channels[{m}]", channel, channels, "channel"))
    for m, channel in enumerate(plan.updates.channels):
        wanted.append((f"updates.channels[{m}]", channel, channels, "channel"))
    people = {p.name for p in plan.team.people}
    for n, rotation in enumerate(plan.team.rotations):
        for m, name in enumerate(getattr(rotation, "people", ())):
            wanted.append((f"team.rotations[{n}].people[{m}]", name, people, "person"))
    wanted.append(("updates.approval", plan.updates.approval, roles, "role"))
    answered = [(f"alerts[{n}]", a.scenario) for n, a in enumerate(plan.alerts)]
    answered += [(f"heartbeats[{n}]", h.scenario) for n, h in enumerate(plan.heartbeats)]
    answered += [(f"drills[{n}]", d.scenario) for n, d in enumerate(plan.drills)]
    wanted += [(f"{place}.scenario", name, scenarios, "scenario") for place, name in answered]
    for place, name, known, kind in wanted:
        if name is not None and name not in known:
            yield f'{place}: there is no {kind} "{name}"'


class _Steps:
    """The references of steps, in one plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._components = {c.id for c in plan.components}
        self._probes = {f"{c.id}.{p.id}" for c in plan.components for p in c.probes}
        self._roles = {r.id for r in plan.team.roles}
        self._channels = {c.id for c in plan.channels}

    def scenario(self, place: str, scenario: Scenario) -> Iterator[str]:
        if scenario.component not in self._components:
            yield f'{place}.component: there is no component "{scenario.component}"'
        for m, symptom in enumerate(scenario.symptoms):
            if symptom.probe is not None and symptom.probe not in self._probes:
                yield f'{place}.symptoms[{m}].probe: there is no probe "{symptom.probe}"'
        yield from self.all(f"{place}.steps", scenario.steps)
        yield from _out_of_order(f"{place}.steps", self._plan, scenario)

    def all(self, place: str, steps: Sequence[Step]) -> Iterator[str]:
        seen: set[str] = set()
        for path, step in _placed(place, steps):
            if step.id in seen:
                yield f'{path}.id: "{step.id}" is there twice'
            seen.add(step.id)
            yield from self._step(path, step)

    def _step(self, place: str, step: Step) -> Iterator[str]:
        for m, component in enumerate(step.brings_up):
            if component not in self._components:
                yield f'{place}.brings_up[{m}]: there is no component "{component}"'
        if step.role is not None and step.role not in self._roles:
            yield f'{place}.role: there is no role "{step.role}"'
        match step:
            case Group():
                pass
            case SubRunbook():
                if self._plan.scenario(step.scenario) is None:
                    yield f'{place}.scenario: there is no scenario "{step.scenario}"'
            case _:
                yield from self._act(place, step)

    def _act(self, place: str, step: ActStep) -> Iterator[str]:
        if step.approval is not None and step.approval not in self._roles:
            yield f'{place}.approval: there is no role "{step.approval}"'
        for name in ("precondition", "only_if", "probe"):
            yield from self._condition(f"{place}.{name}", getattr(step, name))
        yield from self._condition(f"{place}.until", getattr(step, "until", None))
        for n, condition in enumerate(getattr(step, "conditions", ())):
            yield from self._condition(f"{place}.conditions[{n}]", condition)
        yield from self._named(place, step)
        if step.undo is not None:
            yield from self._named(f"{place}.undo", step.undo)
        if isinstance(step, MessageStep):
            for n, channel in enumerate(step.channels):
                if channel not in self._channels:
                    yield f'{place}.channels[{n}]: there is no channel "{channel}"'

    def _condition(self, place: str, condition: Condition | None) -> Iterator[str]:
        if isinstance(condition, ProbeCondition) and condition.probe not in self._probes:
            yield f'{place}.probe: there is no probe "{condition.probe}"'

    def _named(self, place: str, act: object) -> Iterator[str]:
        """Yield what an act names that the plan lacks."""
        plan = self._plan
        if isinstance(act, ServiceAct | ReleaseAct):
            if act.component not in self._components:
                yield f'{place}.component: there is no component "{act.component}"'
                return
            component = plan.component(act.component)
            if isinstance(act, ServiceAct) and component.service is None:
                yield f"{place}.component: {act.component} has no service"
            if isinstance(act, ReleaseAct) and component.release is None:
                yield f"{place}.component: {act.component} has no release"
        if isinstance(act, VendorAct) and act.vendor not in {v.id for v in plan.vendors}:
            yield f'{place}.vendor: there is no vendor "{act.vendor}"'
        if isinstance(act, ToggleAct) and act.toggle not in {t.id for t in plan.toggles}:
            yield f'{place}.toggle: there is no toggle "{act.toggle}"'
        if getattr(act, "action", "") == "maintenance" and plan.maintenance is None:
            yield f"{place}.action: the plan has no maintenance mode"


def _placed(place: str, steps: Sequence[Step]) -> Iterator[tuple[str, Step]]:
    for n, step in enumerate(steps):
        path = f"{place}[{n}]"
        yield path, step
        if isinstance(step, Group):
            yield from _placed(f"{path}.steps", step.steps)


def _expanded(
    plan: Plan, placed: Iterable[tuple[str, Step]], inside: set[str]
) -> Iterator[tuple[str, Step]]:
    """Yield the steps with those of sub-runbooks in their place; circles are told elsewhere."""
    for path, step in placed:
        yield path, step
        if isinstance(step, SubRunbook) and step.scenario not in inside:
            other = plan.scenario(step.scenario)
            inner = () if other is None else _placed("", other.steps)
            for _, one in _expanded(plan, inner, inside | {step.scenario}):
                yield path, one


def _circles(plan: Plan) -> Iterator[str]:
    """Yield a circle of scenarios that contain each other."""
    inside = {
        s.id: [step.scenario for step in every_step(s.steps) if isinstance(step, SubRunbook)]
        for s in plan.scenarios
    }
    try:
        TopologicalSorter(inside).prepare()
    except CycleError as error:
        circle = " -> ".join(str(part) for part in error.args[1])
        yield f"scenarios: they contain each other in a circle: {circle}"


# What has to have passed before an action may run, in any scenario that contains it.
_BEFORE = {
    ActionName.REPLAY: (ActionName.RESTORE,),
    ActionName.PROVE: (ActionName.REPLAY,),
    ActionName.FENCE: (ActionName.ASSESS, ActionName.DRAIN, ActionName.REPLAY),
    ActionName.SWAP: (ActionName.PROVE, ActionName.FENCE),
    ActionName.START_DATABASE: (ActionName.SWAP,),
    ActionName.PROTECT: (ActionName.START_DATABASE,),
    ActionName.BACKUP: (ActionName.PROTECT,),
}


def _out_of_order(place: str, plan: Plan, scenario: Scenario) -> Iterator[str]:
    """Yield what would destroy before it has proven, or build on what is not there yet."""
    placed = list(_expanded(plan, _placed(place, scenario.steps), {scenario.id}))
    actions = [step.action for _, step in placed]
    for n, (path, step) in enumerate(placed):
        needs = _BEFORE.get(step.action, ()) if isinstance(step.action, ActionName) else ()
        for needed in needs:
            if needed not in actions[:n]:
                yield f'{path}.action: "{step.action}" needs a step "{needed}" before it'
    rebuilding = [*_BEFORE, ActionName.RESTORE]
    for path, step in placed:
        if isinstance(step, Group) and step.action == "parallel":
            inside = [s.action for s in every_step(step.steps)]
            if found := [a for a in inside if a in rebuilding]:
                yield f'{path}.action: "{found[0]}" does not go side by side with anything'
    for action in rebuilding:
        for again in [p for p, s in placed if s.action == action][1:]:
            yield f'{again}.action: "{action}" is there twice'
    if (
        ActionName.RESTORE in actions
        and ActionName.DRAIN in actions[actions.index(ActionName.RESTORE) :]
    ):
        n = actions.index(ActionName.DRAIN)
        yield f'{placed[n][0]}.action: "drain" comes too late: "restore" plans with what it stores'


def _doubles(place: str, names: list[str], *, key: str = "id") -> Iterator[str]:
    for n, name in enumerate(names):
        if name in names[:n]:
            yield f'{place}[{n}].{key}: "{name}" is there twice'
