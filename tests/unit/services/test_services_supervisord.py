"""SupervisordDriver against a real supervisord on a Unix socket and on a loopback port."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from processpilot.errors import NotFoundError, UnavailableError, UsageError
from processpilot.services.driver import ServiceDriver, ServiceState
from processpilot.services.supervisord import SupervisordDriver

SLEEPS = "import time; time.sleep(600)"
DIES = "import sys; sys.exit('no data directory')"
LEAVES_MARKS = "import sys; open(sys.argv[1], 'a').write('x')"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('deaf', flush=True); time.sleep(600)"
)
QUIET_S = 2.0
"""Longer than supervisord's main loop sleeps between two looks at a program."""


PROGRAMS = {
    "sleeper": (SLEEPS, {"startsecs": 1}),
    "broken": (DIES, {"startsecs": 1, "startretries": 1}),
    "backoff": (DIES, {"startsecs": 1, "startretries": 50}),
    "phoenix": (SLEEPS, {"autorestart": "true", "autostart": "true", "stopwaitsecs": 1}),
    "looping": (LEAVES_MARKS, {"autorestart": "true"}),
    "finished": ("", {"autorestart": "unexpected"}),
    "crashed": (DIES, {"autorestart": "false"}),
    "slowstart": (SLEEPS, {"startsecs": 300}),
    "stubborn": (STUBBORN, {"stopwaitsecs": 1}),
    "deaf": (STUBBORN, {"stopwaitsecs": 3, "redirect_stderr": "true"}),
}


