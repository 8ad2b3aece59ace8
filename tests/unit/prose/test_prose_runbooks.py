"""Five written runbooks of five styles: what each of them yields."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from plan_text import PLAN, load
from prose_text import (
    RUNBOOKS,
    actions,
    broken_places,
    every_command,
    imported_file,
    timeboxes,
    unheard_lines,
)

from processpilot.prose.draft import Fate
from processpilot.prose.source import read_source

NAMES = ("handbook.md", "consultant.md", "wiki.md", "terse.md", "odd.txt")


def _expected(name: str) -> dict[str, object]:
    found = yaml.safe_load((RUNBOOKS / "expected.yaml").read_text())[name]
    assert isinstance(found, dict)
    return found


def _yield(path: Path) -> dict[str, object]:
    """Return what a runbook becomes, in short: as it stands in expected.yaml."""
    done = imported_file(path)
    plan = done.loaded.plan
    return {
        "name": plan.name,
        "components": {
            c.id: f"rto {c.rto_s / 60:g}, rpo {c.rpo_s / 60:g}, {c.priority}, "
            f"needs {' '.join(c.depends_on) or 'nothing'}"
            for c in plan.components
        },
        "roles": {r.id: f"{r.primary} / {r.secondary}" for r in plan.team.roles},
        "escalation": {f"{e.after_s / 60:g}": list(e.page) for e in plan.team.escalation},
        "scenarios": {
            s.id: {
                "component": s.component,
                "symptoms": [x.means for x in s.symptoms],
                "timeboxes": {k: f"{v:g}" for k, v in timeboxes(s.steps).items()},
                "actions": " ".join(actions(s.steps)),
            }
            for s in plan.scenarios
        },
        "checklist": {c.text: " ".join(c.by) for c in plan.checklist},
        "drills": {d.id: f"{d.every_s / 86400:g}" for d in plan.drills},
        "vendors": [v.id for v in plan.vendors],
        "support": {s.severity.value: f"{s.response_s / 60:g}" for s in plan.support},
        "procedures": [p.id for p in plan.procedures],
        "follow_ups": {f.title: list(f.items) for f in plan.follow_ups},
        "lines": {fate.value: len(done.report.of(fate)) for fate in Fate},
        "unused": [line.line for line in done.report.of(Fate.UNUSED)],
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_yields_what_is_written_down_for_it(name: str) -> None:
    """tests/runbooks/expected.yaml says what a person found right, down to each line's class."""
    found = json.loads(json.dumps(_yield(RUNBOOKS / name)))
    expected = _expected(name)
    for key, value in found.items():
        assert value == expected[key], f"{name}: {key}"
    assert set(found) == set(expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("with_base", [False, True])
def test_no_line_of_a_runbook_is_lost(name: str, with_base: bool) -> None:
    """Every line has one fate, every place exists, every command waits for a word."""
    done = imported_file(RUNBOOKS / name, load(PLAN) if with_base else None)
    text = "\n".join(read_source(RUNBOOKS / name).lines)
    assert not unheard_lines(text, done)
    assert not list(broken_places(done))
    assert all(step.origin for step in every_command(done.loaded.plan))


def test_a_password_in_a_runbook_goes_nowhere() -> None:
    """The terse README has one in a command; neither plan nor report does."""
    assert "hunter2" in (RUNBOOKS / "terse.md").read_text()
    done = imported_file(RUNBOOKS / "terse.md")
    assert "hunter2" not in done.text + repr(done.report)
    assert "env:PGPASSWORD" in done.text


def test_damaged_letters_are_whole_again() -> None:
    """The odd one was saved as Windows-1252, parts of it twice."""
    source = read_source(RUNBOOKS / "odd.txt")
    assert source.encoding == "windows-1252"
    done = imported_file(RUNBOOKS / "odd.txt")
    assert done.loaded.plan.name == "Mühlrad-Kasse"
    assert "Ã" not in done.text
