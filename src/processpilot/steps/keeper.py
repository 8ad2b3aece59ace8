"""Who stays with a program while it runs: a process of its own, started by `steps.command`.

It starts the program, keeps its words, ends it in time and writes down how it ended, whether or not
the controller that began the step still lives. So a killed controller leaves a program that is
still observed: whoever resumes the run reads the record, or waits for it. A keeper that is killed
takes the program with it (PR_SET_PDEATHSIG, prctl(2); the keeper has one thread, so the signal
comes from nothing else's end). Programs that the program left running are neither waited for nor
ended; a reader (`cat`) stays for what they may still say, so that no broken pipe ends them.

The record is a file that the controller made and locked: the keeper inherits the lock and holds it
while it lives. Its lines, in JSON: that the program is about to start, then how it ended.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from processpilot.steps.output import KeptOutput
from processpilot.steps.redact import Redactor

TERM_GRACE_S = 5.0
_POLL_S = 0.05
_READ_BYTES = 1 << 16
_DRAIN_BYTES = 64 << 20
_PR_SET_PDEATHSIG = 1


class Keeper:
    """One program, from its start to its record."""

    def __init__(self, record: int, order: Mapping[str, Any]) -> None:
        self._record = record
        self._order = order
        self._given_up = False
        self._output = KeptOutput(Path(order["output"]), Redactor(order["secrets"]))
        self._begun_s = time.monotonic()

    def run(self) -> int | None:
        """Carry out the order; return the pipe that others still hold, or None."""
        signal.signal(signal.SIGTERM, self._give_up)
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        self._note({"starting": True})
        try:
            process = self._start(writer)
        except OSError as error:
            self._output.close()
            self._note({"ended": "not started", "why": error.strerror or str(error)})
            return None
        finally:
            os.close(writer)
        ended = self._follow(process, reader)
        is_open = self._drain(reader)
        self._output.close()
        self._note(
            {
                "ended": ended,
                "exit_status": process.wait(),
                "duration_s": round(time.monotonic() - self._begun_s, 3),
                "bytes": self._output.said_bytes,
                "sha256": self._output.sha256,
                "cut": self._output.is_cut,
            }
        )
        return reader if is_open else None

    def _start(self, writer: int) -> subprocess.Popen[bytes]:
        keeper = os.getpid()
        prctl = ctypes.CDLL(None).prctl

        def die_with_keeper() -> None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != keeper:
                os._exit(1)

        return subprocess.Popen(
            self._order["argv"],
            cwd=self._order["folder"],
            env=self._order["env"],
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=writer,
            start_new_session=True,
            preexec_fn=die_with_keeper,
        )

    def _follow(self, process: subprocess.Popen[bytes], reader: int) -> str:
        """Return why the program ended, once it has."""
        deadline = self._begun_s + float(self._order["timeout_s"])
        open_pipe = True
        while not _is_over(process):
            if self._given_up or time.monotonic() > deadline:
                self._end_group(process, reader)
                return "given up" if self._given_up else "timed out"
            open_pipe = self._listen(reader) if open_pipe else _pause()
        return "by itself"

    def _end_group(self, process: subprocess.Popen[bytes], reader: int) -> None:
        """Send TERM, a moment later KILL; the program's exit is collected after that, so that its
        group is nobody else's meanwhile."""
        _signal_group(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + float(self._order["grace_s"])
        while not _is_over(process) and time.monotonic() < deadline:
            self._listen(reader)
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()

    def _listen(self, reader: int) -> bool:
        """Take what is said within a moment; return False once nobody can say anything more."""
        ready, _, _ = select.select([reader], [], [], _POLL_S)
        if not ready:
            return True
        data = os.read(reader, _READ_BYTES)
        self._output.add(data)
        return bool(data) or _pause(is_open=False)

    def _drain(self, reader: int) -> bool:
        """Take what lies in the pipe already; return whether others can still write into it."""
        end = self._output.said_bytes + _DRAIN_BYTES
        while self._output.said_bytes < end:
            try:
                data = os.read(reader, _READ_BYTES)
            except BlockingIOError:
                return True
            if not data:
                return False
            self._output.add(data)
        return True

    def _give_up(self, number: int, frame: FrameType | None) -> None:
        self._given_up = True

    def _note(self, data: Mapping[str, object]) -> None:
        os.write(self._record, f"{json.dumps(data)}\n".encode())
        os.fsync(self._record)


def _is_over(process: subprocess.Popen[bytes]) -> bool:
    """Whether the program has ended; its exit is left to be collected."""
    options = os.WEXITED | os.WNOWAIT | os.WNOHANG
    return os.waitid(os.P_PID, process.pid, options) is not None


def _pause(*, is_open: bool = False) -> bool:
    time.sleep(_POLL_S)
    return is_open


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)


def _read_on(pipe: int) -> None:
    """Leave a reader for those who still hold the pipe, and nothing else of us."""
    if os.fork() == 0:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(pipe, 0)
        os.set_blocking(0, True)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        with suppress(OSError):
            os.execvp("cat", ["cat"])  # noqa: S606
        os._exit(1)


def main() -> None:
    """Keep the program that the order on standard input names; the record is already open."""
    record = int(sys.argv[1])
    os.set_inheritable(record, False)
    order = json.load(sys.stdin)
    pipe = Keeper(record, order).run()
    if pipe is not None:
        _read_on(pipe)


if __name__ == "__main__":
    main()
