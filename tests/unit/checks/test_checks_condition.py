"""Conditions asked of real things: what holds, and what is said where it does not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from plain_server import PlainServer, closed_port, server
from plan_text import PLAN, load

from processpilot.checks.condition import Asker, shown
from processpilot.checks.probe import Prober
from processpilot.clock import SystemClock
from processpilot.plan.condition import Condition, condition_from_json
from processpilot.plan.load import parse_plan
from processpilot.postgres.connection import ServerAddress

__all__ = ["server"]

NOBODY = ServerAddress.parse("host=/nowhere user=a", "hunter2")


def condition(**fields: object) -> Condition:
    """Return a condition in the form that the journal keeps."""
    return condition_from_json(fields)


def ask(folder: Path, address: ServerAddress = NOBODY, **fields: object) -> str | None:
    """Return what asking says, for the small plan in `folder`."""
    loaded = parse_plan(PLAN, folder / "processpilot.yaml")
    return Asker(Prober(address, folder, SystemClock()), loaded).ask(condition(**fields))


def test_a_probe_that_passes_holds(server: PlainServer, tmp_path: Path) -> None:
    """The plan's probe is run once, now."""
    assert ask(tmp_path, server.address, kind="probe", probe="database.connect") is None


def test_a_probe_that_is_to_fail_does_not_hold_while_it_passes(
    server: PlainServer, tmp_path: Path
) -> None:
    """And the other way round."""
    failing = {"kind": "probe", "probe": "database.connect", "passes": False}
    assert ask(tmp_path, server.address, **failing) == "database.connect passed"
    assert ask(tmp_path, **failing) is None


def test_a_probe_that_fails_is_told_with_its_reason(tmp_path: Path) -> None:
    """Without the password."""
    said = ask(tmp_path, kind="probe", probe="database.connect")
    assert said is not None and said.startswith("database.connect failed: ")
    assert "hunter2" not in said


def test_a_probe_that_cannot_be_asked_holds_neither_way(tmp_path: Path) -> None:
    """Unknown is not failed: what waits for a failure is not to be fooled by a missing secret."""
    text = PLAN.replace(
        'url: "http://127.0.0.1/health"',
        'url: "http://127.0.0.1/health", method: POST, json: {pin: "file:gone"}',
    )
    loaded = load(text)
    asker = Asker(Prober(NOBODY, tmp_path, SystemClock()), loaded)
    for passes in (True, False):
        said = asker.ask(condition(kind="probe", probe="api.health", passes=passes))
        assert said is not None and said.startswith("api.health unknown: ")


def test_a_query_is_asked_read_only(server: PlainServer, tmp_path: Path) -> None:
    """A condition changes nothing, whatever it says."""
    assert ask(tmp_path, server.address, kind="sql", query="select 1", expect="1") is None
    said = ask(tmp_path, server.address, kind="sql", query="create table t ()")
    assert said is not None and "read-only" in said


def test_an_address_that_does_not_answer_does_not_hold(tmp_path: Path) -> None:
    """With the system's words."""
    said = ask(tmp_path, kind="http", url=f"http://127.0.0.1:{closed_port()}/")
    assert said is not None and "refused" in said


def test_a_secret_that_is_missing_is_why_a_condition_does_not_hold(tmp_path: Path) -> None:
    """It is told and never raised."""
    url = f"http://127.0.0.1:{closed_port()}/"
    said = ask(tmp_path, kind="http", url=url, method="POST", json={"pin": "file:gone"})
    assert said is not None and said.startswith("cannot read the secret")


def test_a_program_is_told_by_how_it_ended(tmp_path: Path) -> None:
    """What it printed may hold anything, so it is not repeated."""
    script = "import sys; sys.exit('the pin is 1234')"
    said = ask(tmp_path, kind="command", argv=[sys.executable, "-c", script])
    assert said == f"{sys.executable} ended with 1"
    assert ask(tmp_path, kind="command", argv=["true"]) is None
    assert ask(tmp_path, kind="command", argv=["sleep", "9"], timeout="0.1s") is not None
    said = ask(tmp_path, kind="command", argv=["no-such-program"])
    assert said == "no-such-program: No such file or directory"


def test_a_path_is_looked_for_from_the_plan_s_folder(tmp_path: Path) -> None:
    """A link that leads nowhere is there all the same."""
    path = tmp_path / "flag"
    assert ask(tmp_path, kind="file", path="flag") == f"{path} does not exist"
    assert ask(tmp_path, kind="file", path="flag", exists=False) is None
    path.symlink_to("nowhere")
    assert ask(tmp_path, kind="file", path="flag") is None
    assert ask(tmp_path, kind="file", path="flag", exists=False) == f"{path} exists"


def test_a_path_that_cannot_be_looked_for_holds_neither_way(tmp_path: Path) -> None:
    """A file in the way of the folder is not the absence that was asked for."""
    (tmp_path / "file").write_text("")
    for exists in (True, False):
        said = ask(tmp_path, kind="file", path="file/flag", exists=exists)
        assert said is not None and "Not a directory" in said


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": "probe", "probe": "api.health"}, "api.health passes"),
        ({"kind": "probe", "probe": "api.health", "passes": False}, "api.health fails"),
        ({"kind": "http", "url": "http://h/x"}, "GET http://h/x answers 200"),
        ({"kind": "sql", "query": "select\n1", "expect": "1"}, 'select 1 answers "1"'),
        ({"kind": "command", "argv": ["test", "-e", "x"]}, "test ends with 0"),
        ({"kind": "file", "path": "x", "exists": False}, "x does not exist"),
    ],
)
def test_a_condition_is_shown_as_a_sentence(fields: dict[str, object], words: str) -> None:
    """As it stands in results and messages."""
    assert shown(condition(**fields)) == words
