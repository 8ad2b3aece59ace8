"""`processpilot journal verify` as people and programs meet it."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from plan_text import PLAN

from processpilot.clock import SystemClock
from processpilot.journal.journal import Journal


def verify(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a plan's folder."""
    return subprocess.run(
        [sys.executable, "-m", "processpilot", "journal", "verify", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_head_that_was_kept_proves_the_past(tmp_path: Path) -> None:
    """The head printed is taken by --head; damage and a cut end have status 7 and a hint."""
    (tmp_path / "processpilot.yaml").write_text(PLAN)
    path = tmp_path / ".processpilot" / "journal.sqlite"
    with closing(Journal.open(path, SystemClock())) as journal:
        for number in range(3):
            journal.append("run/1", "noted", {"number": number})
    first = verify(tmp_path)
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("3 events, each sound and in its place")
    (head,) = (line[6:] for line in first.stdout.splitlines() if line.startswith("head: "))

    with closing(Journal.open(path, SystemClock())) as journal:
        journal.append("run/1", "noted", {})
    second = verify(tmp_path, "--head", head, "--json")
    document = json.loads(second.stdout)
    assert (document["events"], document["kept_head"]) == (4, head)
    assert document["head"].startswith("4:")

    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM events WHERE position > 2")
        connection.commit()
    assert verify(tmp_path).returncode == 0
    cut = verify(tmp_path, "--head", head)
    assert cut.returncode == 7
    assert "ends at position 2" in cut.stderr and "hint: " in cut.stderr

    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE events SET kind = 'forged' WHERE position = 1")
        connection.commit()
    damaged = verify(tmp_path, "--json")
    assert damaged.returncode == 7
    assert json.loads(damaged.stdout)["error"]["code"]
    assert "position 1" in damaged.stderr


def test_a_head_that_is_none_is_refused(tmp_path: Path) -> None:
    """A head cut short by copying is told so, not compared."""
    (tmp_path / "processpilot.yaml").write_text(PLAN)
    done = verify(tmp_path, "--head", "3:abc")
    assert done.returncode == 2
    assert "is not POSITION:HASH" in done.stderr
