"""What is read between the lines: approvals, what may fail, conditions, what works again."""

from __future__ import annotations

import pytest
from plan_text import PLAN, load
from prose_text import scenario_of, step_named

from processpilot.plan.act import ApprovalAct, CommandAct
from processpilot.plan.condition import ProbeCondition
from processpilot.plan.step import CommandStep, Group


@pytest.mark.parametrize(
    "command",
    ["dropdb shop", "rm -rf /srv/x", "iptables -A INPUT -j DROP", "git checkout HEAD~1",
     "npm run security:reset-credentials", "apt update && apt upgrade", "pg_restore x",
     "kubectl delete pod x", "terraform destroy -auto-approve", "git reset --hard v1"],
)  # fmt: skip
def test_what_destroys_needs_a_word(command: str) -> None:
    """The role that decides agrees before something is destroyed."""
    (step,) = scenario_of(f"- `{command}`", title="API failure").steps
    assert isinstance(step, CommandStep)
    assert step.approval == "incident-commander"


@pytest.mark.parametrize("command", ["ps aux", "systemctl restart nginx", "npm run build"])
def test_what_destroys_nothing_needs_none(command: str) -> None:
    """Looking and starting go without asking."""
    (step,) = scenario_of(f"- `{command}`", title="API failure").steps
    assert getattr(step, "approval", None) is None


def test_looking_at_the_damage_may_fail() -> None:
    """A status that says "dead" does not end the run; after the first change it does."""
    steps = scenario_of(
        "1. Assess the server\n   - `systemctl status nginx`\n"
        "2. Restart\n   - `systemctl restart nginx`\n"
        "3. Check again\n   - `systemctl status nginx`",
        title="API failure",
    ).steps
    first = step_named(steps, "systemctl-status-nginx")
    last = step_named(steps, "systemctl-status-nginx-2")
    assert getattr(first, "on_failure", "") == "go-on"
    assert getattr(last, "on_failure", "") == "stop"


_CONDITIONAL = (
    "**Step 1: Roll it out again (if restart fails)**\n```sh\nmake deploy\nmake check\n```"
)


def test_a_condition_is_a_probe_where_one_is_known() -> None:
    """While the component's probe fails, what was tried before has not helped."""
    (group,) = scenario_of(_CONDITIONAL, load(PLAN), "API failure").steps
    assert isinstance(group, Group)
    for step in group.steps:
        assert isinstance(step, CommandStep)
        assert step.only_if == ProbeCondition(kind="probe", probe="api.health", passes=False)


def test_a_condition_is_asked_where_no_probe_is_known() -> None:
    """Without a probe the commander says whether the steps are needed."""
    (group,) = scenario_of(_CONDITIONAL, title="API failure").steps
    assert isinstance(group, Group)
    assert isinstance(group.steps[0], ApprovalAct)
    assert group.note == "Condition: if restart fails"


def test_a_way_back_is_never_simply_gone() -> None:
    """Steps under "Roll back" are asked for, because a good recovery does not need them."""
    steps = scenario_of("- mend it\n\n#### Roll back\n\n- put it back", title="API failure").steps
    group = step_named(steps, "roll-back")
    assert isinstance(group, Group)
    assert isinstance(group.steps[0], ApprovalAct)


def test_a_timed_group_brings_up_what_its_steps_start() -> None:
    """The end of the time box is when it works again; dependents work with it."""
    steps = scenario_of(
        "1. Recover (0-90 min)\n   - `./restore.sh a latest`\n2. Applications (90-120 min)\n"
        "   - `npm run restart-production`"
    ).steps
    assert steps[0].brings_up == ("database",)
    assert steps[1].brings_up == ("api",)


def test_otherwise_it_works_at_the_end() -> None:
    """Where nothing says when, the component and what needs it work when all is done."""
    steps = scenario_of("1. Think (0-30 min)\n   - think\n2. Act (30-60 min)\n   - act").steps
    assert [s.brings_up for s in steps] == [(), ("database", "api")]


def test_commands_have_the_time_of_their_group() -> None:
    """A restore in a group of 90 minutes is not ended after ten; a look is."""
    (group,) = scenario_of(
        "1. Mend (0-90 min)\n   - `make deploy`\n   - `ps aux`", title="API failure"
    ).steps
    assert isinstance(group, Group)
    assert [s.timeout_s for s in group.steps if isinstance(s, CommandAct)] == [5400, 600]
