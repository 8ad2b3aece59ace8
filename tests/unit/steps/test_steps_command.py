"""Programs as steps: how they end, what is kept, and what is left when the controller dies."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from plain_server import end, is_alive
from steps_ground import RUN, GivenUp, context_of, ground_at

from processpilot.errors import NotFoundError
from processpilot.runbook.action import (
    CannotTell,
    GivenUpError,
    Happened,
    NotHappened,
    StepFailedError,
)
from processpilot.steps.command import RunCommand
from processpilot.steps.output import KEPT_BYTES

GRACE_S = 0.5


def command(*argv: str, **more: object) -> dict[str, Any]:
    """Return a command's settings as the journal keeps them."""
    return {"action": "command", "argv": list(argv), **more}


def python(script: str, **more: object) -> dict[str, Any]:
    """Return the settings of a Python program."""
    return command(sys.executable, "-c", script, **more)


def run(folder: Path, settings: dict[str, Any], **context: Any) -> dict[str, Any]:
    """Return what running a program in `folder` gives."""
    return dict(RunCommand(ground_at(folder), GRACE_S).execute(context_of(settings, **context)))


def fails(folder: Path, settings: dict[str, Any], **context: Any) -> StepFailedError:
    """Return how the step failed."""
    with pytest.raises(StepFailedError) as caught:
        run(folder, settings, **context)
    return caught.value


def output_of(folder: Path, name: str = "work.1.log") -> Path:
    """Return where the words of the first attempt are kept."""
    return folder / "runs" / RUN / name


def wait_for(condition: Callable[[], object]) -> None:
    """Return once it holds; a machine that never gets there fails the test."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "what was waited for never came"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    """Wait until a process has ended; one that stays is killed, and False returned."""
    deadline = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    stayed = is_alive(pid)
    end(pid)
    return not stayed


class TestEnding:
    def test_a_program_that_ends_as_expected_passes(self, tmp_path: Path) -> None:
        """Both streams are kept in order, with their digest and size."""
        result = run(tmp_path, command("sh", "-c", "echo one; echo two >&2"))
        kept = output_of(tmp_path)
        assert kept.read_bytes() == b"one\ntwo\n"
        assert result["exit_status"] == 0
        assert result["tail"] == "one\ntwo"
        assert result["bytes"] == 8
        assert result["sha256"] == hashlib.sha256(b"one\ntwo\n").hexdigest()
        assert result["output"] == str(kept)
        assert result["duration_s"] >= 0
        assert json.loads(json.dumps(result)) == result

    def test_another_status_fails_with_the_same_result(self, tmp_path: Path) -> None:
        """The last words are in the message."""
        error = fails(tmp_path, command("sh", "-c", "echo why; exit 7"))
        assert error.message == "sh ended with 7, expected 0: why"
        assert error.result["exit_status"] == 7
        assert error.result["tail"] == "why"

    def test_the_plan_says_which_statuses_are_expected(self, tmp_path: Path) -> None:
        """grep's 1 may be good news."""
        settings = command("sh", "-c", "exit 1", exit_codes=[1, 2])
        assert run(tmp_path, settings)["exit_status"] == 1
        error = fails(tmp_path, command("true", exit_codes=[1, 2]), attempt=2)
        assert error.message == "true ended with 0, expected 1 or 2"

    def test_the_end_by_a_signal_is_told_as_its_number(self, tmp_path: Path) -> None:
        """As Python tells it: less than zero."""
        assert fails(tmp_path, command("sh", "-c", "kill -9 $$")).result["exit_status"] == -9

    @pytest.mark.parametrize("name", ["no-such-program", "/", "./plain"])
    def test_a_program_that_cannot_be_started_fails(self, tmp_path: Path, name: str) -> None:
        """Missing programs, folders and files that may not be run, each by name."""
        (tmp_path / "plain").write_text("words")
        assert fails(tmp_path, command(name)).message.startswith(f"{name} cannot be started: ")

    def test_a_folder_that_is_missing_fails(self, tmp_path: Path) -> None:
        """The program is not started somewhere else instead."""
        assert "cannot be started" in fails(tmp_path, command("pwd", folder="gone")).message