def sections(folder: Path) -> str:
    """Write every program's code beside the configuration and return its sections."""
    text = ""
    for name, (code, options) in PROGRAMS.items():
        (folder / f"{name}.py").write_text(code)
        settings = {"autostart": "false", "startsecs": 0, "stopwaitsecs": 5, **options}
        text += f"[program:{name}]\n"
        text += f"command={sys.executable} {folder}/{name}.py {folder}/{name}.marks\n"
        text += "".join(f"{key}={value}\n" for key, value in settings.items())
    text += f"[program:absent]\ncommand={folder}/no-such-program\nautostart=false\n"
    return text


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Supervisord:
    """A running supervisord: where its files are, and how to reach it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.unix = f"unix://{folder}/s"
        self.http = f"http://127.0.0.1:{port}"

    def driver(self, name: str, timeout_s: float = 10) -> SupervisordDriver:
        return SupervisordDriver(self.unix, name, timeout_s=timeout_s)


@pytest.fixture(scope="module")
def supervisord() -> Iterator[Supervisord]:
    """One supervisord for all tests of this file; each uses a program of its own."""
    folder = Path(tempfile.mkdtemp(prefix="pp", dir="/tmp"))
    port = free_port()
    (folder / "conf").write_text(
        f"[supervisord]\nlogfile={folder}/log\npidfile={folder}/pid\nchildlogdir={folder}\n"
        f"[unix_http_server]\nfile={folder}/s\n"
        f"[inet_http_server]\nport=127.0.0.1:{port}\nusername=operator\npassword=secret\n"
        "[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n"
        + sections(folder)
    )
    argv = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", f"{folder}/conf"]
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(argv, stdout=out, stderr=out, cwd=folder)
    server = Supervisord(folder, port)
    try:
        wait_for(lambda: (folder / "s").exists())
        yield server
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder)


def wait_for(condition: object, limit_s: float = 15) -> None:
    """Return when `condition()` is true; fail when it never is."""
    assert callable(condition)
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "the expected state never came"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    """Return whether a process with this id exists."""
    return Path(f"/proc/{pid}").exists()


def test_start_returns_when_running_and_may_be_repeated(supervisord: Supervisord) -> None:
    """start() ends in running with a live process; a second start() keeps that process."""
    driver: ServiceDriver = supervisord.driver("sleeper")
    driver.start()
    first = driver.status()
    driver.start()
    assert first.state is ServiceState.RUNNING
    assert first.pid is not None
    assert is_alive(first.pid)
    assert driver.status().pid == first.pid

    driver.stop()
    driver.stop()
    assert driver.status().state is ServiceState.STOPPED
    assert driver.status().pid is None
    assert not is_alive(first.pid)

    driver.release()
    driver.start()
    assert driver.status().state is ServiceState.RUNNING
    driver.hold()


def test_start_of_a_program_that_dies_gives_its_last_words(supervisord: Supervisord) -> None:
    """When supervisord gives up (FATAL), start() raises with what the program said."""
    driver = supervisord.driver("broken", 15)
    with pytest.raises(UnavailableError) as caught:
        driver.start()
    assert "FATAL" in caught.value.message
    assert "no data directory" in caught.value.message
    assert caught.value.transient is False
    assert driver.status().state is ServiceState.FAILED

    driver.hold()
    time.sleep(QUIET_S)
    assert driver.status().detail.startswith("FATAL")


def test_hold_ends_the_retries_of_a_program_in_backoff(supervisord: Supervisord) -> None:
    """start() gives up at its deadline while supervisord retries; hold() ends the retrying."""
    driver = supervisord.driver("backoff", 2)
    with pytest.raises(UnavailableError, match="not running after 2 s"):
        driver.start()
    wait_for(lambda: driver.status().state is ServiceState.FAILED)

    driver.hold()
    assert driver.status().state is ServiceState.STOPPED
    time.sleep(QUIET_S)
    assert driver.status().detail.startswith("STOPPED")


def test_hold_wins_against_autorestart_after_a_kill(supervisord: Supervisord) -> None:
    """A killed program that autorestart brings back is down after hold(), and stays down."""
    driver = supervisord.driver("phoenix")
    for _ in range(2):
        driver.start()
        pid = driver.status().pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        driver.hold()
        assert driver.status().detail.startswith("STOPPED")
    time.sleep(QUIET_S)
    assert driver.status().detail.startswith("STOPPED")


def test_hold_catches_a_program_that_exits_at_once_and_is_restarted(
    supervisord: Supervisord,
) -> None:
    """A program in a restart loop, mostly seen EXITED, is caught and runs no more."""
    driver = supervisord.driver("looping", 20)
    marks = supervisord.folder / "looping.marks"
    try:
        driver.start()
    except UnavailableError:
        pass
    wait_for(lambda: marks.exists() and marks.stat().st_size >= 2)

    driver.hold()
    runs = marks.stat().st_size
    time.sleep(QUIET_S)
    assert marks.stat().st_size == runs


def test_a_program_that_finished_counts_as_stopped(supervisord: Supervisord) -> None:
    """An expected exit without autorestart is stopped, and hold() accepts it after watching."""
    driver = supervisord.driver("finished")
    try:
        driver.start()
    except UnavailableError:
        pass
    wait_for(lambda: driver.status().detail.startswith("EXITED"))
    assert driver.status().state is ServiceState.STOPPED

    driver.hold()
    assert driver.status().detail.startswith("EXITED")


def test_a_program_that_crashed_counts_as_failed(supervisord: Supervisord) -> None:
    """An unexpected exit without autorestart is failed, with its exit code in the detail."""
    driver = supervisord.driver("crashed")
    try:
        driver.start()
    except UnavailableError:
        pass
    wait_for(lambda: driver.status().detail.startswith("EXITED"))
    status = driver.status()
    assert status.state is ServiceState.FAILED
    assert "exit code 1" in status.detail


def test_hold_stops_a_program_that_is_still_starting(supervisord: Supervisord) -> None:
    """STARTING is unknown, neither running nor stopped; hold() ends it in STOPPED."""
    driver = supervisord.driver("slowstart", 1)
    with pytest.raises(UnavailableError, match="STARTING"):
        driver.start()
    assert driver.status().state is ServiceState.UNKNOWN
    pid = driver.status().pid
    assert pid is not None

    driver.hold()
    assert driver.status().state is ServiceState.STOPPED
    assert not is_alive(pid)


def test_stop_waits_for_a_program_that_ignores_the_signal(supervisord: Supervisord) -> None:
    """stop() returns only after supervisord's own SIGKILL ended a deaf program."""
    driver = supervisord.driver("stubborn")
    start_deaf(supervisord, driver, "stubborn")
    pid = driver.status().pid
    assert pid is not None
    driver.stop()
    assert not is_alive(pid)


