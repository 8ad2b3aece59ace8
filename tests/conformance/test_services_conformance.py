"""What `services.driver` promises, kept by every driver on its real supervisor."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest
from service_stages import CODES, MISSING, STAGES, Stage, pid_of, stage_of

from processpilot.errors import NotFoundError, UnavailableError
from processpilot.services.driver import ServiceState

DOWN = (ServiceState.STOPPED, ServiceState.FAILED)
QUIET_S = 2.0
"""Longer than any of the supervisors waits before it restarts a program."""


@pytest.fixture(scope="module", params=sorted(STAGES))
def shared_stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """One supervisor of each kind for the whole file."""
    if reason := MISSING.get(request.param):
        pytest.skip(reason)
    with stage_of(request.param) as made:
        yield made


@pytest.fixture
def stage(shared_stage: Stage) -> Iterator[Stage]:
    """The supervisor with every program stopped, before and after."""
    for name in CODES:
        shared_stage.driver(name).stop()
    yield shared_stage
    for name in CODES:
        shared_stage.driver(name).release()
        shared_stage.driver(name).stop()


def wait_for(condition: Callable[[], bool], limit_s: float = 30) -> None:
    """Return when `condition()` is true; fail when it never is."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "the expected state never came"
        time.sleep(0.1)


def kill(stage: Stage, name: str) -> None:
    """Kill a program's process with SIGKILL and return when it is gone."""
    pid = pid_of(stage, name)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: pid_of(stage, name) != pid)


def test_start_ends_in_running_and_repeats(stage: Stage) -> None:
    """start() leaves a live process; a second start() leaves the same one."""
    driver = stage.driver("steady")
    driver.start()
    pid = pid_of(stage, "steady")
    assert pid is not None
    assert driver.status().state is ServiceState.RUNNING
    driver.start()
    assert pid_of(stage, "steady") == pid
    assert driver.status().pid in (pid, None)


def test_stop_leaves_no_process_and_repeats(stage: Stage) -> None:
    """stop() returns when nothing runs; also without a start before."""
    driver = stage.driver("steady")
    driver.stop()
    driver.start()
    driver.stop()
    assert pid_of(stage, "steady") is None
    driver.stop()
    status = driver.status()
    assert (status.state, status.pid) == (ServiceState.STOPPED, None)
    assert status.detail


def test_hold_stops_also_what_its_supervisor_brings_back(stage: Stage) -> None:
    """A killed program that would be restarted is down after hold(), and stays so by itself."""
    driver = stage.driver("steady")
    driver.start()
    kill(stage, "steady")
    driver.hold()
    driver.hold()
    time.sleep(QUIET_S)
    assert driver.status().state in DOWN
    assert pid_of(stage, "steady") is None


def test_release_starts_nothing_and_allows_a_start(stage: Stage) -> None:
    """After release() the program is still down; start() then works."""
    driver = stage.driver("steady")
    driver.start()
    driver.hold()
    driver.release()
    driver.release()
    time.sleep(QUIET_S)
    assert pid_of(stage, "steady") is None
    driver.start()
    assert driver.status().state is ServiceState.RUNNING


def test_a_program_that_died_is_down_until_it_is_started(stage: Stage) -> None:
    """The death is seen, no pid is claimed, and start() brings it back."""
    driver = stage.driver("mortal")
    driver.start()
    kill(stage, "mortal")
    wait_for(lambda: driver.status().state in DOWN)
    assert driver.status().pid is None
    driver.start()
    assert pid_of(stage, "mortal") is not None


def test_a_program_that_refuses_to_start_is_an_error(stage: Stage) -> None:
    """start() never returns as if it ran; hold() then ends every further try."""
    driver = stage.driver("broken")
    with pytest.raises(UnavailableError) as caught:
        driver.start()
    assert caught.value.hint is not None
    assert driver.status().state is not ServiceState.RUNNING
    driver.hold()
    time.sleep(QUIET_S)
    assert driver.status().state in DOWN


def test_an_unknown_program_is_not_found(stage: Stage) -> None:
    """A supervisor that does not know the component is never reported as a state."""
    if not stage.knows_its_programs:
        pytest.skip("commands have no supervisor that could know a component")
    driver = stage.driver("stranger")
    for call in (driver.status, driver.start, driver.stop):
        with pytest.raises(NotFoundError) as caught:
            call()
        assert caught.value.hint is not None
