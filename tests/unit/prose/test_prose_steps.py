"""Steps in the ways people write them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from prose_text import actions, scenario_of, step_named, timeboxes

from processpilot.plan.act import CommandAct, ManualAct
from processpilot.plan.step import Group, Step, every_step


@pytest.mark.parametrize(
    "body",
    [
        "**Step 1: Look around (0-10 min)**\n- read it\n\n**Step 2: Mend it (10-40 min)**\n- mend",
        "#### Step 1: Look around (0-10 min)\n- read the log\n#### Mend it (10-40 min)\n- mend",
        "1. **Look around** (0-10 min)\n   - read the log\n2. Mend it (10-40 min)\n   - mend",
        "1. Look around (first 10 minutes)\n   - [ ] read it\n2. Mend it - 30 min\n   - [ ] mend",
        "Step 1: Look around (10 min)\n\n- read it\n\nStep 2: Mend it (half an hour)\n\n- mend",
    ],
)
def test_steps_are_steps_however_they_are_written(body: str) -> None:
    """Bold lines, headings, numbers, boxes and plain lines give the same groups and time boxes."""
    steps = scenario_of(body).steps
    assert [step.title for step in steps] == ["Look around", "Mend it"]
    assert [step.action for step in steps] == ["sequence", "sequence"]
    assert timeboxes(steps) == {"look-around": 10, "mend-it": 30}
    assert actions(steps) == ["manual", "manual"]


def test_a_table_of_steps_says_who_how_long_and_with_what() -> None:
    """Columns may stand in any order; a row without a command is for people."""
    steps = scenario_of(
        "| Time | Who | Action | Command |\n|---|---|---|---|\n"
        "| 0-5 min | Incident Commander | Call everybody | |\n"
        "| 5-25 min | nobody in particular | Start it | `systemctl start shop` |\n"
    ).steps
    call, start = steps
    assert isinstance(call, ManualAct)
    assert (call.role, call.timebox_s) == ("incident-commander", 300)
    assert isinstance(start, CommandAct)
    assert (start.argv, start.timebox_s) == (("systemctl", "start", "shop"), 1200)


def test_a_range_that_no_other_window_meets_says_how_long() -> None:
    """ "3-5 min" after "0-10 min" is a duration; 5 minutes are what it may take."""
    steps = scenario_of("1. A (0-10 min)\n   - x\n2. B (3-5 min)\n   - y").steps
    assert timeboxes(steps) == {"a": 10, "b": 5}


def test_windows_inside_a_window_are_differences() -> None:
    """Steps in a part that lasts from 15 to 240 minutes begin where it begins."""
    steps = scenario_of(
        "#### Response (0-15 min)\n- x\n#### Recovery (15-240 min)\n"
        "**Step 1: A (15-30 min)**\n- a\n\n**Step 2: B (30-240 min)**\n- b\n"
    ).steps
    assert timeboxes(steps) == {"response": 15, "recovery": 225, "a": 15, "b": 210}


def test_every_command_says_where_it_came_from() -> None:
    """Origin is file and line; the folder, the title and the environment come along."""
    steps = scenario_of("1. Go\n   ```bash\n   # Rebuild\n   cd app\n   make all\n   ```").steps
    step = step_named(steps, "rebuild")
    assert isinstance(step, CommandAct)
    assert step.folder == "app"
    assert step.origin is not None
    assert step.origin.startswith("RUNBOOK.md:")


def test_commands_in_backticks_are_commands() -> None:
    """`./x.sh now` in a sentence is to be typed; `app.config` is not."""
    steps = scenario_of("- run `./x.sh now`\n- look into `app.config`\n- read `/var/log/x`").steps
    assert actions(steps) == ["command", "manual", "manual"]
    assert steps[0].title == "run ./x.sh now"


def test_the_folder_of_an_earlier_block_holds_for_scripts_beside_it() -> None:
    """./b.sh is looked for where the last cd went; what needs no folder gets none."""
    steps = scenario_of(
        "```sh\ncd ops\n./a.sh x\n```\n\nThen:\n\n```sh\n./b.sh y\nuptime -p\n```"
    ).steps
    folders = [step.folder for step in _commands(steps)]
    assert folders == ["ops", "ops", None]


def _commands(steps: Sequence[Step]) -> list[CommandAct]:

    return [s for s in every_step(steps) if isinstance(s, CommandAct)]


def test_other_code_is_for_people() -> None:
    """SQL and configuration are shown to a person, whole."""
    (step,) = scenario_of("```sql\nupdate x set y = 1;\n```").steps
    assert isinstance(step, ManualAct)
    assert step.instruction == "update x set y = 1;"


def test_facts_of_a_group_are_no_steps() -> None:
    """Owner and duration belong to the group they stand in."""
    (step,) = scenario_of(
        "1. Mend\n   - Owner: Incident Commander\n   - Duration: 20 min\n   - do it"
    ).steps
    assert isinstance(step, Group)
    assert (step.role, step.timebox_s) == ("incident-commander", 1200)
    assert actions([step]) == ["manual"]


def test_text_in_a_group_is_its_note() -> None:
    """A sentence among steps is kept as a note, not as something to confirm."""
    (step,) = scenario_of("**Step 1: Mend**\n\nBe careful here.\n\n- do it").steps
    assert step.note == "Be careful here"


def test_a_scenario_of_sentences_has_them_as_steps() -> None:
    """Where there are only sentences, they are what people do."""
    steps = scenario_of("Call the hoster and ask for a new server.").steps
    assert actions(steps) == ["manual"]


def test_a_scenario_without_steps_says_so() -> None:
    """Nothing is invented; a person is asked."""
    (step,) = scenario_of("").steps
    assert isinstance(step, ManualAct)
