"""A scenario that recovers the database: the sequence is whole and in order."""

from __future__ import annotations

import pytest
from prose_text import actions, imported, scenario_of, step_named

SEQUENCE = ["drain", "restore", "replay", "prove", "fence", "swap", "start-database", "protect"]


@pytest.mark.parametrize(
    "restore",
    [
        "- `./restore.sh postgresql /path/to/x.dump`",
        "- `pg_restore -d shop x.dump`",
        "- `gunzip -c x.sql.gz | psql shop`",
        "- `sudo -u postgres pgbackrest restore --delta`",
        "- Restore the latest backup",
        "- Sicherung einspielen",
    ],
)
def test_restoring_becomes_the_whole_sequence(restore: str) -> None:
    """Whatever restores in a failure of the database, the built-in recovery takes its place."""
    scenario = scenario_of(restore)
    assert actions(scenario.steps) == ["assess", *SEQUENCE, "backup"]


def test_fencing_is_approved_by_who_decides() -> None:
    """The commander of the document agrees before the old server is fenced."""
    steps = scenario_of("- `./restore.sh postgresql x`").steps
    assert getattr(step_named(steps, "fence"), "approval", None) == "incident-commander"


def test_an_assessing_group_before_assesses() -> None:
    """The group that reads the backups gets the assessment, and the sequence goes without."""
    steps = scenario_of(
        "1. Assess\n   - `./backup.sh --list`\n"
        "2. Recover (30-90 min)\n   - `./restore.sh auto latest`"
    ).steps
    assert actions(steps[:1]) == ["list-backups", "assess"]
    assert actions(steps[1:2]) == SEQUENCE


def test_a_group_that_lists_and_restores_assesses_first() -> None:
    """The assessment never comes after the restore that needs it."""
    steps = scenario_of("1. Recover\n   - `pgbackrest info`\n   - `./restore.sh auto latest`").steps
    assert actions(steps) == ["list-backups", "assess", *SEQUENCE, "backup"]


def test_stopping_dropping_and_starting_by_hand_is_part_of_the_sequence() -> None:
    """What people did around the restore is where the sequence does it, and told so."""
    body = (
        "**Step 1: Stop it**\n```sh\nsystemctl stop postgresql\n```\n\n**Step 2: Restore**\n```sh\n"
        "dropdb shop\nrm -rf /var/lib/postgresql/16/main/*\n./restore.sh postgresql latest\n"
        "systemctl start postgresql\n```\n"
    )
    scenario = scenario_of(body)
    assert actions(scenario.steps) == ["assess", *SEQUENCE, "backup"]
    assert [s.title for s in scenario.steps] == ["Restore", "Take the first backup"]


def test_a_restore_that_comes_twice_is_done_once() -> None:
    """Two restores in one scenario are one sequence."""
    scenario = scenario_of("- `./restore.sh postgresql globals`\n- `./restore.sh postgresql shop`")
    assert actions(scenario.steps).count("restore") == 1


@pytest.mark.parametrize("title", ["Data corruption", "Security breach", "API failure"])
def test_elsewhere_a_restore_stays_a_command(title: str) -> None:
    """Corruption and breaches are not there yet, and another component is not the database."""
    scenario = scenario_of("- `./restore.sh postgresql /path/to/clean.dump`", title=title)
    (step,) = scenario.steps
    assert step.action == "command"
    assert getattr(step, "approval", None) == "incident-commander"


def test_what_is_not_there_yet_is_said() -> None:
    """The remark stands at the scenario, in the plan and in the report."""
    done = imported("# X\n\n## Scenarios\n\n### Data corruption\n\n- `./restore.sh x`\n")
    assert "# not there yet: a restore to a point before the damage" in done.text


def test_what_was_added_is_said() -> None:
    """Everything the document did not ask for is marked as added."""
    done = imported("# X\n\n## Scenarios\n\n### Database failure\n\n- `./restore.sh a latest`\n")
    added = [told.text.split(":")[0] for told in done.report.told if told.tone == "added"]
    assert added == ["assess", "drain", *SEQUENCE[2:], "backup"]
