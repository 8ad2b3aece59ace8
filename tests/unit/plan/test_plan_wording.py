"""Words for parts of the plan: durations, exact commands, and what is left out of them."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processpilot.plan.wording import (
    duration_words,
    loss_words,
    shell_words,
    visible,
    without_password,
)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.25, "0.25 s"),
        (30, "30 s"),
        (90, "90 s"),
        (300, "5 min"),
        (5400, "1 h 30 min"),
        (86400, "1 d"),
        (90060, "1 d 1 h 1 min"),
        (None, "none"),
    ],
)
def test_durations_are_said_in_their_largest_units(seconds: float | None, words: str) -> None:
    """No second is lost in saying it."""
    assert duration_words(seconds) == words


def test_losing_nothing_is_said_so() -> None:
    """An objective of zero is no duration."""
    assert (loss_words(0), loss_words(60)) == ("nothing", "at most 1 min")


@settings(max_examples=80, deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
def test_bash_takes_a_command_back_to_its_arguments(argv: list[str]) -> None:
    """Whatever the characters, the words typed are the arguments meant, and all can be seen."""
    if any("://" in word or "=" in word for word in argv):
        return
    text = shell_words(argv)
    assert all(letter.isprintable() or letter in "\n\t" for letter in text)
    done = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {text}"],
        env={"LC_ALL": "C.UTF-8"},
        capture_output=True,
        check=True,
        timeout=20,
    )
    assert done.stdout.decode().split("\0")[:-1] == (argv or [""])


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["psql", "postgresql://me:pw@host/db"], "psql 'postgresql://me:***@host/db'"),
        (["curl", "http://me@host/"], "curl http://me@host/"),
        (["mysql", "--password", "pw", "x"], "mysql --password *** x"),
        (["mysql", "--password=pw"], "mysql '--password=***'"),
        (["env", "PGPASSWORD=pw", "psql"], "env 'PGPASSWORD=***' psql"),
        (["env", "TOKEN=file:secrets/token"], "env TOKEN=file:secrets/token"),
        (["restore", "--key", "KEYFILE"], "restore --key KEYFILE"),
        (["git", "log", "--token-file", "x"], "git log --token-file x"),
    ],
)
def test_passwords_are_left_out_of_commands(argv: list[str], text: str) -> None:
    """Where they usually stand: in addresses, options and assignments."""
    assert shell_words(argv) == text


def test_references_and_other_text_stay() -> None:
    """Only what follows a telling name goes."""
    assert without_password("secret=file:x token=$T user=ada") == "secret=file:x token=$T user=ada"


def test_what_cannot_be_seen_is_spelled() -> None:
    """Control characters and changes of direction are shown, line breaks stay."""
    assert visible("a\x1b[2J\u202eb\nc🚨") == "a\\x1b[2J\\u202eb\nc🚨"
    assert visible("5\u00a0min, 👩\u200d💻") == "5 min, 👩\u200d💻"
    assert shell_words(["a\u00a0b", "x\ty"]) == r"$'a\u00a0b' $'x\ty'"
