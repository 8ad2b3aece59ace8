"""Blocks of shell as argument lists, with what comments, cd and export give them."""

from __future__ import annotations

import pytest

from processpilot.prose.shell import Command, Saying, read_script
from processpilot.prose.shell_lines import needs_shell


def _parts(text: str, *, prompted: bool = False) -> tuple[Command | Saying, ...]:
    return read_script(list(enumerate(text.split("\n"), 1)), prompted=prompted).parts


def _commands(text: str) -> list[Command]:
    return [part for part in _parts(text) if isinstance(part, Command)]


def test_comments_above_are_titles_and_cd_is_the_folder() -> None:
    """A comment names what is under it until an empty line; cd holds for all that follows."""
    first, second, third = _commands(
        "# Look\ncd backend\nnpm run x\n\n# Go\ncd scripts\n./a.sh b\nls"
    )
    assert (first.title, first.folder, first.argv) == ("Look", "backend", ("npm", "run", "x"))
    assert (second.title, second.folder, second.argv) == ("Go", "backend/scripts", ("./a.sh", "b"))
    assert third.title == "Go"
    assert (1, "title") in first.from_lines
    assert (2, "folder backend") in first.from_lines


def test_a_comment_behind_a_command_is_its_title() -> None:
    """git checkout HEAD~1  # back: the comment is no argument."""
    (command,) = _commands("git checkout HEAD~1  # back")
    assert (command.argv, command.title) == (("git", "checkout", "HEAD~1"), "back")


def test_export_is_the_environment_of_what_follows() -> None:
    """Variables hold for all commands after them; secret ones only by reference."""
    (command,) = _commands('export PROVIDER=x URL="postgresql://..."\nexport API_TOKEN=abc\nrun it')
    assert dict(command.env) == {
        "PROVIDER": "x", "URL": "postgresql://...", "API_TOKEN": "env:API_TOKEN",
    }  # fmt: skip
    assert any("API_TOKEN is a secret" in text for text in command.remarks)


def test_variables_in_front_of_a_command_are_its_environment() -> None:
    """PGPASSWORD=x psql: the password does not come along."""
    (command,) = _commands("PGPASSWORD=hunter2 psql -c 'select 1'")
    assert command.argv == ("psql", "-c", "select 1")
    assert dict(command.env) == {"PGPASSWORD": "env:PGPASSWORD"}


def test_no_password_stands_in_an_argument_list() -> None:
    """Passwords in addresses and in scripts are left out, and that is said."""
    for line in ("pg_dump postgresql://a:hunter2@db/x", "PGPASSWORD=hunter2 psql < a.sql"):
        (command,) = _commands(line)
        assert "hunter2" not in repr(command)
        assert command.remarks


@pytest.mark.parametrize(
    "line",
    ["ps aux | grep node", "a && b", "ls *.dump", "echo $HOME", 'echo "$(date)"', "cat < f",
     "a; b", "cp {a,b} c", "ls ~/x", "ls [ab]c", "run &"],
)  # fmt: skip
def test_what_needs_a_shell_is_kept_as_a_line(line: str) -> None:
    """Pipes, expansions, globs and redirections go to sh as they are."""
    (command,) = _commands(line)
    assert command.argv == ("sh", "-c", line)


@pytest.mark.parametrize(
    "line",
    ["git checkout HEAD~1", "curl 'http://x/?a=1&b=2'", "restore.sh <backup-file>", "echo '$HOME'",
     "docker ps --format '{{.Names}}'", "kubectl get pods -n x"],
)  # fmt: skip
def test_what_needs_no_shell_gets_none(line: str) -> None:
    """Quoted signs, placeholders and tildes inside words mean nothing to a shell."""
    assert not needs_shell(line)


def test_long_commands_are_one() -> None:
    """Continued lines, here-documents and open quotes belong to one command with all its lines."""
    first, second, third = _commands("a \\\n  b\ncat > f <<EOF\nx\nEOF\npsql -c 'select\n1'")
    assert (first.argv, first.lines) == (("a", "b"), (1, 2))
    assert (second.argv, second.lines) == (("sh", "-c", "cat > f <<EOF\nx\nEOF"), (3, 4, 5))
    assert (third.argv, third.lines) == (("psql", "-c", "select\n1"), (6, 7))


def test_a_script_with_branches_is_kept_whole() -> None:
    """Nothing is torn out of its case or loop; name and purpose come from the comments."""
    script = read_script(
        list(
            enumerate(
                ["#!/bin/bash", "# x.sh", "# Does it", "", "case $1 in", " a) b ;;", "esac"], 1
            )
        )
    )
    (command,) = script.parts
    assert isinstance(command, Command)
    assert command.argv == ("bash", "-c", "case $1 in\n a) b ;;\nesac")
    assert (script.name, script.about) == ("x.sh", "Does it")


def test_prompts_are_taken_off_and_output_is_no_command() -> None:
    """In a shown session only what stands behind a prompt was typed."""
    command, output = _parts("$ uptime -p\nup 3 days", prompted=True)
    assert isinstance(command, Command)
    assert command.argv == ("uptime", "-p")
    assert isinstance(output, Saying)
    assert not output.manual


@pytest.mark.parametrize("line", ["ssh db1", "sudo -i", "vim /etc/x", "tail -f log", "psql"])
def test_what_waits_for_typing_is_for_people(line: str) -> None:
    """A program that talks with a person is no command of a plan."""
    (part,) = _parts(line)
    assert isinstance(part, Saying)
    assert part.manual


def test_a_setting_is_no_command() -> None:
    """recovery_target_time = '...' in a shell block is something to set by hand."""
    (part,) = _parts("# Apply\nrecovery_target_time = '2025-01-15'")
    assert isinstance(part, Saying)
    assert part.manual
    assert part.lines == (1, 2)


def test_comments_and_settings_without_a_command_are_for_people() -> None:
    """Nothing is dropped because no command follows."""
    (part,) = _parts("# call the hoster")
    assert isinstance(part, Saying)
    assert (part.text, part.manual) == ("call the hoster", True)
    (part,) = _parts("export A=b")
    assert isinstance(part, Saying)
    assert part.lines == (1,)


def test_placeholders_are_found() -> None:
    """What somebody has to fill in is named."""
    (command,) = _commands("./restore.sh postgresql /path/to/x.dump --ip SUSPICIOUS_IP <FILE>")
    assert set(command.placeholders) == {"/path/to/x.dump", "SUSPICIOUS_IP", "<FILE>"}


def test_a_folder_that_a_shell_must_find_stays_with_the_command() -> None:
    """cd $HOME/x cannot be a folder of the plan; it is done before the command, in a shell."""
    (command,) = _commands("cd $HOME/x\n./a.sh")
    assert command.argv == ("sh", "-c", "cd $HOME/x\n./a.sh")
    assert command.folder is None
