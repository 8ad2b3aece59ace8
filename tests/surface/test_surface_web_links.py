"""`processpilot web`: addresses for programs and links for people, from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from plan_text import PLAN

WEB = """\
web: {listen: "127.0.0.1:0", url: "https://dr.example.org/", secret: "file:web.secret"}
heartbeats:
  - {id: nightly, every: 24h}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a plan with a server and its secret."""
    (tmp_path / "processpilot.yaml").write_text(PLAN + WEB)
    secret = tmp_path / "web.secret"
    secret.touch(0o600)
    secret.write_text("a secret of more than 24 characters\n")
    return tmp_path


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a person would."""
    argv = [sys.executable, "-m", "processpilot", "web", *words]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_each_place_has_an_address_with_its_own_token(folder: Path) -> None:
    """Alerts, replies and every heartbeat; the secret itself is in none of them."""
    done = run(folder, "addresses", "--json")
    found = json.loads(done.stdout)["addresses"]
    assert {"alerts", "reply", "heartbeat/nightly"} == found.keys()
    assert len(set(found.values())) == 3
    assert all(address.startswith("https://dr.example.org/") for address in found.values())
    assert "secret of more" not in done.stdout


def test_a_link_to_look_is_made_for_somebody(folder: Path) -> None:
    """It leads to the server's address, and is another one for somebody else."""
    first = run(folder, "link", "--as", "ada").stdout.strip()
    assert first.startswith("https://dr.example.org/login/")
    assert run(folder, "link", "--as", "ben").stdout.strip() != first


def test_a_plan_without_web_says_what_to_add(folder: Path) -> None:
    """Nothing is made up."""
    (folder / "processpilot.yaml").write_text(PLAN)
    done = run(folder, "link")
    assert done.returncode == 4
    assert "the plan has no web" in done.stderr and "docs/inbound.md" in done.stderr
