"""`processpilot plan show | diff | schema | book` as people and programs meet them."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from made_repository import OPERATOR, Folder, backup_on, new_repository, written_tree
from plan_text import PLAN
from rich_plan import rich_text

from processpilot.clock import SystemClock
from processpilot.journal.journal import Journal
from processpilot.plan.load import load_plan
from processpilot.plan.schema import SCHEMA_PATH
from processpilot.storage.local import LocalStore

OLD = PLAN.replace("action: assess}", "action: assess, timebox: 5m}")
NEW = PLAN.replace("action: assess}", "action: assess, timebox: 10m}")
SAID = "scenario failure: time box of assess: 5 min -> 10 min"


def pilot(folder: Path, *words: str, columns: str = "80") -> subprocess.CompletedProcess[str]:
    """Run the command in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "processpilot", "plan", *words],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": columns, "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Give a folder with a plan whose repository's two backups carry two older ones."""
    store = LocalStore(tmp_path / "backups", create=True)
    repository = new_repository(store)
    (tmp_path / "data").mkdir()
    folder = Folder(tmp_path / "data")
    for day, text in ((1, None), (2, OLD)):
        manifest = written_tree(repository, folder.root, backup_on(day), None)
        repository.commit(manifest.model_copy(update={"plan": text}))
    key = tmp_path / "operator.key"
    key.touch(0o600)
    key.write_text(OPERATOR.secret)
    (tmp_path / "processpilot.yaml").write_text(NEW)
    return tmp_path


def told(done: subprocess.CompletedProcess[str], status: int) -> str:
    """Return what was said about an error."""
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr and "hint: " in done.stderr
    return done.stderr


def test_the_plan_is_shown_whole_or_one_scenario(tmp_path: Path) -> None:
    """Text for people, the model for programs; an unknown scenario names those there are."""
    (tmp_path / "processpilot.yaml").write_text(rich_text())
    whole = pilot(tmp_path, "show")
    assert whole.returncode == 0, whole.stderr
    assert "Scenario breach" in whole.stdout and "Scenario second" in whole.stdout
    one = pilot(tmp_path, "show", "second")
    assert one.stdout.startswith("Scenario second")
    document = json.loads(pilot(tmp_path, "show", "--json").stdout)
    assert document["components"][0]["rto"] == "14400.0s"
    assert json.loads(pilot(tmp_path, "show", "second", "--json").stdout)["id"] == "second"
    assert "it has: breach, second" in told(pilot(tmp_path, "show", "third"), 4)
    assert "are for --from-backup" in told(pilot(tmp_path, "show", "--repo", "x"), 2)


def test_the_schema_is_the_one_shipped(tmp_path: Path) -> None:
    """It is printed without a plan at hand."""
    assert pilot(tmp_path, "schema").stdout == SCHEMA_PATH.read_text()


def test_a_bare_machine_reads_the_plan_with_repository_and_key(site: Path) -> None:
    """Printed or written as it is; a file that is there stays; a backup without one says so."""
    bare = site / "bare"
    bare.mkdir()
    place = ("--repo", str(site / "backups"), "--key", str(site / "operator.key"))
    assert pilot(bare, "show", "--from-backup", "latest", *place).stdout == OLD
    written = pilot(bare, "show", "--from-backup", "latest", *place, "--output", "plan.yaml")
    assert written.returncode == 0, written.stderr
    assert (bare / "plan.yaml").read_text() == OLD
    assert load_plan(bare / "plan.yaml").plan.name == "shop"
    again = pilot(bare, "show", "--from-backup", "latest", *place, "--output", "plan.yaml")
    assert "exists" in told(again, 3)
    without = pilot(bare, "show", "--from-backup", str(backup_on(1)), *place)
    assert "carries no plan" in told(without, 4)
    assert not (bare / ".processpilot").exists()


def test_a_backups_plan_is_read_through_the_plan_at_hand_too(site: Path) -> None:
    """With a plan, neither repository nor key has to be named."""
    done = pilot(site, "show", "--from-backup", str(backup_on(2)), "--json")
    assert json.loads(done.stdout) == {"backup": str(backup_on(2)), "plan": OLD, "written": None}
    assert "shown whole" in told(pilot(site, "show", "failure", "--from-backup", "latest"), 2)


def test_plans_are_compared_by_meaning(site: Path) -> None:
    """Against a file, a backup and a run; status 1 when anything differs, 0 when nothing does."""
    (site / "old.yaml").write_text(f"# older\n{OLD}")
    with closing(Journal.open(site / ".processpilot" / "journal.sqlite", SystemClock())) as journal:
        journal.append("run/r1", "run-begun", {"details": {"plan": OLD}})
    for words in (("old.yaml",), ("--backup", "latest"), ("--run", "r1")):
        done = pilot(site, "diff", *words)
        assert (done.returncode, done.stdout) == (1, f"{SAID}\n"), done.stderr
    document = json.loads(pilot(site, "diff", "old.yaml", "--json").stdout)
    (change,) = document["changes"]
    assert (change["text"], change["before"], change["after"]) == (SAID, "5 min", "10 min")
    (site / "same.yaml").write_text(f"# a comment\n{NEW}")
    same = pilot(site, "diff", "same.yaml")
    assert (same.returncode, same.stdout) == (0, "no difference: other text, the same meaning\n")
    assert "no run r2" in told(pilot(site, "diff", "--run", "r2"), 4)
    assert "what to compare with" in told(pilot(site, "diff"), 2)
    assert "what to compare with" in told(pilot(site, "diff", "old.yaml", "--run", "r1"), 2)


def test_the_book_is_written_and_not_overwritten_unasked(tmp_path: Path) -> None:
    """One file; a second time only with --yes."""
    (tmp_path / "processpilot.yaml").write_text(rich_text())
    first = pilot(tmp_path, "book")
    assert first.returncode == 0, first.stderr
    book = tmp_path / "processpilot-book.html"
    assert book.read_text().startswith("<!doctype html>")
    assert "exists" in told(pilot(tmp_path, "book"), 3)
    book.write_text("mine")
    document = json.loads(pilot(tmp_path, "book", "--yes", "--json").stdout)
    assert Path(document["book"]) == book
    assert document["plan_hash"] in book.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == [book.name, "processpilot.yaml"]
