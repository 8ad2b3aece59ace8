"""Which programs a command line runs."""

from __future__ import annotations

import pytest

from processpilot.feasibility.shell import commands_in, commands_of, is_builtin


def words(script: str) -> list[str]:
    """Return the first two words of each simple command."""
    return [" ".join(command.words[:2]) for command in commands_in(script)]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("a one && b two || c; d | e & f", ["a one", "b two", "c", "d", "e", "f"]),
        ("# only a comment\na # and another", ["a"]),
        ("if test -f x; then a; else b; fi", ["test -f", "a", "b"]),
        ("for x in one two; do a $x; done", ["a $x"]),
        ("A=1 B=2 a", ["a"]),
        ('case $1 in\n"x")\n a\n;;\ny|z) b;;\nesac', ["a", "b"]),
        ("(a; b);c $(d)|e", ["a", "b", "c", "d", "e"]),
        ("a > out.txt 2>&1", ["a"]),
        ("a > out.txt < in.txt", ["a <"]),
        ("./restore.sh auto $(ls -t x | head -1)", ["./restore.sh auto", "ls -t", "head -1"]),
        ("echo \"a; b\" 'c | d'", ["echo a; b"]),
        ("sudo -u postgres psql -c x", ["sudo -u", "psql -c"]),
        ("timeout -k 5 30s a", ["timeout -k", "a"]),
        ("env X=1 nohup a", ["env X=1", "nohup a", "a"]),
        ("a \\\n  b", ["a b"]),
        ("recovery_target_time = '2025'", ["recovery_target_time ="]),
    ],
)
def test_a_script_is_taken_apart(script: str, expected: list[str]) -> None:
    """Separators, wrappers and substitutions each lead to a program."""
    assert words(script) == expected


def test_an_open_quote_names_no_program() -> None:
    """What cannot be read for certain is left out."""
    assert words("a 'open") == []


def test_a_folder_is_carried_along() -> None:
    """What comes after a cd runs there."""
    commands = commands_in("cd backend\na\ncd scripts && b\ncd $HOME\nc")
    assert [(c.program, c.folder) for c in commands if c.program in "abc"] == [
        ("a", "backend"),
        ("b", "backend/scripts"),
        ("c", "backend/scripts"),
    ]


def test_only_a_shell_s_script_is_taken_apart() -> None:
    """Separators in other programs' arguments are theirs."""
    assert [c.words for c in commands_of(["echo", "a;", "b"])] == [("echo", "a;", "b")]
    assert [c.program for c in commands_of(["/bin/sh", "-ec", "a; b"])] == ["/bin/sh", "a", "b"]
    assert [c.program for c in commands_of(["bash", "script.sh"])] == ["bash"]


def test_words_of_the_shell_are_no_programs() -> None:
    """They are never called missing, and neither is what is only known when it runs."""
    assert all(is_builtin(word) for word in ("cd", "[", ":", "export", "$TOOL"))
    assert not is_builtin("npm")
