"""The plan in a terminal: 80 columns, and commands that can be copied."""

from __future__ import annotations

import json
import subprocess

from hypothesis import given, settings
from hypothesis import strategies as st
from plan_text import PLAN, load
from rich_plan import LONG, SCRIPT, SECRETS, rich_text

from processpilot.book.text import WIDTH, plan_lines, scenario_lines
from processpilot.plan.model import Plan

LETTERS = "'\" \\$abü`!*-#"
WORDS = st.text(LETTERS, min_size=6, max_size=20) | st.text(f"{LETTERS}\n", max_size=6)
ENDING = "note-that-ends-it"


def rich() -> Plan:
    """Return the richest plan."""
    return load(rich_text()).plan


def typed(command: str) -> list[str]:
    """Return the arguments that bash makes of text; the program is a function of ours."""
    script = f"show() {{ printf '%s\\0' \"$@\"; }}\n{command}\n"
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True, timeout=20)
    return done.stdout.decode().split("\0")[:-1]


def test_lines_fit_the_terminal_unless_one_word_does_not() -> None:
    """Everything is wrapped at 80 columns; a longer line is one that cannot be broken."""
    for line in plan_lines(rich()):
        assert len(line) <= WIDTH or len(line.split()[0]) > 60, line


def test_everything_is_there_in_order() -> None:
    """Components after what they need, people, scenarios with groups, drills, vendors."""
    text = "\n".join(plan_lines(rich()))
    parts = [
        "API Backend (api), critical",
        "needs database",
        "Incident Commander",
        "at once  First",
        "after 30 min  Then",
        "Scenario breach: Security breach",
        "5.3.1. Wait for mail",
        "Go through all steps of",
        "Scenario second",
        "Drill: Backup restoration, every 30 d",
        "Provider: Neon",
        "[ ] Database restored (database.connect)",
        "Hosting: +1 800 555; contract 4711",
        "Monitoring, from 0 s to 2 h",
    ]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert not any(secret in text for secret in SECRETS)


def test_one_scenario_is_that_alone() -> None:
    """Nothing of the others is shown."""
    plan = rich()
    scenario = plan.scenario("second")
    assert scenario is not None
    lines = list(scenario_lines(plan, scenario))
    assert lines[0] == "Scenario second: Complete database failure"
    assert "Security breach" not in "\n".join(lines)


def test_a_script_keeps_its_lines() -> None:
    """Line breaks between quotes are not indented: that would change them."""
    text = "\n".join(plan_lines(rich()))
    begin = text.index("bash -c '") + len("bash -c ")
    quoted = text[begin : text.index("done\n'", begin) + len("done\n'")]
    assert typed(f"show {quoted}") == [SCRIPT]


@settings(max_examples=60, deadline=None)
@given(argv=st.lists(WORDS, min_size=1, max_size=14))
def test_copied_commands_have_the_same_arguments(argv: list[str]) -> None:
    """However long and however quoted, what is printed gives bash the arguments of the plan."""
    step = {"id": "assess", "title": "T", "action": "command", "argv": ["show", *argv]}
    text = PLAN.replace(
        "{id: assess, title: Assess, action: assess}", json.dumps({**step, "note": ENDING})
    )
    plan = load(text).plan
    lines = list(scenario_lines(plan, plan.scenarios[0]))
    begin = next(n for n, line in enumerate(lines) if line.startswith("       show"))
    end = next(n for n, line in enumerate(lines) if line.strip() == f"Note: {ENDING}")
    assert typed("\n".join(lines[begin:end])) == argv


def test_a_long_command_goes_on_after_a_backslash() -> None:
    """Copying the lines as they are gives the command back."""
    lines = list(plan_lines(rich()))
    begin = next(n for n, line in enumerate(lines) if line.strip().startswith("rsync "))
    end = next(n for n in range(begin, len(lines)) if not lines[n].endswith("\\"))
    assert end > begin
    copied = "\n".join(lines[begin : end + 1]).strip().replace("rsync", "show", 1)
    assert typed(copied) == list(LONG[1:])
