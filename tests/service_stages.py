"""Supervisors with three programs each, for the conformance suite of service drivers.

`steady` runs until it is stopped, `mortal` too and is not restarted when it dies, `broken` ends at
once with an error.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from pm2_home import PM2, Pm2Home, pm2_home

from processpilot.services.command import CommandDriver
from processpilot.services.driver import ServiceDriver
from processpilot.services.supervisord import SupervisordDriver
from processpilot.services.systemd import SystemdDriver

TIMEOUT_S = 60.0
# Its own number goes to a file, because not every driver knows it.
PROGRAM = """
import os, pathlib, sys, time
pathlib.Path(sys.argv[0] + ".pid").write_text(str(os.getpid()))
"""
CODES = {
    "steady": PROGRAM + "time.sleep(600)",
    "mortal": PROGRAM + "time.sleep(600)",
    "broken": "import sys; sys.exit('no data directory')",
}


class Stage(Protocol):
    """A supervisor on which the programs are known."""

    folder: Path
    knows_its_programs: bool

    def driver(self, name: str) -> ServiceDriver:
        """Return the driver of a program, known or not."""
        ...


def write_programs(folder: Path) -> None:
    """Write the programs into `folder`."""
    for name, code in CODES.items():
        (folder / f"{name}.py").write_text(code)


def pid_of(stage: Stage, name: str) -> int | None:
    """Return the number of the program's process, if it lives."""
    try:
        pid = int((stage.folder / f"{name}.py.pid").read_text())
        stat = Path(f"/proc/{pid}/stat").read_text()
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    is_ours = f"{name}.py".encode() in command
    return pid if is_ours and stat.rpartition(")")[2].split()[0] != "Z" else None


class _Supervisord:
    knows_its_programs = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def driver(self, name: str) -> SupervisordDriver:
        return SupervisordDriver(f"unix://{self.folder}/s", name, timeout_s=TIMEOUT_S)


@contextmanager
def supervisord_stage() -> Iterator[Stage]:
    """Yield a supervisord of its own."""
    folder = Path(tempfile.mkdtemp(prefix="pp", dir="/tmp"))
    write_programs(folder)
    sections = "".join(
        f"[program:{name}]\ncommand={sys.executable} {folder}/{name}.py\nautostart=false\n"
        f"startsecs=1\nstartretries=1\nautorestart={'false' if name == 'mortal' else 'true'}\n"
        for name in CODES
    )
    (folder / "conf").write_text(
        f"[supervisord]\nlogfile={folder}/log\npidfile={folder}/pid\nchildlogdir={folder}\n"
        f"[unix_http_server]\nfile={folder}/s\n[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n"
        + sections
    )
    argv = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", f"{folder}/conf"]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, cwd=folder)
    try:
        deadline = time.monotonic() + 30
        while not (folder / "s").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield _Supervisord(folder)
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder)


class _Commands:
    knows_its_programs = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def driver(self, name: str) -> CommandDriver:
        script = f"{self.folder}/{name}.py"
        start = f"{sys.executable} {script} </dev/null >{script}.log 2>&1 & sleep 0.5"
        pid = f"$(cat {script}.pid 2>/dev/null || echo none)"
        alive = f"grep -qs {name}.py /proc/{pid}/cmdline"
        stop = f"kill {pid} 2>/dev/null; while {alive}; do sleep 0.05; done; rm -f {script}.pid"
        status = f"{alive} && exit 0; [ -e {script}.pid ] && exit 1; exit 3"
        argvs = (["sh", "-c", text] for text in (start, stop, status))
        return CommandDriver(*argvs, timeout_s=3.0)


@contextmanager
def command_stage() -> Iterator[Stage]:
    """Yield programs that shell commands start and stop."""
    folder = Path(tempfile.mkdtemp(prefix="pp", dir="/tmp"))
    write_programs(folder)
    stage = _Commands(folder)
    try:
        yield stage
    finally:
        for name in CODES:
            if (pid := pid_of(stage, name)) is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder)


class _Pm2:
    knows_its_programs = True

    def __init__(self, home: Pm2Home) -> None:
        self.folder = home.folder
        self._home = home

    def driver(self, name: str) -> ServiceDriver:
        return self._home.driver(name, TIMEOUT_S)


@contextmanager
def pm2_stage() -> Iterator[Stage]:
    """Yield a pm2 of its own, its programs stopped."""
    with pm2_home() as home:
        for name, code in CODES.items():
            options = {"mortal": ["--no-autorestart"], "broken": ["--max-restarts", "3"]}
            home.run(name, code, *options.get(name, []))
            home.pm2("stop", name)
        yield _Pm2(home)


UNITS = Path("/usr/local/lib/systemd/system")


class _Systemd:
    knows_its_programs = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def driver(self, name: str) -> SystemdDriver:
        return SystemdDriver(f"processpilot-conformance-{name}", timeout_s=TIMEOUT_S)


@contextmanager
def systemd_stage() -> Iterator[Stage]:
    """Yield units of the machine's own systemd, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="pp", dir="/tmp"))
    write_programs(folder)
    stage = _Systemd(folder)
    UNITS.mkdir(parents=True, exist_ok=True)
    for name in CODES:
        restart = "no" if name == "mortal" else "always"
        # Type=exec and a pause: systemd calls a simple service active before it has failed.
        (UNITS / f"processpilot-conformance-{name}.service").write_text(
            f"[Service]\nType=exec\nExecStart={sys.executable} {folder}/{name}.py\n"
            f"ExecStartPost=/bin/sleep 0.5\nRestart={restart}\n"
            "[Unit]\nStartLimitIntervalSec=30\nStartLimitBurst=3\n"
        )
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    try:
        yield stage
    finally:
        for name in CODES:
            stage.driver(name).release()
            stage.driver(name).stop()
            (UNITS / f"processpilot-conformance-{name}.service").unlink()
        subprocess.run(["systemctl", "daemon-reload"], check=True)
        shutil.rmtree(folder)


RUNS_SYSTEMD = (
    Path("/run/systemd/system").is_dir()
    and os.geteuid() == 0
    and shutil.which("systemctl") is not None
)

STAGES = {
    "supervisord": supervisord_stage,
    "command": command_stage,
    "pm2": pm2_stage,
    "systemd": systemd_stage,
}
MISSING = {
    "pm2": None if PM2 else "needs node, and pm2 on PATH or below PROCESSPILOT_TEST_PM2",
    "systemd": None if RUNS_SYSTEMD else "needs root on a machine booted with systemd",
}


def stage_of(kind: str) -> AbstractContextManager[Stage]:
    """Return the stage of a kind of supervisor that runs here."""
    return STAGES[kind]()
