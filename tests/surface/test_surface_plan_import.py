"""`plan import` and `plan accept` from the outside: what people and programs see."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RUNBOOKS = Path(__file__).resolve().parents[1] / "runbooks"
DOCUMENT = RUNBOOKS / "wiki.md"


def pilot(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line; standard input is not a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "processpilot", *words],
        cwd=cwd,
        input="",
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )


def told(done: subprocess.CompletedProcess[str], status: int) -> str:
    """Return the message of a command that failed with that status, and a hint."""
    assert done.returncode == status, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert "hint: " in done.stderr
    return done.stderr.splitlines()[0]


def test_an_import_says_what_it_made_of_the_document(tmp_path: Path) -> None:
    """Counts first, then each line under its class; nothing is wider than 80 columns."""
    done = pilot("plan", "import", str(DOCUMENT), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "processpilot.yaml").exists()
    for words in (
        "done by a built-in action:", "kept as a manual step:", "understood:",
        "could not be used:", "to fill in:", "added, not in the document:",
        "     2  scenarios", "restores beside, replays, proves", "wrote processpilot.yaml",
    ):  # fmt: skip
        assert words in done.stdout, words
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    assert not done.stderr


def test_an_import_in_json_has_everything(tmp_path: Path) -> None:
    """Each line with its class, text, outcome and places; remarks; what was found."""
    done = pilot("plan", "import", str(DOCUMENT), "--json", "-o", "a.yaml", cwd=tmp_path)
    document = json.loads(done.stdout)
    lines = DOCUMENT.read_text().splitlines()
    filled = [n for n, text in enumerate(lines, 1) if text.strip()]
    assert [line["line"] for line in document["lines"]] == filled
    assert set(document["lines"][0]) == {"line", "fate", "text", "became", "places"}
    assert sum(document["classes"].values()) == len(filled)
    assert document["found"]["scenarios"] == 2
    assert {"tone", "place", "text"} == set(document["remarks"][0])
    assert document["output"] == "a.yaml"


def test_a_base_is_taken_over(tmp_path: Path) -> None:
    """The plan of one import is the base of the next; what was accepted stays so."""
    pilot("plan", "import", str(DOCUMENT), cwd=tmp_path)
    pilot("plan", "accept", "--all", "--yes", "--as", "me", cwd=tmp_path)
    words = ("--base", "processpilot.yaml", "--output", "next.yaml")
    assert pilot("plan", "import", str(DOCUMENT), *words, cwd=tmp_path).returncode == 0
    done = pilot("plan", "accept", "--plan", "next.yaml", "--json", cwd=tmp_path)
    assert json.loads(done.stdout) == {"accepted": [], "waiting": []}


@pytest.mark.parametrize(
    ("name", "data", "status", "words"),
    [
        ("missing.md", None, 4, "there is no document at"),
        ("empty.md", b"  \n", 2, "is empty"),
        ("binary.md", b"\x7fELF\0", 2, "is no text"),
        ("huge.md", b"a" * 3_000_000, 2, "more than"),
    ],
)
def test_what_is_no_document_is_told(
    tmp_path: Path, name: str, data: bytes | None, status: int, words: str
) -> None:
    """One message, a hint, the right status, and no plan."""
    if data is not None:
        (tmp_path / name).write_bytes(data)
    assert words in told(pilot("plan", "import", name, cwd=tmp_path), status)
    assert not (tmp_path / "processpilot.yaml").exists()


def test_no_plan_is_overwritten(tmp_path: Path) -> None:
    """The second import is refused; the hint names a free file; the base is no exception."""
    pilot("plan", "import", str(DOCUMENT), cwd=tmp_path)
    before = (tmp_path / "processpilot.yaml").read_bytes()
    done = pilot("plan", "import", str(DOCUMENT), "--base", "processpilot.yaml", cwd=tmp_path)
    assert "exists and is not overwritten" in told(done, 3)
    assert "processpilot-imported.yaml" in done.stderr
    assert (tmp_path / "processpilot.yaml").read_bytes() == before


def test_an_import_runs_nothing(tmp_path: Path) -> None:
    """A command that would leave a file behind leaves none."""
    document = tmp_path / "x.md"
    document.write_text("# X\n\n## API failure\n\n```sh\ntouch was-run\n$(touch was-run)\n```\n")
    assert pilot("plan", "import", "x.md", cwd=tmp_path).returncode == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["processpilot.yaml", "x.md"]


def test_commands_are_listed_and_accepted(tmp_path: Path) -> None:
    """Each with where it stands, what is run, where it came from; then with a person's name."""
    pilot("plan", "import", str(DOCUMENT), cwd=tmp_path)
    listed = pilot("plan", "accept", cwd=tmp_path)
    assert "api-does-not-answer.npm-ci" in listed.stdout
    assert "from wiki.md:48" in listed.stdout
    assert "9 commands wait" in listed.stdout
    done = pilot("plan", "accept", "npm-ci", "--yes", "--as", "night shift", cwd=tmp_path)
    assert "accepted 1 commands; 8 wait" in done.stdout
    text = (tmp_path / "processpilot.yaml").read_text()
    assert "    by: night shift\n" in text
    assert text.startswith("# Written by `processpilot plan import`")


def test_nothing_is_accepted_without_a_person(tmp_path: Path) -> None:
    """Where nobody can answer, --yes is needed; the file stays as it was."""
    pilot("plan", "import", str(DOCUMENT), cwd=tmp_path)
    before = (tmp_path / "processpilot.yaml").read_bytes()
    done = pilot("plan", "accept", "--all", cwd=tmp_path)
    assert "nobody is there to answer" in told(done, 3)
    assert (tmp_path / "processpilot.yaml").read_bytes() == before


def test_a_command_nobody_has_is_told(tmp_path: Path) -> None:
    """The name is repeated, with what lists the others."""
    shutil.copy(DOCUMENT, tmp_path / "wiki.md")
    pilot("plan", "import", "wiki.md", cwd=tmp_path)
    done = pilot("plan", "accept", "nine", "--yes", cwd=tmp_path)
    assert 'no command "nine" waits' in told(done, 4)
