"""`processpilot plan check` from the outside: text, JSON, exit statuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from feasibility_plans import RUNBOOK

# One scenario that holds, on a machine that has everything it names.
SOUND = """\
version: 1
name: small
database: {dsn: "postgresql://postgres@localhost:5432/small"}
repository: {url: "s3://backups/small", identity: "file:key"}
components:
  - id: database
    title: Database
    priority: critical
    rto: 4h
    rpo: 1h
    probes: [{id: connect, kind: sql, query: select 1}]
channels: [{id: chat, url: "env:CHAT"}, {id: mail, url: "env:MAIL"}]
scenarios:
  - id: failure
    title: Failure
    component: database
    symptoms: [{probe: database.connect}]
    steps: [{id: all, title: All, action: manual, timebox: 60m}]
"""


def check(folder: Path, text: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command on a plan in `folder`."""
    (folder / "processpilot.yaml").write_text(text)
    return subprocess.run(
        [sys.executable, "-m", "processpilot", "plan", "check", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={k: v for k, v in os.environ.items() if k != "PROCESSPILOT_PLAN"},
    )


def test_a_plan_that_cannot_hold(tmp_path: Path) -> None:
    """Status 1, 80 columns, the arithmetic, and counts in the last line."""
    done = check(tmp_path, RUNBOOK)
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "Cannot hold"
    assert max(map(len, lines)) <= 80
    assert "          15 + 15 + 90 + 60 = 180 min (time boxes) until api is up (step" in lines
    assert lines[-1].startswith("Cannot hold: ")
    assert lines[-1].endswith(" notes.")


def test_a_plan_that_holds_on_paper(tmp_path: Path) -> None:
    """Status 0 with warnings; with --strict they count."""
    done = check(tmp_path, SOUND)
    assert done.returncode == 0, done.stdout
    assert "no-drill" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("Holds on paper: 0 errors, ")
    assert check(tmp_path, SOUND, "--strict").returncode == 1


def test_json_is_one_document(tmp_path: Path) -> None:
    """Counts agree with the findings; each finding has every field."""
    done = check(tmp_path, RUNBOOK, "--json")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document["feasible"] is False
    kinds = [finding["severity"] for finding in document["findings"]]
    assert document["counts"] == {
        "errors": kinds.count("error"),
        "warnings": kinds.count("warning"),
        "notes": kinds.count("note"),
    }
    for finding in document["findings"]:
        assert set(finding) == {
            *("code", "severity", "place", "line", "column"),
            *("message", "arithmetic", "way_out"),
        }


def test_a_plan_that_does_not_load_is_told_as_everywhere(tmp_path: Path) -> None:
    """Status 2 for a malformed plan, 4 for none, with a hint."""
    done = check(tmp_path, SOUND.replace("rto: 4h", "rto: 4"))
    assert done.returncode == 2
    assert "has no unit" in done.stderr
    assert "hint: " in done.stderr
    (tmp_path / "empty").mkdir()
    done = check(tmp_path, SOUND, "--plan", str(tmp_path / "empty" / "none.yaml"))
    assert done.returncode == 4
