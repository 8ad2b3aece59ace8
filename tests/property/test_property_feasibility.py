"""Laws of the critical path, for every tree of steps."""

from __future__ import annotations

from typing import Any

from feasibility_plans import HEAD, NOW, Here, load
from hypothesis import given, settings
from hypothesis import strategies as st

from processpilot.feasibility.check import check_plan
from processpilot.feasibility.path import Timeline, timeline
from processpilot.feasibility.shell import commands_in
from processpilot.feasibility.world import World
from processpilot.plan.load import LoadedPlan
from processpilot.runbook.forecast import Measured

Tree = dict[str, Any]
_MINUTES = st.none() | st.integers(1, 90)
_LEAF = st.fixed_dictionaries({"box": _MINUTES, "guess": _MINUTES, "measured": _MINUTES})
_TREE = st.recursive(
    _LEAF,
    lambda inner: st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["sequence", "parallel"]),
            "steps": st.lists(inner, min_size=1, max_size=4),
            "box": _MINUTES,
            "measured": st.none() | st.integers(1, 90),
        }
    ),
    max_leaves=12,
)
_FOREST = st.lists(_TREE, min_size=1, max_size=4)


class _Made:
    """A plan with one scenario of these trees, and what was measured of it."""

    def __init__(self, forest: list[Tree]) -> None:
        self.measured: dict[tuple[str, str], Measured] = {}
        self._count = 0
        lines = "".join(self._lines(tree, 6) for tree in forest)
        text = (
            f"{HEAD}components:\n"
            "  - {id: database, title: Database, priority: critical, rto: 4h, rpo: 1h}\n"
            "scenarios:\n  - id: failure\n    title: Failure\n    component: database\n"
            f"    symptoms: [{{means: words}}]\n    steps:\n{lines}"
        )
        self.loaded: LoadedPlan = load(text)

    def _lines(self, tree: Tree, indent: int) -> str:
        self._count += 1
        name, pad = tree.get("name", f"s{self._count}"), " " * indent
        if tree["measured"] is not None:
            seconds = 60.0 * tree["measured"]
            self.measured["failure", name] = Measured(seconds, 1, seconds)
        lines = [f"{pad}- id: {name}", f"{pad}  title: {name}"]
        lines += [f"{pad}  timebox: {tree['box']}m"] if tree["box"] else []
        if "steps" not in tree:
            lines += [f"{pad}  estimate: {tree['guess']}m"] if tree["guess"] else []
            return "\n".join([*lines, f"{pad}  action: manual", ""])
        lines += [f"{pad}  action: {tree['kind']}", f"{pad}  steps:", ""]
        return "\n".join(lines) + "".join(self._lines(t, indent + 4) for t in tree["steps"])

    def timeline(self) -> Timeline:
        plan = self.loaded.plan
        return timeline(plan, plan.scenarios[0], self.measured)


def seconds(forest: list[Tree]) -> float:
    """Return how long a scenario of these trees takes."""
    return round(_Made(forest).timeline().end.seconds, 6)


def named(forest: list[Tree]) -> list[Tree]:
    """Return the trees with names of their own, so that adding one renames no other."""
    count = 0

    def name(tree: Tree) -> Tree:
        nonlocal count
        count += 1
        made = {**tree, "name": f"n{count}"}
        if "steps" in tree:
            made["steps"] = [name(inner) for inner in tree["steps"]]
        return made

    return [name(tree) for tree in forest]


def with_one_more(forest: list[Tree], added: Tree, where: list[int]) -> list[Tree]:
    """Return the trees with one more, as deep as `where` leads."""
    place = where[0] % (len(forest) + 1) if where else len(forest)
    if len(where) > 1 and place < len(forest) and "steps" in forest[place]:
        inner = with_one_more(forest[place]["steps"], added, where[1:])
        return [*forest[:place], {**forest[place], "steps": inner}, *forest[place + 1 :]]
    return [*forest[:place], added, *forest[place:]]


@settings(max_examples=150, deadline=None)
@given(_FOREST, _TREE, st.lists(st.integers(0, 9), max_size=4))
def test_adding_a_step_never_shortens(forest: list[Tree], added: Tree, where: list[int]) -> None:
    """Anywhere in the tree, measured or not, with time boxes or without."""
    before = named(forest)
    (extra,) = named([added])
    extra = _renamed(extra)
    assert seconds(with_one_more(before, extra, where)) >= seconds(before)


def _renamed(tree: Tree) -> Tree:
    made = {**tree, "name": f"x{tree['name']}"}
    if "steps" in tree:
        made["steps"] = [_renamed(inner) for inner in tree["steps"]]
    return made


@settings(max_examples=100, deadline=None)
@given(st.lists(_TREE, min_size=1, max_size=4))
def test_side_by_side_is_never_longer_than_one_after_the_other(trees: list[Tree]) -> None:
    """And never shorter than the longest of them."""
    group = {"steps": trees, "box": None, "measured": None}
    parallel = seconds([{**group, "kind": "parallel"}])
    assert parallel <= seconds([{**group, "kind": "sequence"}])
    assert parallel == max(seconds([tree]) for tree in trees)


@settings(max_examples=100, deadline=None)
@given(_FOREST)
def test_every_step_lies_within_its_scenario(forest: list[Tree]) -> None:
    """None begins before the beginning, ends before it begins, or after the end."""
    times = _Made(forest).timeline()
    for reach in times.reaches:
        assert 0 <= reach.begin.seconds <= reach.end.seconds + 1e-6
        assert reach.end.seconds <= times.end.seconds + 1e-6


@settings(max_examples=100, deadline=None)
@given(_FOREST)
def test_a_valid_plan_is_always_checked(forest: list[Tree]) -> None:
    """Every finding is whole and stands on a line of the file."""
    made = _Made(forest)
    world: World = Here().world(made.measured)
    assert world.now == NOW
    lines = made.loaded.text.count("\n") + 1
    for finding in check_plan(made.loaded, world):
        assert 1 <= finding.line <= lines
        assert finding.message


@given(st.text(max_size=80) | st.text("ab ;|&()<>$`'\"#\\\n=12{}", max_size=40))
def test_no_script_is_too_odd_to_be_read(script: str) -> None:
    """Whatever a shell would say to it, reading it ends and names words of its own."""
    for command in commands_in(script):
        assert command.words
