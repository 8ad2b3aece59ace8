"""The runbook's lines: each is on the page, and every example of the page does what it shows."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from familiar_page import PAGE, code_in, examples, first_difference, rows, run_example, stable
from familiar_site import FamiliarSite, familiar_site

from processpilot.demo.nginx import find_nginx
from processpilot.plan.builtin import Basics, starter_plan

SEED = Path(__file__).parents[3] / "shared" / "seed" / "DISASTER_RECOVERY.md"
PARTS = {
    "nginx": find_nginx() is not None,
    "git": shutil.which("git") is not None,
    "npm": shutil.which("npm") is not None,
}
MISSING = [name for name, is_there in PARTS.items() if not is_there]
_SHAPE = re.compile(r"case .* in|esac|;;|\"\w+\"\)")


def command_lines(text: str) -> list[str]:
    """Return every command of a document's shell blocks; comments and `case` are none."""
    found = []
    for block in re.findall(r"^ *```bash\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
        lines = [line.strip() for line in block.splitlines()]
        found += [x for x in lines if x and not x.startswith("#") and not _SHAPE.fullmatch(x)]
    return found


@pytest.mark.skipif(not SEED.exists(), reason="the runbook it began with is not here")
def test_every_command_line_of_the_runbook_is_on_the_page() -> None:
    """No line is passed over, whether it has a counterpart or not."""
    lines = command_lines(SEED.read_text())
    assert len(lines) > 60
    shown = [code_in(row[0]) for row in rows(PAGE.read_text())]
    for line in set(lines):
        # What the runbook has in several places is in as many rows.
        assert shown.count(line) >= 1, line
    assert {line for line in shown if line is not None} <= set(lines)


def test_every_counterpart_on_the_page_is_an_example() -> None:
    """A command that the page names in place of the runbook's is shown with its output."""
    text = PAGE.read_text()
    shown = [example.line.replace("run --silent", "run") for example in examples(text)]
    named = {code_in(row[1]) for row in rows(text) if len(row) == 3} - {None, "cd backend"}
    assert len(named) > 12
    for line in named:
        # An example may look at a part of what a command says.
        assert line in {text.partition(" | ")[0] for text in shown}, line


@pytest.fixture(scope="module")
def site() -> Iterator[FamiliarSite]:
    """Give the application on real parts, with the names installed."""
    with familiar_site() as made:
        yield made


@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
@pytest.mark.nightly
def test_every_example_of_the_page_does_what_it_shows(site: FamiliarSite) -> None:
    """Its status, and its output but for figures, moments and ids."""
    wrong = []
    for example in examples(PAGE.read_text()):
        status, output = run_example(example, site)
        difference = first_difference(example.output, output)
        if status != example.status or difference is not None:
            shown = "\n".join(output)
            wrong.append(f"$ {example.line}\n(status {status}) not found: {difference}\n{shown}")
    assert not wrong, "\n\n".join(wrong)


def test_outputs_are_compared_but_for_what_varies() -> None:
    """Words count, figures do not; what is left out stands for any lines, nothing else does."""
    assert stable("3 of 5 backups, 2.0 s") == stable("4 of 5 backups, 1 min 3 s")
    assert first_difference(["a 1", "…", "c"], ["a 2", "b", "b", "c"]) is None
    assert first_difference(["a", "c"], ["a", "b", "c"]) == "c"
    assert first_difference(["a"], ["a", "b"]) == "b"
    assert first_difference(["a", "…"], ["a", "b"]) is None
    assert first_difference(["…", "b", "c"], ["a", "b", "x", "b", "c"]) is None
    assert first_difference(["…", "b", "c"], ["b", "c", "x"]) is not None
    assert first_difference(["…", "b", "…"], ["a", "c"]) == "b"
    assert first_difference(["a", "b"], ["a"]) == "b"
    assert first_difference(["a", "…", "a"], ["a"]) == "a"
    assert first_difference(["ok x: well"], ["FAIL x: well"]) == "ok x: well"


def pilot(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line; nobody is at its standard input."""
    return subprocess.run(
        [sys.executable, "-m", "processpilot", *words],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_without_a_plan_a_name_says_where_it_looked(tmp_path: Path) -> None:
    """Nothing is installed for a plan that is not there, either."""
    for words in (("as", "db:health-check"), ("names", "install", "here")):
        done = pilot(*words, cwd=tmp_path)
        assert done.returncode == 4, done.stderr
        assert "there is no plan at processpilot.yaml" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_names_are_listed_installed_and_removed(tmp_path: Path) -> None:
    """As lines for people and as one JSON document for programs."""
    (tmp_path / "processpilot.yaml").write_text(
        starter_plan(Basics("x", "postgresql://u@h/x", "/nowhere"))
    )
    listed = json.loads(pilot("names", "list", "--json", cwd=tmp_path).stdout)["names"]
    assert {"name", "arguments", "does"} == set(listed[0])
    assert "restore.sh" in pilot("names", "list", cwd=tmp_path).stdout
    written = json.loads(pilot("names", "install", "b", "--json", cwd=tmp_path).stdout)["written"]
    assert sorted(written) == sorted(f"b/{path.name}" for path in (tmp_path / "b").iterdir())
    removed = json.loads(pilot("names", "remove", "b", "--json", cwd=tmp_path).stdout)
    assert sorted(removed["removed"]) == sorted(written)
    assert list((tmp_path / "b").iterdir()) == []
    again = pilot("names", "remove", "b", cwd=tmp_path)
    assert again.returncode == 4
    assert "hint: " in again.stderr


def test_errors_of_a_name_are_json_where_asked(tmp_path: Path) -> None:
    """Options of the program itself stand anywhere in the line."""
    (tmp_path / "processpilot.yaml").write_text(
        starter_plan(Basics("x", "postgresql://u@h/x", "/nowhere"))
    )
    done = pilot("as", "restore.sh", "--json", "postgresql", "latst", cwd=tmp_path)
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == "usage"