def test_start_during_a_stop_waits_for_it_and_then_starts(supervisord: Supervisord) -> None:
    """stop() that runs out of time raises; start() then waits for the end and starts anew."""
    driver = supervisord.driver("deaf", 1)
    start_deaf(supervisord, driver, "deaf")
    pid = driver.status().pid
    assert pid is not None
    with pytest.raises(UnavailableError, match="(?s)STOPPING.*deaf"):
        driver.stop()
    assert driver.status().state is ServiceState.UNKNOWN

    os.kill(pid, signal.SIGKILL)
    driver.start()
    assert driver.status().state is ServiceState.RUNNING
    assert driver.status().pid != pid
    supervisord.driver("deaf").hold()


def start_deaf(supervisord: Supervisord, driver: SupervisordDriver, name: str) -> None:
    """Start a program and return when it ignores SIGTERM."""
    driver.start()
    wait_for(
        lambda: any("deaf" in log.read_text() for log in supervisord.folder.glob(f"{name}-std*"))
    )


def test_a_command_that_does_not_exist_is_named(supervisord: Supervisord) -> None:
    """start() of a program whose command is missing says so at once, and that it is permanent."""
    with pytest.raises(UnavailableError, match="its command cannot be run") as caught:
        supervisord.driver("absent").start()
    assert caught.value.transient is False


def test_an_unknown_program_is_not_found(supervisord: Supervisord) -> None:
    """A program supervisord does not have is NotFoundError, not a state."""
    with pytest.raises(NotFoundError, match="nobody"):
        supervisord.driver("nobody").status()


def test_http_needs_the_right_password(supervisord: Supervisord) -> None:
    """Over HTTP the credentials are used; without them the error says what to check."""
    known = SupervisordDriver(
        supervisord.http, "sleeper", timeout_s=5, username="operator", password="secret"
    )
    assert known.status().detail
    stranger = SupervisordDriver(supervisord.http, "sleeper", timeout_s=5)
    with pytest.raises(UnavailableError, match="401") as caught:
        stranger.status()
    assert caught.value.hint is not None
    assert "password" in caught.value.hint


@pytest.mark.parametrize("scheme", ["unix", "http"])
def test_no_supervisord_is_unavailable_with_a_hint(scheme: str, tmp_path: Path) -> None:
    """Nobody listening is UnavailableError, worth another try, with the command to run."""
    server = f"unix://{tmp_path}/none" if scheme == "unix" else f"http://127.0.0.1:{free_port()}"
    with pytest.raises(UnavailableError, match="cannot be reached") as caught:
        SupervisordDriver(server, "sleeper", timeout_s=1).hold()
    assert caught.value.transient is True
    assert caught.value.hint is not None
    assert server in caught.value.hint


def test_a_supervisord_that_never_answers_is_unavailable(tmp_path: Path) -> None:
    """A listener that accepts and stays silent does not block a call for ever."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{folder}/s")
        silent.listen()
        with pytest.raises(UnavailableError, match="timed out"):
            SupervisordDriver(f"unix://{folder}/s", "sleeper", timeout_s=0.3).status()


@pytest.mark.parametrize(
    ("server", "name"),
    [
        ("/run/supervisor.sock", "db"),
        ("unix://", "db"),
        ("unix://run/s", "db"),
        ("https://127.0.0.1:9001", "db"),
        ("http://", "db"),
        ("http://127.0.0.1:port", "db"),
        ("unix:///run/s", ""),
        ("unix:///run/s", "group:*"),
    ],
)
def test_malformed_addresses_and_names_are_refused(server: str, name: str) -> None:
    """A server or program that cannot be right is a usage error before anything is contacted."""
    with pytest.raises(UsageError):
        SupervisordDriver(server, name, timeout_s=1)
