"""Asking programs and ports: how they end, and that nothing is left of what was stopped."""

from __future__ import annotations

import socket
import sys
import time
from pathlib import Path

import pytest
from plain_server import closed_port, end, endpoint, is_alive

from processpilot.checks.ask import ask_command, ask_tcp

LIMIT_S = 10.0
SHORT_S = 0.3


def test_a_program_that_ends_with_0_passes(tmp_path: Path) -> None:
    """Whatever it prints."""
    assert ask_command(["sh", "-c", "echo words; echo more >&2"], LIMIT_S, tmp_path) is None


def test_another_status_is_told_with_the_last_words(tmp_path: Path) -> None:
    """Both streams are heard, and become one line."""
    said = ask_command(["sh", "-c", "echo one; echo two >&2; exit 7"], LIMIT_S, tmp_path)
    assert said == "sh ended with 7: one two"


def test_a_program_ended_by_a_signal_fails(tmp_path: Path) -> None:
    """The signal's number is told as Python tells it."""
    said = ask_command(["sh", "-c", "kill -9 $$"], LIMIT_S, tmp_path)
    assert said is not None and said.startswith("sh ended with -9")


def test_long_output_is_cut_to_its_end(tmp_path: Path) -> None:
    """Ten megabytes of output leave a short line that comes from their end."""
    script = "print('x ' * 5_000_000 + 'the end'); raise SystemExit(1)"
    said = ask_command([sys.executable, "-c", script], LIMIT_S, tmp_path)
    assert said is not None and len(said) < 400


def test_bytes_that_are_no_text_are_told_all_the_same(tmp_path: Path) -> None:
    """Output in another encoding does not raise."""
    said = ask_command(["sh", "-c", r"printf '\377\376'; exit 1"], LIMIT_S, tmp_path)
    assert said is not None and said.startswith("sh ended with 1: ")


@pytest.mark.parametrize("name", ["no-such-program", "/", "./plain"])
def test_a_program_that_cannot_be_started_fails(tmp_path: Path, name: str) -> None:
    """Missing programs, folders and files without the right to run are told by name."""
    (tmp_path / "plain").write_text("words")
    said = ask_command([name], LIMIT_S, tmp_path)
    assert said is not None and said.startswith(f"{name}: ")


def test_a_program_runs_in_the_plan_s_folder_with_nothing_to_read(tmp_path: Path) -> None:
    """Relative paths start where those of the plan do, and no program waits for a terminal."""
    (tmp_path / "here").write_text("")
    assert ask_command(["sh", "-c", "test -f here && ! read line"], LIMIT_S, tmp_path) is None


def test_after_the_time_limit_the_whole_group_is_dead(tmp_path: Path) -> None:
    """Children, and children's children that ignore polite signals, do not outlive the question."""
    script = """
    trap '' TERM HUP
    sh -c 'trap "" TERM HUP; echo $$ > grandchild; sleep 60' &
    echo $$ > child
    while ! test -s grandchild; do sleep 0.01; done
    touch ready
    wait
    """
    said = ask_command(["sh", "-c", script], 3.0, tmp_path)
    assert said == "sh did not end within 3 s"
    assert (tmp_path / "ready").exists(), "the machine was too slow for this test to say anything"
    for name in ("child", "grandchild"):
        pid = int((tmp_path / name).read_text())
        deadline = time.monotonic() + 30
        while is_alive(pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        alive = is_alive(pid)
        end(pid)
        assert not alive


def test_a_child_that_left_the_group_does_not_hold_the_question_open(tmp_path: Path) -> None:
    """Who keeps the output open in a session of its own is not waited for."""
    script = "setsid sh -c 'echo $$ > leaver; exec sleep 60' & sleep 60"
    said = ask_command(["sh", "-c", script], 2.0, tmp_path)
    leaver = int((tmp_path / "leaver").read_text())
    alive = is_alive(leaver)
    end(leaver)
    assert said == "sh did not end within 2 s"
    assert alive


def test_a_program_that_leaves_another_behind_has_ended(tmp_path: Path) -> None:
    """Healthy is a program that ended with 0, even if what it started keeps the output open."""
    script = "sleep 60 & echo $! > left; exit 0"
    said = ask_command(["sh", "-c", script], LIMIT_S, tmp_path)
    left = int((tmp_path / "left").read_text())
    alive = is_alive(left)
    end(left)
    assert said is None
    assert alive


def test_a_port_that_accepts_passes() -> None:
    """Nothing needs to be said on the connection."""
    with endpoint(lambda connection: None) as port:
        assert ask_tcp("127.0.0.1", port, LIMIT_S) is None
        assert ask_tcp("localhost", port, LIMIT_S) is None


def test_a_port_that_refuses_fails_with_its_address() -> None:
    """The address and the system's words are told."""
    port = closed_port()
    assert ask_tcp("127.0.0.1", port, LIMIT_S) == f"127.0.0.1:{port}: Connection refused"


def test_an_unknown_host_fails_with_its_name() -> None:
    """What cannot be resolved is a finding."""
    said = ask_tcp("no-such-host.invalid", 5432, LIMIT_S)
    assert said is not None and said.startswith("no-such-host.invalid:5432: ")


def test_a_full_queue_of_connections_fails_after_the_time_limit() -> None:
    """A port whose owner accepts nobody is not reachable, although it listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        said = ask_tcp("127.0.0.1", port, SHORT_S)
        for one in waiting:
            one.close()
    assert said == f"no connection to 127.0.0.1:{port} within 0.3 s"


@pytest.mark.parametrize("host", ["a..b", "x" * 64])
def test_a_host_that_is_no_name_fails(host: str) -> None:
    """The plan accepts any text, so the probe must say what is wrong and not end its thread."""
    assert ask_tcp(host, 5432, LIMIT_S)
