"""`processpilot drill` as people and programs meet it, without a server: tables, lists, lessons."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from drill_events import FACTS, StillClock
from plan_text import PLAN

from processpilot.clock import SystemClock
from processpilot.drill.record import LEASE, Ending, Record
from processpilot.drill.state import Phase
from processpilot.journal.event import JsonValue
from processpilot.journal.journal import Journal
from processpilot.runbook.state import Verdict

TABLE = {"id": "table", "title": "At the table", "kind": "tabletop", "every": "90d"}


def drill(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a plan's folder."""
    return subprocess.run(
        [sys.executable, "-m", "processpilot", "drill", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=dict(os.environ) | {"PGCONNECT_TIMEOUT": "2"},
    )


def document_of(done: subprocess.CompletedProcess[str]) -> Any:
    """Return the JSON document that a command printed."""
    return json.loads(done.stdout)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a plan whose only drill is a table, at which Ann is absent."""
    plan = yaml.safe_load(PLAN)
    plan["team"]["people"] = [{"name": "Ann", "accounts": ["ann"]}, {"name": "Bob"}]
    plan["team"]["roles"][0] |= {"primary": "Ann", "secondary": "Bob"}
    plan["drills"] = [TABLE | {"absent": ["Ann"]}]
    (tmp_path / "processpilot.yaml").write_text(yaml.safe_dump(plan))
    return tmp_path


def test_a_table_is_gone_through_by_the_command(folder: Path) -> None:
    """It waits for people with status 8; the absent are refused with 3; the last step ends it."""
    begun = drill(folder, "run", "--json")
    assert begun.returncode == 8, begun.stderr
    rehearsal_id = document_of(begun)["rehearsal_id"]
    refused = drill(folder, "confirm", "--as", "Ann")
    assert refused.returncode == 3
    assert "Ann is absent" in refused.stderr
    assert "hint: " in refused.stderr
    first = drill(folder, "confirm", "--as", "Bob", "--comment", "I would look at the dashboard.")
    assert first.returncode == 8
    assert f"processpilot drill confirm {rehearsal_id}" in first.stdout
    last = drill(folder, "confirm", rehearsal_id, "--as", "Bob")
    assert last.returncode == 0, last.stderr
    assert "At the table: passed" in last.stdout
    assert drill(folder, "confirm").returncode == 4
    shown = document_of(drill(folder, "show", "--json"))
    assert shown["drill"]["verdict"] == "passed"
    assert [step["by"] for step in shown["drill"]["confirmed"]] == ["Bob", "Bob"]
    listed = document_of(drill(folder, "list", "--json"))
    assert listed["drills"][0]["standing"]["state"] == "passed"
    assert listed["begun"][0]["rehearsal_id"] == rehearsal_id


def test_a_table_that_fails_or_is_ended_is_told(folder: Path) -> None:
    """Both with status 1, and with why."""
    drill(folder, "run")
    failed = drill(folder, "confirm", "--as", "Bob", "--failed", "--comment", "no login")
    assert failed.returncode == 1
    assert "assess could not be done: no login" in failed.stdout
    drill(folder, "run", "table")
    ended = drill(folder, "abort", "--as", "Bob", "--reason", "lunch")
    assert ended.returncode == 1
    assert "Bob ended it: lunch" in ended.stdout


def test_a_plan_without_drills_has_two(folder: Path) -> None:
    """They have never run, which is said; without a backup none is due."""
    plan = yaml.safe_load(PLAN)
    (folder / "processpilot.yaml").write_text(yaml.safe_dump(plan))
    listed = drill(folder, "list")
    assert listed.returncode == 0, listed.stderr
    assert [line.split()[:3] for line in listed.stdout.splitlines()[1:3]] == [
        ["restore", "restore", "never"],
        ["complete", "complete", "never"],
    ]
    due = document_of(drill(folder, "schedule", "--json"))["due"]
    assert [(one["drill"], one["at"]) for one in due] == [("restore", None), ("complete", None)]
    assert drill(folder, "show").returncode == 4
    assert drill(folder, "run", "unheard-of").returncode == 4


def test_a_drill_that_would_reach_people_is_refused_before_it_begins(folder: Path) -> None:
    """With status 3, the step's name and the page to read; nothing is written down."""
    plan = yaml.safe_load(PLAN)
    step = {"id": "tell", "title": "Tell", "action": "message", "text": "We are back."}
    plan["drills"] = [TABLE | {"kind": "complete", "steps": [step]}]
    (folder / "processpilot.yaml").write_text(yaml.safe_dump(plan))
    refused = drill(folder, "run")
    assert refused.returncode == 3, refused.stderr
    assert "step tell would send a message" in refused.stderr
    assert "docs/drills.md" in refused.stderr
    assert document_of(drill(folder, "list", "--json"))["begun"] == []


def test_lessons_are_shown_and_written_when_asked(folder: Path) -> None:
    """Without enough measurements the command says so and changes nothing."""
    before = (folder / "processpilot.yaml").read_text()
    with closing(Journal.open(folder / ".processpilot" / "journal.sqlite", SystemClock())):
        pass
    learned = drill(folder, "learn", "--apply")
    assert learned.returncode == 0, learned.stderr
    assert "nothing to change" in learned.stdout
    assert "measured fewer than 3 times" in learned.stdout
    assert (folder / "processpilot.yaml").read_text() == before


def test_what_drills_took_changes_the_plan_when_asked(folder: Path) -> None:
    """The difference is printed first; the plan then holds it, comment and all."""
    restore = "      - {id: restore, title: R, action: restore, estimate: 30s}  # a guess\n"
    path = folder / "processpilot.yaml"
    steps = "      - {id: assess, title: Assess, action: assess}\n"
    path.write_text(PLAN.replace(steps, steps + restore))
    clock = StillClock()
    begun: dict[str, JsonValue] = {
        "drill": "restore",
        "title": "Restore",
        "kind": "restore",
        "facts": FACTS.to_json(),
    }
    with closing(Journal.open(folder / ".processpilot" / "journal.sqlite", clock)) as journal:
        for number in range(3):
            record = Record(journal, journal.begin_epoch(LEASE), str(number))
            record.begin(begun)
            with record.phase(Phase.RESTORE):
                clock.sleep(100)
            record.finish(Ending(Verdict.PASSED))
    shown = drill(folder, "learn")
    assert "failure.restore: estimate 30s -> 2m" in shown.stdout
    assert f"+{restore.replace('30s', '2m')}" in shown.stdout
    assert restore in path.read_text()
    assert document_of(drill(folder, "learn", "--apply", "--json"))["applied"] is True
    assert restore.replace("30s", "2m") in path.read_text()
    assert "nothing to change" in drill(folder, "learn").stdout