class TestSurroundings:
    def test_a_program_starts_in_the_plan_s_folder(self, tmp_path: Path) -> None:
        """Or in its own, which starts from there."""
        (tmp_path / "backend").mkdir()
        assert run(tmp_path, command("pwd"))["tail"] == str(tmp_path)
        settings = command("pwd", folder="backend")
        assert run(tmp_path, settings, attempt=2)["tail"] == str(tmp_path / "backend")

    def test_a_program_has_nothing_to_read(self, tmp_path: Path) -> None:
        """It cannot wait for a terminal."""
        assert run(tmp_path, command("cat"))["tail"] == ""

    def test_a_program_sees_only_what_it_needs(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Our own settings and passwords are not in its environment; its own are."""
        monkeypatch.setenv("PROCESSPILOT_KEY", "ours")
        monkeypatch.setenv("PGPASSWORD", "ours")
        monkeypatch.setenv("LC_TIME", "C")
        result = run(tmp_path, command("env", env={"MODE": "safe"}))
        names = {line.partition("=")[0] for line in result["tail"].splitlines()}
        assert {"PATH", "LC_TIME", "MODE"} <= names
        assert "ours" not in output_of(tmp_path).read_text()

    def test_a_program_gets_its_secrets_and_they_are_not_kept(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The program sees the value, the log and the result do not."""
        (tmp_path / "pin").write_text("tr0ub4dor\n")
        (tmp_path / "pin").chmod(0o600)
        monkeypatch.setenv("THEIR_PIN", "c0rrecthorse")
        env = {"A": "file:pin", "B": "env:THEIR_PIN"}
        result = run(tmp_path, command("sh", "-c", 'echo "$A/$B/${#A}"', env=env))
        assert result["tail"] == "***/***/9"
        for path in (tmp_path / "runs").rglob("*.*"):
            assert "tr0ub4dor" not in path.read_text()
            assert path.stat().st_mode & 0o077 == 0

    def test_a_secret_that_is_missing_is_told_before_anything_runs(self, tmp_path: Path) -> None:
        """With what to do about it."""
        with pytest.raises(NotFoundError):
            run(tmp_path, command("touch", "ran", env={"A": "file:gone"}))
        assert not (tmp_path / "ran").exists()

    def test_a_secret_said_in_two_parts_is_taken_out(self, tmp_path: Path) -> None:
        """The reader may see the first half long before the second."""
        (tmp_path / "pin").write_text("tr0ub4dor")
        (tmp_path / "pin").chmod(0o600)
        script = (
            "import os, sys, time\n"
            "pin = os.environ['PIN']\n"
            "for part in ('<', pin[:4], pin[4:], '>'):\n"
            "    sys.stdout.write(part); sys.stdout.flush(); time.sleep(0.2)\n"
        )
        assert run(tmp_path, python(script, env={"PIN": "file:pin"}))["tail"] == "<***>"

    def test_the_database_s_password_is_taken_out(self, tmp_path: Path) -> None:
        """A program may have read it from the same file."""
        assert run(tmp_path, command("echo", "as s3cret-of-the-database"))["tail"] == "as ***"


class TestLimits:
    def test_twenty_megabytes_are_kept_to_their_beginning_and_end(self, tmp_path: Path) -> None:
        """What is left out is named; the size is that of all."""
        script = (
            "import sys\n"
            "print('the beginning')\n"
            "for _ in range(20 * 1024): sys.stdout.write('x' * 1023 + '\\n')\n"
            "print('the end')\n"
        )
        result = run(tmp_path, python(script))
        kept = output_of(tmp_path).read_bytes()
        assert result["bytes"] == (20 << 20) + 22
        assert result["cut"] is True
        assert KEPT_BYTES <= len(kept) < KEPT_BYTES + 100
        assert kept.startswith(b"the beginning\n") and kept.endswith(b"the end\n")
        left_out = result["bytes"] - KEPT_BYTES
        assert f"[processpilot: {left_out} bytes are left out here]".encode() in kept
        assert len(result["tail"]) <= 4096

    def test_a_program_that_ignores_polite_signals_is_killed(self, tmp_path: Path) -> None:
        """With its children, some of which ignore them too."""
        script = """
        trap '' TERM
        sh -c 'trap "" TERM; echo $$ > grandchild; sleep 60' &
        echo $$ > child
        while ! test -s grandchild; do sleep 0.01; done
        echo ready
        wait; wait
        """
        error = fails(tmp_path, command("sh", "-c", script, timeout="3s"))
        assert error.message == "sh did not end within 3 s and was killed: ready"
        assert error.result["timed_out"] is True
        assert error.result["exit_status"] == -signal.SIGKILL
        for name in ("child", "grandchild"):
            assert gone(int((tmp_path / name).read_text()))

    def test_a_program_may_end_politely(self, tmp_path: Path) -> None:
        """What it says on its way out is kept."""
        script = "trap 'echo goodbye; exit 3' TERM; echo ready; sleep 60 & wait"
        error = fails(tmp_path, command("sh", "-c", script, timeout="2s"))
        assert error.result["tail"] == "ready\ngoodbye"
        assert error.result["exit_status"] == 3

    def test_people_who_give_up_end_the_program(self, tmp_path: Path) -> None:
        """And its children; the step can be carried out again."""
        settings = command("sh", "-c", "sleep 60 & echo $! > child; wait")
        given_up = (tmp_path / "child").exists
        with pytest.raises(GivenUpError):
            run(tmp_path, settings, given_up=given_up)
        assert gone(int((tmp_path / "child").read_text()))


class TestWhatStays:
    def test_what_a_program_leaves_running_is_not_waited_for(self, tmp_path: Path) -> None:
        """Nor is it ended: it may be the server that the step was to start, and may go on to say
        things that nobody hears."""
        script = """
        sh -c 'echo $$ > left; while ! test -e go; do sleep 0.02; done
               echo heard by nobody; touch said; exec sleep 60' &
        echo started
        """
        result = run(tmp_path, command("sh", "-c", script))
        assert result["tail"] == "started"
        wait_for((tmp_path / "left").exists)
        (tmp_path / "go").touch()
        wait_for((tmp_path / "said").exists)
        left = int((tmp_path / "left").read_text())
        assert is_alive(left)
        end(left)

    def test_every_attempt_has_an_output_of_its_own(self, tmp_path: Path) -> None:
        """And so has the undo of a step."""
        run(tmp_path, command("echo", "first"))
        run(tmp_path, command("echo", "second"), attempt=2)
        run(tmp_path, command("echo", "undone"), pinned=command("echo", "first"))
        run(tmp_path, command("echo", "undone again"), pinned=command("echo", "first"))
        kept = {
            path.name: path.read_text().strip() for path in output_of(tmp_path).parent.glob("*.log")
        }
        assert kept == {
            "work.1.log": "first",
            "work.2.log": "second",
            "work.1.undo.log": "undone",
            "work.1.undo.2.log": "undone again",
        }


CONTROLLER = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from steps_ground import context_of, ground_at
from processpilot.steps.command import RunCommand
RunCommand(ground_at(Path({folder!r}))).execute(context_of({settings!r}))
"""


class TestAfterACrash:
    def killed(self, folder: Path, settings: dict[str, Any], ready: str) -> None:
        """Have a controller run a program, and kill it once the file `ready` is there."""
        tests = str(Path(__file__).parents[2])
        code = CONTROLLER.format(tests=tests, folder=str(folder), settings=settings)
        controller = subprocess.Popen([sys.executable, "-c", code])
        try:
            wait_for((folder / ready).exists)
        finally:
            controller.send_signal(signal.SIGKILL)
            controller.wait()

    def probe(self, folder: Path, settings: dict[str, Any], **context: Any) -> object:
        """Return what the probe of a later controller says."""
        return RunCommand(ground_at(folder)).probe(context_of(settings, **context))

    def test_a_program_goes_on_and_its_end_is_found(self, tmp_path: Path) -> None:
        """The next controller waits for it, and has the result that the first would have had."""
        script = "touch ready; while ! test -e go; do sleep 0.02; done; echo done"
        settings = command("sh", "-c", script)
        self.killed(tmp_path, settings, "ready")
        looks = GivenUp(after=3)
        with pytest.raises(GivenUpError):
            self.probe(tmp_path, settings, given_up=looks)
        (tmp_path / "go").touch()
        answer = self.probe(tmp_path, settings)
        assert isinstance(answer, Happened)
        assert answer.result["tail"] == "done"
        assert answer.result["exit_status"] == 0

    def test_a_bad_end_is_found_too(self, tmp_path: Path) -> None:
        """It is the step's failure, not a question for people."""
        settings = command("sh", "-c", "touch ready; sleep 1; echo why; exit 4")
        self.killed(tmp_path, settings, "ready")
        with pytest.raises(StepFailedError) as caught:
            self.probe(tmp_path, settings)
        assert caught.value.message == "sh ended with 4, expected 0: why"

    def test_nobody_can_tell_what_became_of_a_program_whose_keeper_died(
        self, tmp_path: Path
    ) -> None:
        """The program dies with it, in the middle of whatever it did."""
        settings = command("sh", "-c", "echo $PPID > keeper; echo $$ > program; exec sleep 60")
        self.killed(tmp_path, settings, "program")
        os.kill(int((tmp_path / "keeper").read_text()), signal.SIGKILL)
        assert gone(int((tmp_path / "program").read_text()))
        assert self.probe(tmp_path, settings) == CannotTell()

    def test_what_never_started_has_not_happened(self, tmp_path: Path) -> None:
        """There is a record before there is a program."""
        assert self.probe(tmp_path, command("true")) == NotHappened()
        run(tmp_path, command("true"))
        assert isinstance(self.probe(tmp_path, command("true")), Happened)
        assert self.probe(tmp_path, command("true"), attempt=2) == NotHappened()

    def test_a_program_that_people_ended_is_a_question_for_people(self, tmp_path: Path) -> None:
        """It may have done half of its work."""
        settings = command("sleep", "60")
        with pytest.raises(GivenUpError):
            run(tmp_path, settings, given_up=GivenUp(after=10))
        assert self.probe(tmp_path, settings) == CannotTell()
