"""Pm2Driver: parsing everywhere, a real pm2 where it is installed."""

from __future__ import annotations

import json
import os
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_text import PATH, PLAN
from pm2_home import PM2, Pm2Home, pm2_home

from processpilot.errors import NotFoundError, UnavailableError, UsageError
from processpilot.plan.load import parse_plan
from processpilot.services.driver import ServiceDriver, ServiceState
from processpilot.services.pm2 import Pm2Driver, parse_list, to_status
from processpilot.wiring.drivers import driver_for

needs_pm2 = pytest.mark.skipif(
    PM2 is None, reason="needs node, and pm2 on PATH or below PROCESSPILOT_TEST_PM2"
)
NOW = datetime(2030, 1, 1, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
SLEEPS = "import time; time.sleep(600)"
DIES = "import sys; sys.exit('no data directory')"


def entry(number: int, status: str, pid: int, **settings: Any) -> dict[str, Any]:
    """Return one element of pm2's list, online for a minute unless told otherwise."""
    base = {"pm_id": number, "status": status, "pm_uptime": NOW_MS - 60_000, "env": {"KEY": "x"}}
    return {"name": "api", "pid": pid, "pm2_env": {**base, **settings}}


@pytest.mark.parametrize(
    ("given_entry", "state", "pid", "detail"),
    [
        (entry(0, "online", 7), ServiceState.RUNNING, 7, "online"),
        (entry(0, "online", 7, pm_uptime=NOW_MS - 500), ServiceState.UNKNOWN, 7, "online"),
        (
            entry(0, "online", 7, pm_uptime=NOW_MS - 2000, min_uptime=5000),
            ServiceState.UNKNOWN,
            7,
            "online",
        ),
        (
            entry(0, "online", 7, pm_uptime=NOW_MS - 9, restart_time=4, unstable_restarts=3),
            ServiceState.UNKNOWN,
            7,
            "online (4 restarts, 3 of them in a loop, it dies right after its start)",
        ),
        (entry(0, "launching", 7), ServiceState.UNKNOWN, 7, "launching"),
        (entry(0, "stopping", 7), ServiceState.UNKNOWN, 7, "stopping"),
        (entry(0, "one-launch-status", 7), ServiceState.UNKNOWN, 7, "one-launch-status"),
        (entry(0, "never heard of", 7), ServiceState.UNKNOWN, 7, "never heard of"),
        (entry(0, "stopped", 0), ServiceState.STOPPED, None, "stopped"),
        (
            entry(0, "errored", 0, restart_time=15, exit_code=1),
            ServiceState.FAILED,
            None,
            "errored (15 restarts, last exit code 1)",
        ),
        (entry(0, "errored", 7), ServiceState.UNKNOWN, 7, "errored"),
        (
            entry(0, "waiting restart", 7, restart_time=1, exit_code=3),
            ServiceState.FAILED,
            None,
            "waiting restart (1 restarts, last exit code 3)",
        ),
    ],
)
def test_every_status_of_pm2_has_its_word(
    given_entry: dict[str, Any], state: ServiceState, pid: int | None, detail: str
) -> None:
    """Online counts after min_uptime; a process that could not be killed is not down."""
    status = to_status(parse_list(json.dumps([given_entry]), "api"), NOW)
    assert (status.state, status.pid, status.detail) == (state, pid, detail)


@pytest.mark.parametrize(
    ("words", "state"),
    [
        (("online", "online"), ServiceState.RUNNING),
        (("online", "stopped"), ServiceState.UNKNOWN),
        (("online", "errored"), ServiceState.UNKNOWN),
        (("stopped", "stopped"), ServiceState.STOPPED),
        (("stopped", "errored"), ServiceState.FAILED),
        (("stopping", "stopped"), ServiceState.UNKNOWN),
    ],
)
def test_several_instances_run_only_when_all_do(
    words: tuple[str, str], state: ServiceState
) -> None:
    """One instance that differs is told by number, and no pid speaks for all."""
    entries = [entry(n, word, 7 if word == "online" else 0) for n, word in enumerate(words)]
    status = to_status(parse_list(json.dumps(entries), "api"), NOW)
    assert (status.state, status.pid) == (state, None)
    assert f"0 {words[0]}; 1 {words[1]}" in status.detail


def test_notices_around_the_list_are_passed_over() -> None:
    """Lines such as that of an outdated daemon do not hide the list."""
    listed = json.dumps([entry(3, "online", 7)])
    text = f"[PM2] Spawning PM2 daemon\n>>>> In-memory PM2 is out-of-date\n{listed}\n[PM2] done"
    assert [instance.number for instance in parse_list(text, "api")] == ["3"]
    assert parse_list(text, "other") == ()


@given(st.text() | st.from_regex(r"\[[\[\]{}\"a-z0-9:,]*\]"))
def test_any_other_text_is_refused_cleanly_and_not_shown(text: str) -> None:
    """What is no list of processes is UnavailableError without a word of it."""
    try:
        parse_list(text, "api")
    except UnavailableError as error:
        assert error.message == (
            f"pm2 jlist answered {len(text)} characters without a list of processes"
        )


def test_without_a_daemon_nothing_is_said_and_none_is_started(tmp_path: Path) -> None:
    """Every call is UnavailableError with the next command, and the home stays empty."""
    driver: ServiceDriver = Pm2Driver("api", timeout_s=5, home=tmp_path)
    for call in (driver.status, driver.start, driver.stop, driver.hold):
        with pytest.raises(UnavailableError, match="pm2 does not answer") as caught:
            call()
        assert caught.value.hint is not None
        assert f"PM2_HOME={tmp_path} pm2 resurrect" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_missing_pm2_is_named_with_a_hint() -> None:
    """Where a daemon listens but the program is not found, the hint says how to install it."""
    with tempfile.TemporaryDirectory() as name, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{name}/rpc.sock")
        listener.listen()
        driver = Pm2Driver("api", timeout_s=5, home=Path(name), program="no-such-pm2")
        with pytest.raises(UnavailableError, match="no-such-pm2 cannot be run") as caught:
            driver.status()
        assert "npm install" in (caught.value.hint or "")


def test_a_process_needs_a_name() -> None:
    """An empty name is a usage error."""
    with pytest.raises(UsageError):
        Pm2Driver("", timeout_s=5)


def test_the_plan_chooses_home_and_program() -> None:
    """A relative home starts from the plan's folder; both appear in the hint."""
    service = "{kind: pm2, name: api, home: pm2-home, program: /opt/pm2}"
    text = PLAN.replace("{kind: systemd, unit: api.service}", service)
    loaded = parse_plan(text, PATH)
    driver = driver_for(loaded.plan.components[1], loaded)
    assert driver is not None
    with pytest.raises(UnavailableError) as caught:
        driver.status()
    assert "PM2_HOME=/plans/pm2-home /opt/pm2 resurrect" in (caught.value.hint or "")


@pytest.fixture(scope="module")
def home() -> Iterator[Pm2Home]:
    """One pm2 for all tests of this file; each uses a process of its own."""
    with pm2_home() as made:
        yield made


def is_alive(pid: int) -> bool:
    """Return whether a process with this id exists."""
    return Path(f"/proc/{pid}").exists()


def wait_for(condition: Any, limit_s: float = 30) -> None:
    """Return when `condition()` is true; fail when it never is."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "the expected state never came"
        time.sleep(0.1)


@needs_pm2
def test_start_and_stop_may_be_repeated(home: Pm2Home) -> None:
    """start() ends in running and keeps the process when repeated; stop() leaves none."""
    home.run("sleeper", SLEEPS)
    driver = home.driver("sleeper")
    driver.start()
    first = driver.status()
    driver.start()
    assert first.state is ServiceState.RUNNING
    assert first.pid is not None
    assert driver.status().pid == first.pid

    driver.hold()
    driver.stop()
    driver.release()
    assert driver.status().state is ServiceState.STOPPED
    assert not is_alive(first.pid)
    assert driver.holds is False

    driver.start()
    assert driver.status().state is ServiceState.RUNNING
    driver.stop()


@needs_pm2
def test_a_start_does_not_change_the_stored_environment(
    home: Pm2Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in our own environment, a passphrase say, does not reach the process."""
    code = "import os, sys, time; open(sys.argv[0] + '.env', 'w').write(str(os.environ));"
    home.run("private", code + SLEEPS)
    driver = home.driver("private")
    driver.stop()
    monkeypatch.setenv("OUR_PASSPHRASE", "hidden-words")
    driver.start()
    assert "hidden-words" not in (home.folder / "private.py.env").read_text()
    driver.stop()


@needs_pm2
def test_a_killed_process_is_brought_back_by_pm2(home: Pm2Home) -> None:
    """start() after a kill waits for pm2's own restart, which the detail counts."""
    home.run("phoenix", SLEEPS)
    driver = home.driver("phoenix")
    driver.start()
    pid = driver.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_alive(pid))
    driver.start()
    status = driver.status()
    assert status.state is ServiceState.RUNNING
    assert status.pid != pid
    assert status.detail == "online (1 restarts)"
    driver.stop()


