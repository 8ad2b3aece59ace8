"""A data directory and its server process: create, start, watch, stop, find."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from processpilot.errors import UnavailableError
from processpilot.postgres.account import Launch, launch_for
from processpilot.postgres.binaries import Installation

_POLL_S = 0.05
_LOG_TAIL_BYTES = 4000
_STOP_SIGNALS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT, "smart": signal.SIGTERM}


def initialise(
    installation: Installation,
    data_dir: Path,
    *,
    superuser: str,
    wal_segment_bytes: int | None = None,
    checksums: bool = True,
) -> None:
    """Create a new cluster in `data_dir`: UTF-8, locale C, local trust, host scram."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    argv = [
        str(installation.bin_dir / "initdb"),
        f"--pgdata={data_dir}",
        f"--username={superuser}",
        "--encoding=UTF8",
        "--locale=C",
        "--auth-local=trust",
        "--auth-host=trust",
        "--no-instructions",
    ]
    if checksums:
        argv.append("--data-checksums")
    elif installation.major >= 18:
        argv.append("--no-data-checksums")
    if wal_segment_bytes is not None:
        argv.append(f"--wal-segsize={wal_segment_bytes >> 20}")
    done = _run(launch_for(data_dir), argv)
    if done.returncode != 0:
        raise UnavailableError(f"initdb failed: {' '.join(done.stderr.split())}")


def _run(launch: Launch, argv: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*launch.prefix, *argv],
        capture_output=True,
        text=True,
        check=False,
        user=launch.user,
        group=launch.group,
        extra_groups=None if launch.user is None else [],
        env=dict(os.environ) | {"LC_ALL": "C"},
    )


@dataclass(slots=True)
class Postmaster:
    """A server process that we started, and the private socket it listens on."""

    data_dir: Path
    socket_dir: Path
    port: int
    log_path: Path
    process: subprocess.Popen[bytes] = field(repr=False)

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        return self.process.pid

    def is_running(self) -> bool:
        """Whether the process lives."""
        return self.process.poll() is None

    def stop(self, mode: str = "fast", timeout_s: float = 60.0) -> None:
        """Stop the server and remove its socket folder; after `timeout_s` it is killed."""
        if self.process.poll() is None:
            self.process.send_signal(_STOP_SIGNALS[mode])
            try:
                self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.kill()
        self.process.wait()
        shutil.rmtree(self.socket_dir, ignore_errors=True)

    def kill(self) -> None:
        """End the postmaster with SIGKILL; its children notice and end by themselves."""
        self.process.kill()
        self.process.wait()


def start(
    installation: Installation,
    data_dir: Path,
    *,
    settings: Mapping[str, str],
    log_path: Path,
    timeout_s: float,
    superuser: str,
) -> Postmaster:
    """Return a server on `data_dir` that answers `superuser` on a private socket.

    `settings` are given on the command line and so win over every file. A server in recovery is
    ready once it is consistent. UnavailableError carries the server's last words when it ends
    first.
    """
    launch = launch_for(data_dir)
    socket_dir = Path(tempfile.mkdtemp(prefix="pp-"))
    if launch.user is not None:
        os.chown(socket_dir, launch.user, -1)
    port = int(settings.get("port", "5432"))
    every = {"unix_socket_directories": str(socket_dir), "port": str(port), **settings}
    argv = [*launch.prefix, str(installation.bin_dir / "postgres"), "-D", str(data_dir)]
    for name, value in every.items():
        argv += ["-c", f"{name}={value}"]
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            user=launch.user,
            group=launch.group,
            extra_groups=None if launch.user is None else [],
            start_new_session=True,
            cwd="/",
        )
    server = Postmaster(data_dir, socket_dir, port, log_path, process)
    try:
        _wait_ready(server, superuser, timeout_s)
    except BaseException:
        server.stop("immediate")
        raise
    return server


def _wait_ready(server: Postmaster, superuser: str, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        if not server.is_running():
            raise UnavailableError(
                f"the server on {server.data_dir} ended: {last_words(server.log_path)}"
            )
        try:
            psycopg.connect(
                host=str(server.socket_dir),
                port=server.port,
                user=superuser,
                dbname="postgres",
                connect_timeout=2,
            ).close()
            return
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"the server on {server.data_dir} did not answer within {timeout_s:.0f} s: "
                    f"{' '.join(str(error).split())}"
                ) from error
        time.sleep(_POLL_S)


def last_words(log_path: Path) -> str:
    """Return the last FATAL, PANIC or ERROR line of a server's log, else its last line."""
    try:
        with log_path.open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - _LOG_TAIL_BYTES))
            lines = log.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return "it left no log"
    for line in reversed(lines):
        if any(word in line for word in ("FATAL:", "PANIC:", "ERROR:")):
            return line
    return lines[-1] if lines else "it wrote nothing"


def postmaster_of(data_dir: Path) -> int | None:
    """Return the pid of a live postmaster that owns `data_dir`, or None.

    postmaster.pid may be stale: the process named there must have the folder as its own.
    """
    try:
        first = (data_dir / "postmaster.pid").read_text().splitlines()[0]
        pid = int(first)
    except (OSError, ValueError, IndexError):
        pid = 0
    processes = server_processes(data_dir)
    if pid in processes:
        return pid
    return processes[0] if processes else None


def server_processes(data_dir: Path) -> list[int]:
    """Return every live process whose working folder is, or was, `data_dir`, by pid.

    PostgreSQL's processes all work inside their data directory; a folder that was removed under
    them still shows, marked as deleted (proc(5)).
    """
    wanted = os.path.realpath(data_dir)
    found = []
    for pid, folder in _working_folders():
        if folder == wanted or folder == f"{wanted} (deleted)":
            found.append(pid)
    return sorted(found)


def _working_folders() -> Iterator[tuple[int, str]]:
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            yield int(entry.name), str(Path(f"/proc/{entry.name}/cwd").readlink())


def unseen_servers(owner: int) -> list[int]:
    """Return live PostgreSQL processes of user `owner` whose working folder we may not see.

    A server runs as its data directory's owner and as nobody else (src/backend/utils/init/
    miscinit.c, checkDataDir), so other users' servers cannot be the one looked for.
    """
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            Path(f"/proc/{entry.name}/cwd").readlink()
        except PermissionError:
            with contextlib.suppress(OSError):
                name = Path(f"/proc/{entry.name}/comm").read_text().strip()
                if name == "postgres" and entry.stat().st_uid == owner:
                    found.append(int(entry.name))
        except OSError:
            continue
    return sorted(found)
