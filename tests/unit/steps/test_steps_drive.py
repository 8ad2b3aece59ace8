"""Services as steps, through drivers for real programs."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from plain_server import end
from steps_ground import context_of, ground_at

from processpilot.errors import RefusedError, UnavailableError
from processpilot.plan.component import Component
from processpilot.runbook.action import NotHappened
from processpilot.services.command import CommandDriver
from processpilot.services.driver import ServiceDriver
from processpilot.services.supervisord import SupervisordDriver
from processpilot.steps.drive import DriveComponent

SLEEPS = "import time; time.sleep(600)"


@pytest.fixture(scope="module")
def supervisord() -> Iterator[str]:
    """Give the address of a supervisord with the programs `api`, and `broken` that never starts."""
    with tempfile.TemporaryDirectory(prefix="pp", dir="/tmp") as name:
        folder = Path(name)
        (folder / "api.py").write_text(SLEEPS)
        (folder / "conf").write_text(
            f"[supervisord]\nlogfile={folder}/log\npidfile={folder}/pid\nchildlogdir={folder}\n"
            f"[unix_http_server]\nfile={folder}/s\n"
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n"
            f"[program:api]\ncommand={sys.executable} {folder}/api.py\nautostart=false\n"
            "startsecs=0\n"
            "[program:broken]\ncommand=false\nautostart=false\nstartretries=0\n"
        )
        argv = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", f"{folder}/conf"]
        with (folder / "out").open("wb") as out:
            process = subprocess.Popen(argv, stdout=out, stderr=out, cwd=folder)
        try:
            deadline = time.monotonic() + 30
            while not (folder / "s").exists():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield f"unix://{folder}/s"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def do(folder: Path, driver: ServiceDriver | None, what: str) -> dict[str, Any]:
    """Return what a service step on the component `api` gives."""

    def driver_of(component: Component) -> ServiceDriver | None:
        assert component.id == "api"
        return driver

    action = DriveComponent(ground_at(folder, driver_of=driver_of))
    context = context_of({"action": "service", "component": "api", "do": what})
    assert action.probe(context) == NotHappened()
    return dict(action.execute(context))


def test_a_service_is_started_restarted_held_and_stopped(supervisord: str, tmp_path: Path) -> None:
    """Each says how the component stands afterwards; repeating leaves what is so already."""
    driver = SupervisordDriver(supervisord, "api", timeout_s=20)
    assert do(tmp_path, driver, "status")["state"] == "stopped"
    assert do(tmp_path, driver, "start")["state"] == "running"
    first = driver.status().pid
    assert do(tmp_path, driver, "start")["state"] == "running"
    assert driver.status().pid == first
    assert do(tmp_path, driver, "restart")["state"] == "running"
    assert driver.status().pid != first
    held = do(tmp_path, driver, "hold")
    assert (held["state"], held["held"]) == ("stopped", True)
    assert do(tmp_path, driver, "release")["state"] == "stopped"
    do(tmp_path, driver, "start")
    assert do(tmp_path, driver, "stop")["state"] == "stopped"
    assert do(tmp_path, driver, "stop")["service"] == "api"


def test_a_service_that_does_not_start_fails_the_step(supervisord: str, tmp_path: Path) -> None:
    """With the supervisor's words; looking at it fails nothing."""
    driver = SupervisordDriver(supervisord, "broken", timeout_s=10)
    with pytest.raises(UnavailableError):
        do(tmp_path, driver, "start")
    assert do(tmp_path, driver, "status")["state"] == "failed"


def test_what_cannot_be_held_is_said_so(tmp_path: Path) -> None:
    """Nothing prevents others from starting a pair of commands."""
    pid_file = tmp_path / "pid"
    script = f"sleep 600 & echo $! > {pid_file}"
    stop = ["sh", "-c", f"kill $(cat {pid_file}); rm {pid_file}"]
    status = ["sh", "-c", f"test -e {pid_file} || exit 3"]
    driver = CommandDriver(["sh", "-c", script], stop, status, timeout_s=20)
    assert do(tmp_path, driver, "start")["state"] == "running"
    pid = int(pid_file.read_text())
    held = do(tmp_path, driver, "hold")
    assert (held["state"], held["held"]) == ("stopped", False)
    end(pid)


def test_a_component_without_a_service_is_refused(tmp_path: Path) -> None:
    """With what to add to the plan."""
    with pytest.raises(RefusedError) as caught:
        do(tmp_path, None, "restart")
    assert caught.value.message == "the plan does not say what runs api"