@needs_pm2
def test_start_of_a_process_that_dies_gives_its_last_words(home: Pm2Home) -> None:
    """The restart loop is waited out; errored is an error with what the program said."""
    home.run("broken", DIES, "--max-restarts", "4")
    driver = home.driver("broken", 60)
    with pytest.raises(UnavailableError, match="errored") as caught:
        driver.start()
    assert caught.value.message.endswith("no data directory")
    assert caught.value.transient is False
    assert driver.status().state is ServiceState.FAILED
    assert "last exit code 1" in driver.status().detail

    driver.stop()
    assert driver.status().state is ServiceState.STOPPED


@needs_pm2
def test_a_process_in_a_restart_loop_is_never_called_running(home: Pm2Home) -> None:
    """pm2 says online again and again; the driver says unknown and tells of the loop."""
    home.run("looping", "import time; time.sleep(0.3)", "--max-restarts", "500")
    driver = home.driver("looping", 3)
    wait_for(lambda: "in a loop" in driver.status().detail)
    with pytest.raises(UnavailableError, match="is not running after 3 s") as caught:
        driver.start()
    assert caught.value.transient is True

    driver.stop()
    restarts = home.entries("looping")[0]["pm2_env"]["restart_time"]
    time.sleep(1)
    assert home.entries("looping")[0]["pm2_env"]["restart_time"] == restarts


