"""A scenario's document becomes a graph of steps."""

from __future__ import annotations

from plan_text import PLAN, load

from processpilot.plan.acceptance import digest_of
from processpilot.plan.step import CommandStep
from processpilot.runbook.compose import Composed, compose
from processpilot.runbook.step import GroupSpec, OnFailure, StepSpec

HEAD, _, _ = PLAN.partition("    steps:\n")


def composed(steps: str, *, asks: bool = True, more: str = "", top: str = "") -> Composed:
    """Return the composition of a plan's first scenario, whose steps are given as text."""
    indented = "".join(f"      {line}\n" for line in steps.strip("\n").splitlines())
    plan = load(HEAD + "    steps:\n" + indented + more + top).plan
    return compose(plan, plan.scenarios[0], asks=asks)


def after(found: Composed) -> dict[str, tuple[str, ...]]:
    """Return what each step comes after."""
    return {step.id: step.after for step in found.steps}


def of(found: Composed, step_id: str) -> StepSpec:
    """Return a step by its id."""
    return next(step for step in found.steps if step.id == step_id)


def wait(name: str, more: str = "") -> str:
    """Return a step as it is written."""
    return f"{{id: {name}, title: {name}, action: wait, for: 1s{more}}}"


GROUPS = f"""
- {wait("a")}
- id: both
  title: Both
  action: parallel
  timebox: 10m
  brings_up: [api]
  steps:
    - {wait("b")}
    - id: chain
      title: Chain
      action: sequence
      steps:
        - {wait("c")}
        - {wait("d")}
- {wait("e")}
"""


def test_steps_of_a_list_come_one_after_the_other() -> None:
    """The first comes after nothing."""
    found = composed(f"- {wait('a')}\n- {wait('b')}\n- {wait('c')}")
    assert after(found) == {"a": (), "b": ("a",), "c": ("b",)}
    assert found.groups == ()


def test_a_parallel_group_s_branches_begin_together_and_what_follows_waits_for_all() -> None:
    """A chain in it is one branch."""
    found = composed(GROUPS)
    assert after(found) == {"a": (), "b": ("a",), "c": ("a",), "d": ("c",), "e": ("b", "d")}
    assert found.groups == (
        GroupSpec("both", "Both", True, 600.0),
        GroupSpec("chain", "Chain", False, None),
    )
    assert of(found, "d").groups == ("both", "chain") and of(found, "e").groups == ()


def test_what_a_group_brings_up_is_up_when_all_its_branches_are_done() -> None:
    """Every step that comes last in it says so; none that is followed by another in it."""
    found = composed(GROUPS)
    assert {s.id: s.brings_up for s in found.steps if s.brings_up} == {
        "b": ("api",),
        "d": ("api",),
    }


OTHER = f"""\
  - id: restart
    title: Restart
    component: api
    symptoms:
      - {{probe: api.health, required: true}}
    steps:
      - {wait("a")}
      - {wait("b")}
"""


def test_another_scenario_is_put_in_place_under_its_step_s_name() -> None:
    """Ids, component, group and order are those of the place; twice it is there twice."""
    found = composed(
        f"- {wait('a')}\n"
        "- {id: again, title: Again, action: runbook, scenario: restart, brings_up: [api]}\n"
        "- {id: more, title: More, action: runbook, scenario: restart}\n"
        f"- {wait('z')}",
        more=OTHER,
    )
    assert after(found) == {
        "a": (),
        "again.a": ("a",),
        "again.b": ("again.a",),
        "more.a": ("again.b",),
        "more.b": ("more.a",),
        "z": ("more.b",),
    }
    assert (of(found, "a").component, of(found, "again.a").component) == ("database", "api")
    assert of(found, "again.b").groups == ("again",)
    assert {s.id for s in found.steps if s.brings_up} == {"again.b"}


