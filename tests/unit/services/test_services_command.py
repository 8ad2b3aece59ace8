"""CommandDriver with real commands and a real daemon."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from processpilot.errors import UnavailableError, UsageError
from processpilot.services.command import CommandDriver
from processpilot.services.driver import ServiceDriver, ServiceState

START = """
import os, pathlib, subprocess, sys
print("starting the daemon")
daemon = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path(sys.argv[1]).write_text(str(daemon.pid))
pathlib.Path(sys.argv[1] + ".starts").open("a").write("x")
"""
STOP = """
import os, pathlib, signal, sys
file = pathlib.Path(sys.argv[1])
os.kill(int(file.read_text()), signal.SIGTERM)
file.unlink()
"""
STATUS = """
import pathlib, sys
sys.exit(0 if pathlib.Path(sys.argv[1]).exists() else 3)
"""


def python(code: str, *arguments: str) -> list[str]:
    """Return the argument list of a Python command."""
    return [sys.executable, "-c", code, *arguments]


@pytest.fixture
def pid_file(tmp_path: Path) -> Iterator[Path]:
    """Where the daemon's id is kept; a daemon left behind by a failing test is ended."""
    file = tmp_path / "daemon.pid"
    yield file
    if file.exists():
        os.kill(int(file.read_text()), signal.SIGKILL)


def exists(pid: int) -> bool:
    """Return whether a process with this id runs; one waiting to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pid: int) -> bool:
    """Return whether the process ends within a few seconds."""
    for _ in range(100):
        if not exists(pid):
            return True
        time.sleep(0.05)
    return False


def test_a_daemon_is_started_and_stopped_once(pid_file: Path) -> None:
    """start() leaves the daemon running and does not repeat; stop() ends it and does not repeat."""
    driver: ServiceDriver = CommandDriver(
        python(START, str(pid_file)),
        python(STOP, str(pid_file)),
        python(STATUS, str(pid_file)),
        timeout_s=10,
    )
    assert driver.status().state is ServiceState.STOPPED
    driver.start()
    driver.start()
    daemon = int(pid_file.read_text())
    assert exists(daemon)
    assert driver.status().state is ServiceState.RUNNING
    assert Path(f"{pid_file}.starts").read_text() == "x"

    driver.hold()
    driver.stop()
    assert gone(daemon)
    assert driver.status().state is ServiceState.STOPPED
    driver.release()
    assert driver.holds is False


@pytest.mark.parametrize(
    ("exit_code", "state"),
    [
        (0, ServiceState.RUNNING),
        (1, ServiceState.FAILED),
        (2, ServiceState.FAILED),
        (3, ServiceState.STOPPED),
        (4, ServiceState.UNKNOWN),
        (127, ServiceState.UNKNOWN),
    ],
)
def test_status_follows_the_exit_codes_of_init_scripts(exit_code: int, state: ServiceState) -> None:
    """Each exit code has its state, and the detail keeps the code and what was said."""
    command = ["sh", "-c", f"echo looked; exit {exit_code}"]
    status = CommandDriver(["true"], ["true"], command, timeout_s=5).status()
    assert status.state is state
    assert status.detail == f"exit code {exit_code}: looked"


def test_a_failing_start_gives_its_last_words() -> None:
    """The error carries the exit code and the end of the output, and not megabytes of it."""
    noisy = (
        "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; echo disk full >&2; exit 7"
    )
    driver = CommandDriver(["sh", "-c", noisy], ["true"], None, timeout_s=10)
    with pytest.raises(UnavailableError, match="exit code 7") as caught:
        driver.start()
    assert caught.value.message.endswith("disk full")
    assert "line 2999" in caught.value.message
    assert "line 100\n" not in caught.value.message


def test_a_start_that_succeeds_without_running_is_an_error() -> None:
    """Exit code 0 is not believed when the status command disagrees until the deadline."""
    driver = CommandDriver(["echo", "done"], ["true"], ["sh", "-c", "exit 3"], timeout_s=0.5)
    with pytest.raises(UnavailableError, match="is stopped") as caught:
        driver.start()
    assert caught.value.message.endswith("done")


def test_a_stop_that_leaves_the_component_running_is_an_error() -> None:
    """stop() does not return while the status command says running."""
    driver = CommandDriver(["true"], ["true"], ["true"], timeout_s=0.3)
    with pytest.raises(UnavailableError, match="is running"):
        driver.stop()


def test_without_status_the_exit_codes_decide(tmp_path: Path) -> None:
    """The state is unknown, both commands run each time, and a failing stop raises."""
    log = tmp_path / "log"
    driver = CommandDriver(
        ["sh", "-c", f"echo start >> {log}"],
        ["sh", "-c", f"echo stop >> {log}; exit 1"],
        None,
        timeout_s=5,
    )
    driver.start()
    assert driver.status().state is ServiceState.UNKNOWN
    with pytest.raises(UnavailableError, match="exit code 1"):
        driver.stop()
    assert log.read_text().split() == ["start", "stop"]


@pytest.mark.parametrize("trap", ["", "trap '' TERM; "])
def test_a_command_that_does_not_end_is_killed_with_its_children(tmp_path: Path, trap: str) -> None:
    """At the deadline the whole group goes, also when it ignores SIGTERM."""
    children = tmp_path / "children"
    code = f"{trap}sleep 600 & echo $$ $! > {children}; echo waiting; wait; wait"
    driver = CommandDriver(["sh", "-c", code], ["true"], None, timeout_s=0.5)
    with pytest.raises(UnavailableError, match="did not end within 0.5 s.*waiting") as caught:
        driver.start()
    assert caught.value.transient is True
    assert all(gone(int(pid)) for pid in children.read_text().split())


def test_a_missing_program_is_named_with_a_hint() -> None:
    """A command that is not installed is UnavailableError that tells where to correct it."""
    driver = CommandDriver(["no-such-program-here"], ["true"], None, timeout_s=5)
    with pytest.raises(UnavailableError, match="no-such-program-here cannot be run") as caught:
        driver.start()
    assert caught.value.hint is not None
    assert driver.name == "no-such-program-here"


def test_commands_must_be_lists() -> None:
    """An empty list, an empty program and a shell line are usage errors."""
    with pytest.raises(UsageError, match="start"):
        CommandDriver([], ["true"], None, timeout_s=5)
    with pytest.raises(UsageError, match="stop"):
        CommandDriver(["true"], "stop it", None, timeout_s=5)
    with pytest.raises(UsageError, match="status"):
        CommandDriver(["true"], ["true"], [""], timeout_s=5)