@needs_pm2
def test_a_delayed_restart_is_failed_and_does_not_start_twice(home: Pm2Home) -> None:
    """Waiting for its delay it is down; start() runs one process, also past the delay."""
    home.run("delayed", SLEEPS, "--restart-delay", "4000")
    driver = home.driver("delayed")
    driver.start()
    pid = driver.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: driver.status().state is ServiceState.FAILED)
    assert driver.status().detail.startswith("waiting restart")
    assert driver.status().pid is None

    driver.start()
    started = driver.status().pid
    time.sleep(4.5)
    assert driver.status().pid == started
    marks = [p for p in Path("/proc").glob("[0-9]*/cmdline") if runs(p, "delayed.py", home)]
    assert len(marks) == 1
    driver.stop()


def runs(cmdline: Path, script: str, home: Pm2Home) -> bool:
    """Return whether this process runs a script of the home."""
    try:
        return f"{home.folder}/{script}".encode() in cmdline.read_bytes().split(b"\0")
    except OSError:
        return False


@needs_pm2
def test_a_cluster_runs_when_every_instance_does(home: Pm2Home) -> None:
    """With one of two instances stopped it is not running; start() starts only that one."""
    home.run_node("cluster", "setInterval(() => {}, 1000)", "-i", "2")
    driver = home.driver("cluster")
    driver.start()
    assert driver.status().state is ServiceState.RUNNING
    first, second = home.entries("cluster")
    home.pm2("stop", str(second["pm_id"]))
    status = driver.status()
    assert status.state is ServiceState.UNKNOWN
    assert status.detail.startswith("1 of 2 run")

    driver.start()
    assert driver.status().state is ServiceState.RUNNING
    assert home.entries("cluster")[0]["pid"] == first["pid"]
    driver.stop()
    assert driver.status().state is ServiceState.STOPPED


@needs_pm2
def test_an_unknown_process_is_not_found(home: Pm2Home) -> None:
    """A name that pm2 does not have is NotFoundError; a file of that name is not started."""
    home.run("known", SLEEPS)
    (home.folder / "stranger").write_text("#!/bin/sh\n")
    for call in (home.driver("stranger").status, home.driver("all").stop):
        with pytest.raises(NotFoundError, match="has no process") as caught:
            call()
        assert "pm2 list" in (caught.value.hint or "")
    assert home.entries("known")[0]["pm2_env"]["status"] == "online"
    home.driver("known").stop()