PINNED = """
- id: a
  title: Stop the API
  action: service
  component: api
  do: stop
  timebox: 2m
  estimate: 1m
  retries: 2
  role: commander
  only_if: {kind: probe, probe: api.health}
  precondition: {kind: probe, probe: database.connect}
  probe: {kind: probe, probe: api.health, passes: false}
  undo: {action: service, component: api, do: start}
  on_failure: undo
"""


def test_what_a_step_says_is_pinned_with_it() -> None:
    """Conditions and undo in the journal's form, and all its ways out."""
    step = composed(PINNED).steps[0]
    assert (step.timebox_s, step.estimate_s, step.retries, step.role) == (120, 60, 2, "commander")
    assert step.settings == {"action": "service", "component": "api", "do": "stop"}
    assert step.only_if == {"kind": "probe", "probe": "api.health"}
    assert step.precondition == {"kind": "probe", "probe": "database.connect"}
    assert step.probe == {"kind": "probe", "probe": "api.health", "passes": False}
    assert step.undo == {"action": "service", "component": "api", "do": "start"}
    assert step.on_failure is OnFailure.UNDO
    assert StepSpec.from_json(step.to_json()) == step


IMPORTED = '{id: a, title: A, action: command, argv: [rm, "old log"], origin: "RUNBOOK.md:7"}'


def test_an_imported_command_that_nobody_accepted_is_done_by_people() -> None:
    """They see it, and where it came from; it does not run by itself."""
    step = composed(f"- {IMPORTED}").steps[0]
    assert (step.action, step.settings["action"]) == ("manual", "manual")
    assert "rm 'old log'" in step.settings["instruction"]
    assert "RUNBOOK.md:7" in step.settings["instruction"]


def test_a_command_that_people_wrote_or_accepted_runs() -> None:
    """Accepted is just this one: changed, it is people's again."""
    own, _, _ = IMPORTED.partition(", origin")
    assert composed(f"- {own}}}").steps[0].action == "command"
    found = load(HEAD + f"    steps:\n      - {IMPORTED}\n").plan.scenarios[0].steps[0]
    assert isinstance(found, CommandStep)
    top = f"accepted:\n  - {{digest: {digest_of(found)}, by: tester}}\n"
    assert composed(f"- {IMPORTED}", top=top).steps[0].action == "command"
    changed = IMPORTED.replace("old log", "all")
    assert composed(f"- {changed}", top=top).steps[0].action == "manual"


def test_approvals_are_asked_for_only_where_the_plan_asks_and_by_approval_steps_always() -> None:
    """With autonomy to act no act waits, but a step that is nothing else does."""
    text = (
        f"- {wait('a', ', approval: commander')}\n"
        "- {id: b, title: B, action: approval, approval: commander}"
    )
    assert [s.approval for s in composed(text).steps] == ["commander", "commander"]
    assert [s.approval for s in composed(text, asks=False).steps] == [None, "commander"]


def test_steps_that_later_ones_build_on_cannot_be_left_out() -> None:
    """A restore can not be skipped, a look can."""
    found = composed("- {id: a, title: A, action: assess}\n- {id: r, title: R, action: restore}")
    assert [step.skippable for step in found.steps] == [True, False]


REBUILD = """
- {id: assess, title: Assess, action: assess}
- {id: drain, title: Drain, action: drain}
- {id: restore, title: Restore, action: restore}
- {id: replay, title: Replay, action: replay}
- {id: prove, title: Prove, action: prove}
- {id: fence, title: Fence, action: fence%s}
- {id: swap, title: Swap, action: swap}
"""


def test_somebody_always_agrees_before_a_cluster_is_swapped_in() -> None:
    """A plan that asks but names no role asks anybody; one that names a role asks that one once."""
    assert of(composed(REBUILD % ""), "swap").approval == "anybody"
    assert of(composed(REBUILD % "", asks=False), "swap").approval is None
    named = composed(REBUILD % ", approval: commander")
    assert of(named, "fence").approval == "commander"
    assert of(named, "swap").approval is None
