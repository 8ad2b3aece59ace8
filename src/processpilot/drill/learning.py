"""What measuring teaches the plan: new estimates and time boxes, as a difference of its text. Pure.

Only values of `estimate` and `timebox` that stand in the text are changed; comments, layout and
order stay. Estimates follow the median. Time boxes only get longer: a shorter one is a promise
that people make.
"""

from __future__ import annotations

import difflib
import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import yaml

from processpilot.drill.history import MEASURED
from processpilot.drill.state import Phase, Rehearsal
from processpilot.plan.act import ActionName
from processpilot.plan.fields import parse_duration
from processpilot.plan.load import LoadedPlan, parse_plan
from processpilot.runbook.forecast import Durations, Measured

LEAST_COUNT = 3
_DIFFERENT = 0.25
_ROOM = 1.5
_MEASURED_DRILLS = 20
# Which phases of a drill are what a built-in action does.
_PHASES = {
    ActionName.RESTORE: (Phase.RESTORE,),
    ActionName.REPLAY: (Phase.REPLAY,),
    ActionName.PROVE: (Phase.START, Phase.PROVE),
}


@dataclass(frozen=True, slots=True)
class Proposal:
    """One value to be changed: in which step, from what to what, and because of what."""

    place: str
    key: str
    old_s: float
    new_s: float
    measured: Measured

    def __str__(self) -> str:
        m = self.measured
        return (
            f"{self.place}: {self.key} {duration_text(self.old_s)} -> {duration_text(self.new_s)} "
            f"(measured {m.count} times: median {m.median_s:.1f} s, worst {m.worst_s:.1f} s)"
        )


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is proposed, the plan's text with it, and the steps that lack measurements."""

    proposals: tuple[Proposal, ...]
    text: str
    too_few: tuple[str, ...]

    def difference(self, before: str, name: str) -> str:
        """Return the change as a unified diff."""
        lines = difflib.unified_diff(
            before.splitlines(keepends=True),
            self.text.splitlines(keepends=True),
            f"a/{name}",
            f"b/{name}",
        )
        return "".join(lines)


def phase_durations(rehearsals: Iterable[Rehearsal]) -> dict[str, Measured]:
    """Return what the built-in actions took in drills, newest first, by the action's name."""
    measured = [r for r in rehearsals if r.verdict in MEASURED and r.phases][:_MEASURED_DRILLS]
    found = {}
    for action, phases in _PHASES.items():
        values = [
            sum(walked.duration_s for walked in r.phases if walked.phase in phases)
            for r in measured
        ]
        if values:
            found[str(action)] = Measured(statistics.median(values), max(values), len(values))
    return found


def learn(
    loaded: LoadedPlan, runs: Mapping[str, Durations], drills: Mapping[str, Measured]
) -> Lesson:
    """Return what was learned: `runs` by scenario and step, `drills` by built-in action.

    Runs come first; drills fill in where a step was measured in too few of them.
    """
    edits: list[tuple[yaml.ScalarNode, float]] = []
    proposals: list[Proposal] = []
    too_few: list[str] = []
    for scenario, step in _steps_of(loaded.text):
        fields = {str(key.value): value for key, value in step.value}
        place = f"{scenario}.{fields['id'].value}"
        measured = runs.get(scenario, {}).get(str(fields["id"].value))
        if measured is None or measured.count < LEAST_COUNT:
            measured = drills.get(str(fields["action"].value), measured)
        if measured is None or measured.count < LEAST_COUNT:
            too_few.append(place)
            continue
        for key, new_s in _wanted(fields, measured):
            proposals.append(Proposal(place, key, _seconds(fields[key]), new_s, measured))
            edits.append((fields[key], new_s))
    text = _edited(loaded.text, edits)
    parse_plan(text, loaded.path)
    return Lesson(tuple(proposals), text, tuple(too_few))


def duration_text(seconds: float) -> str:
    """Return seconds as a plan writes them, in the largest unit that fits."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:g}s"


def rounded_up(seconds: float) -> float:
    """Return seconds rounded up to what people would write: seconds, half minutes, minutes."""
    step = 1 if seconds <= 60 else 30 if seconds <= 3600 else 300
    return float(max(1, math.ceil(seconds / step)) * step)


def _wanted(fields: Mapping[str, yaml.Node], measured: Measured) -> Iterator[tuple[str, float]]:
    if (node := fields.get("estimate")) is not None:
        old_s, new_s = _seconds(node), rounded_up(measured.median_s)
        if abs(new_s - old_s) > _DIFFERENT * max(old_s, new_s):
            yield "estimate", new_s
    if (node := fields.get("timebox")) is not None:
        new_s = rounded_up(_ROOM * measured.worst_s)
        if _seconds(node) < measured.worst_s:
            yield "timebox", new_s


def _seconds(node: yaml.Node) -> float:
    value = parse_duration(node.value)
    assert isinstance(value, float)
    return value


def _steps_of(text: str) -> Iterator[tuple[str, yaml.MappingNode]]:
    """Yield the steps of all scenarios that act, with the scenario's id; groups are looked into."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    for scenario in _sequence(_field(root, "scenarios")):
        name = _field(scenario, "id")
        assert name is not None
        for step in _flat(_sequence(_field(scenario, "steps"))):
            yield str(name.value), step


def _flat(steps: Sequence[yaml.Node]) -> Iterator[yaml.MappingNode]:
    for step in steps:
        assert isinstance(step, yaml.MappingNode)
        inner = _field(step, "steps")
        if inner is None:
            yield step
        else:
            yield from _flat(_sequence(inner))


def _field(node: yaml.Node | None, name: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for key, value in node.value if key.value == name), None)


def _sequence(node: yaml.Node | None) -> Sequence[yaml.Node]:
    return node.value if isinstance(node, yaml.SequenceNode) else ()


def _edited(text: str, edits: Sequence[tuple[yaml.Node, float]]) -> str:
    """Return the text with the values of those nodes replaced, the last one first."""
    for node, seconds in sorted(edits, key=lambda edit: edit[0].start_mark.index, reverse=True):
        begin, end = node.start_mark.index, node.end_mark.index
        text = text[:begin] + duration_text(seconds) + text[end:]
    return text
