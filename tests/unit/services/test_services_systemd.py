"""SystemdDriver: parsing everywhere, a real unit where systemd runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processpilot.errors import NotFoundError, UnavailableError, UsageError
from processpilot.services.driver import ServiceState
from processpilot.services.systemd import SystemdDriver, parse_show

RUNS_SYSTEMD = Path("/run/systemd/system").is_dir()
needs_systemd = pytest.mark.skipif(
    not (RUNS_SYSTEMD and os.geteuid() == 0 and shutil.which("systemctl")),
    reason="needs root on a machine booted with systemd",
)
UNIT = "processpilot-driver-test.service"
UNIT_FILE = Path("/usr/local/lib/systemd/system") / UNIT


def show(active: str, sub: str, main_pid: str = "0", result: str = "success") -> str:
    """Return what `systemctl show -p ...` prints for a unit."""
    return (
        f"MainPID={main_pid}\nResult={result}\n"
        f"LoadState=loaded\nActiveState={active}\nSubState={sub}\n"
    )


@pytest.mark.parametrize(
    ("text", "state", "pid", "detail"),
    [
        (show("active", "running", "412"), ServiceState.RUNNING, 412, "active (running)"),
        (show("reloading", "reload", "412"), ServiceState.RUNNING, 412, "reloading (reload)"),
        (show("active", "exited"), ServiceState.UNKNOWN, None, "active (exited)"),
        (show("inactive", "dead"), ServiceState.STOPPED, None, "inactive (dead)"),
        (
            show("failed", "failed", result="exit-code"),
            ServiceState.FAILED,
            None,
            "failed (failed), result exit-code",
        ),
        (
            show("activating", "auto-restart", result="signal"),
            ServiceState.UNKNOWN,
            None,
            "activating (auto-restart), result signal",
        ),
        (
            show("deactivating", "stop-sigterm", "9"),
            ServiceState.UNKNOWN,
            9,
            "deactivating (stop-sigterm)",
        ),
    ],
)
def test_show_output_becomes_a_status(
    text: str, state: ServiceState, pid: int | None, detail: str
) -> None:
    """Every ActiveState has its word; a pending restart is not taken for stopped."""
    status = parse_show(text).to_status()
    assert (status.state, status.pid, status.detail) == (state, pid, detail)


def test_only_inactive_and_failed_units_are_down() -> None:
    """A unit between runs, waiting for Restart=, is not down."""
    assert parse_show(show("inactive", "dead")).is_down
    assert parse_show(show("failed", "failed")).is_down
    assert not parse_show(show("activating", "auto-restart")).is_down
    assert not parse_show(show("deactivating", "stop")).is_down


def test_values_may_contain_equal_signs_and_units_may_lack_a_pid() -> None:
    """Only the first equal sign separates; a socket unit has no MainPID."""
    unit = parse_show("SubState=a=b\nActiveState=active\n")
    assert unit.sub == "a=b"
    assert unit.main_pid is None


@given(st.text())
def test_any_other_text_is_refused_cleanly(text: str) -> None:
    """Arbitrary output is either a unit with an ActiveState or UnavailableError."""
    try:
        unit = parse_show(text)
    except UnavailableError:
        return
    assert unit.active


@pytest.mark.parametrize("main_pid", ["x", "-1", "²"])
def test_a_main_pid_that_is_no_number_is_refused(main_pid: str) -> None:
    """A process id that cannot be read is never turned into none."""
    with pytest.raises(UnavailableError, match="MainPID"):
        parse_show(show("active", "running", main_pid))


@pytest.mark.parametrize("unit", ["", "--all", "a b", "post*", "../x.service", "a\nb"])
def test_names_that_are_not_one_unit_are_refused(unit: str) -> None:
    """Options, patterns and paths never reach systemctl."""
    with pytest.raises(UsageError):
        SystemdDriver(unit, timeout_s=5)


def test_a_plain_name_means_a_service() -> None:
    """The suffix is added when it is missing and kept when it is there."""
    assert SystemdDriver("postgresql", timeout_s=5).name == "postgresql.service"
    assert SystemdDriver("db.socket", timeout_s=5).name == "db.socket"


@pytest.mark.skipif(RUNS_SYSTEMD, reason="systemd runs here")
def test_without_systemd_every_call_is_unavailable() -> None:
    """Where systemd does not run, or systemctl is missing, no state is invented."""
    driver = SystemdDriver("postgresql", timeout_s=10)
    for call in (driver.status, driver.start, driver.stop, driver.hold, driver.release):
        with pytest.raises(UnavailableError) as caught:
            call()
        assert caught.value.hint is not None


@pytest.fixture
def unit() -> Iterator[SystemdDriver]:
    """A unit that restarts itself whenever it dies, in a folder that a runtime mask overrides."""
    UNIT_FILE.parent.mkdir(parents=True, exist_ok=True)
    UNIT_FILE.write_text(
        "[Service]\nExecStart=/bin/sleep 600\nRestart=always\nRestartSec=100ms\n"
        "[Unit]\nStartLimitIntervalSec=0\n"
    )
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    driver = SystemdDriver(UNIT, timeout_s=20)
    try:
        yield driver
    finally:
        driver.release()
        driver.stop()
        UNIT_FILE.unlink()
        subprocess.run(["systemctl", "daemon-reload"], check=True)


@needs_systemd
def test_a_held_unit_cannot_be_started(unit: SystemdDriver) -> None:
    """hold() wins against Restart=always and against a start; release() allows it again."""
    unit.start()
    unit.start()
    status = unit.status()
    assert status.state is ServiceState.RUNNING
    assert status.pid is not None

    os.kill(status.pid, 9)
    unit.hold()
    unit.hold()
    assert unit.status().state in (ServiceState.STOPPED, ServiceState.FAILED)
    with pytest.raises(UnavailableError, match="masked"):
        unit.start()
    time.sleep(1)
    assert unit.status().pid is None

    unit.release()
    unit.start()
    assert unit.status().state is ServiceState.RUNNING


@needs_systemd
def test_an_unknown_unit_is_not_found() -> None:
    """A unit that systemd does not have is NotFoundError, not stopped."""
    with pytest.raises(NotFoundError):
        SystemdDriver("processpilot-no-such-unit", timeout_s=10).status()
