"""supervisord as the demo uses it: one configuration, started, asked, ended with all it runs."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from processpilot.demo.places import PYTHON, SUPERUSER, Places
from processpilot.demo.programs import Program
from processpilot.errors import ProcessPilotError, UnavailableError
from processpilot.services.driver import ServiceState
from processpilot.services.supervisord import SupervisordDriver

_START_S = 30.0
_END_S = 40.0


class Supervisor:
    """One supervisord and the programs of the demo; none starts by itself."""

    def __init__(self, places: Places, programs: Sequence[Program]) -> None:
        self._places = places
        self._programs = [program.name for program in programs]
        self._config = places.folder / "supervisord.conf"
        self._config.write_text(_config(places, programs))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def programs(self) -> Sequence[str]:
        """What it runs, in the order in which it is started."""
        return self._programs

    @property
    def address(self) -> str:
        """Where it is asked."""
        return f"unix://{self._places.supervisor}"

    def start(self) -> None:
        """Start supervisord; returns when it answers."""
        argv = [PYTHON, "-m", "supervisor.supervisord", "-n", "-c", str(self._config)]
        with (self._places.logs / "supervisord.out").open("ab") as log:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + _START_S
        while True:
            try:
                self.driver("postgres").status()
                return
            except UnavailableError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def driver(self, program: str, timeout_s: float = 60.0) -> SupervisordDriver:
        """Return the driver of one program."""
        return SupervisordDriver(self.address, program, timeout_s=timeout_s)

    def end(self) -> None:
        """Stop every program and supervisord; returns when no process is left. Idempotent."""
        if self._process is None:
            return
        for program in reversed(self._programs):
            with suppress(ProcessPilotError):
                if self.driver(program).status().state is not ServiceState.STOPPED:
                    self.driver(program).stop()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None


def _config(places: Places, programs: Sequence[Program]) -> str:
    def plain(path: Path | str) -> str:
        return str(path).replace("%", "%%")

    lines = [
        "[unix_http_server]",
        f"file={plain(places.supervisor)}",
        "chmod=0600",
        "[supervisord]",
        f"logfile={plain(places.logs / 'supervisord.log')}",
        f"pidfile={plain(places.folder / 'supervisord.pid')}",
        f"childlogdir={plain(places.logs)}",
        f"directory={plain(places.folder)}",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
    ]
    for program in programs:
        environment = ",".join(f'{k}="{plain(v)}"' for k, v in program.environment.items())
        lines += [
            f"[program:{program.name}]",
            f"command={plain(_words(program.argv))}",
            *([f"environment={environment}"] if environment else []),
            *([f"directory={plain(program.folder)}"] if program.folder else []),
            "autostart=false",
            "autorestart=true",
            "startsecs=1",
            f"startretries={program.retries}",
            "stopwaitsecs=20",
            f"stopsignal={program.stop_signal}",
            "redirect_stderr=true",
            f"stdout_logfile={plain(places.logs / program.name)}.log",
            "stdout_logfile_maxbytes=0",
        ]
    return "\n".join(lines) + "\n"


def _words(argv: Sequence[str]) -> str:
    return " ".join(f'"{word}"' if " " in word else word for word in argv)


def write_settings(places: Places) -> None:
    """Give the new cluster its port, its sockets and its rules of access."""
    with (places.data_dir / "postgresql.conf").open("a") as file:
        for name, value in (
            ("listen_addresses", "127.0.0.1"),
            ("port", str(places.database_port)),
            ("unix_socket_directories", str(places.sockets)),
            ("max_slot_wal_keep_size", "2GB"),
            ("shared_buffers", "128MB"),
            ("max_wal_size", "2GB"),
        ):
            file.write(f"{name} = '{value}'\n")
    (places.data_dir / "pg_hba.conf").write_text(
        "local all all trust\n"
        f"host all {SUPERUSER} 127.0.0.1/32 scram-sha-256\n"
        f"host replication {SUPERUSER} 127.0.0.1/32 scram-sha-256\n"
    )
