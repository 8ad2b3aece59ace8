"""Running one command to its end, with a deadline and the end of what it said.

The command may leave a daemon behind that keeps its output open. Its output therefore goes to an
unnamed file, not to a pipe: nobody waits for the end of it, and the daemon is not killed by
SIGPIPE when this process ends. Only the last `tail_bytes` are ever read. A daemon that does not
redirect its own output keeps that file growing for as long as it runs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from processpilot.clock import Clock, SystemClock
from processpilot.errors import UnavailableError

TAIL_BYTES = 4096
TERM_GRACE_S = 2.0
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended: its exit code (minus the signal that ended it) and its last output."""

    exit_code: int
    tail: str


def run_argv(
    argv: Sequence[str],
    *,
    timeout_s: float,
    missing_hint: str,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    tail_bytes: int = TAIL_BYTES,
    clock: Clock = SystemClock(),
) -> Outcome:
    """Return how `argv` ended; output and errors share one tail, and its input is empty.

    Raises UnavailableError when it cannot be run (with `missing_hint`) or does not end within
    `timeout_s`; its process group then gets SIGTERM and, TERM_GRACE_S later, SIGKILL.
    `environment` is added to this process's own. It runs in `folder`, or where this process does;
    a larger `tail_bytes` is for those who need all that was said.
    """
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        except OSError as error:
            raise UnavailableError(
                f"{argv[0]} cannot be run: {error.strerror or error}", hint=missing_hint
            ) from error
        try:
            exit_code = process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            _end_group(process, clock)
            raise UnavailableError(
                f"{argv[0]} did not end within {timeout_s:g} s and was killed"
                f"{said(_tail(output, TAIL_BYTES))}",
                transient=True,
            ) from error
        except BaseException:
            _end_group(process, clock)
            raise
        return Outcome(exit_code, _tail(output, tail_bytes))


def said(tail: str) -> str:
    """Return `tail` as the end of a message, or nothing when it is empty."""
    return f": {tail}" if tail else ""


def _end_group(process: subprocess.Popen[bytes], clock: Clock) -> None:
    """End the command and its children; its exit is collected last, so its id stays its own."""
    _signal_group(process.pid, signal.SIGTERM)
    deadline = clock.monotonic() + TERM_GRACE_S
    options = os.WEXITED | os.WNOWAIT | os.WNOHANG
    while clock.monotonic() < deadline and os.waitid(os.P_PID, process.pid, options) is None:
        clock.sleep(POLL_S)
    _signal_group(process.pid, signal.SIGKILL)
    process.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def _tail(output: BinaryIO, tail_bytes: int) -> str:
    """Return the last `tail_bytes` of the command's output, trimmed."""
    size = os.fstat(output.fileno()).st_size
    start = max(0, size - tail_bytes)
    return os.pread(output.fileno(), size - start, start).decode(errors="replace").strip()
