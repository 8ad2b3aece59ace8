"""Serving log to a recovering server: prefetched by threads, handed over by a shell script.

`restore_command` runs once per segment, so it must not start an interpreter. It asks through
files in a folder: it notes what it wants, waits until that is ready, and moves it into place. The
server of these files fetches ahead and re-fetches whatever is asked for again.

The script answers "no such file" (status 1) only for names outside the operation plan. A failed
fetch or a vanished server of files ends it with a status above 125, upon which PostgreSQL stops
recovery instead of ending it early (manual, "Archive Recovery", restore_command).
"""

from __future__ import annotations

import os
import shlex
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from processpilot.errors import ProcessPilotError
from processpilot.postgres.wal import Segment
from processpilot.repository.wal import WalArchive
from processpilot.restore.plan import RestorePlan
from processpilot.restore.staging import hand_over, make_staging, write_into

_AHEAD = 16
_POLL_S = 0.01
_WORKERS = 2

_SCRIPT = """#!/bin/sh
# Hands one file of the operation plan to PostgreSQL. Usage: fetch.sh NAME DESTINATION
folder={folder}
name=$1
case $name in
*.history)
  [ -f "$folder/ready/$name" ] || exit 1
  exec cp "$folder/ready/$name" "$2"
  ;;
esac
if ! grep -q -x -F "$name" "$folder/planned"; then
  : > "$folder/wanted/past-end"
  exit 1
fi
while :; do
  if mv "$folder/ready/$name" "$2" 2>/dev/null; then
    exit 0
  fi
  [ -f "$folder/failed" ] && exit 200
  read -r pid < "$folder/pid" || exit 201
  [ -d "/proc/$pid" ] || exit 202
  : > "$folder/wanted/$name"
  sleep 0.02
done
"""


class LogServer:
    """Serves the log of one operation plan from a folder, while the context is entered.

    `failure` holds what stopped it; the recovering server then stops too.
    """

    def __init__(self, plan: RestorePlan, archive: WalArchive, owner: tuple[int, int]) -> None:
        self._plan = plan
        self._archive = archive
        self._owner = owner
        self._folder = plan.staging / "log"
        chain = plan.chain
        self._segments = [*chain.segments, *([chain.tail] if chain.tail is not None else [])]
        self._index = {segment.name: n for n, segment in enumerate(self._segments)}
        self._position = 0
        self._claimed: set[int] = set()
        self._served: set[int] = set()
        self._taken: set[int] = set()
        self._changed = threading.Condition()
        self._closing = False
        self._asked_tail_again = False
        self._threads: list[threading.Thread] = []
        self.failure: ProcessPilotError | None = None

    @property
    def command(self) -> str:
        """The restore_command for the recovering server."""
        script = shlex.quote(str(self._folder / "fetch.sh"))
        return f'/bin/sh {script.replace("%", "%%")} "%f" "%p"'

    @property
    def asked_past_end(self) -> bool:
        """Whether the recovering server wants more than the plan holds.

        It then asks for a segment behind the plan's end, or for the unfinished last one again.
        """
        return self._asked_tail_again or (self._folder / "wanted" / "past-end").exists()

    def forget_past_end(self) -> None:
        """Start noticing requests behind the plan's end anew."""
        self._asked_tail_again = False
        (self._folder / "wanted" / "past-end").unlink(missing_ok=True)

    def __enter__(self) -> Self:
        make_staging(self._plan.folder)
        self._folder.mkdir(mode=0o711, exist_ok=True)
        for name in ("ready", "wanted"):
            hand_over(self._folder / name, self._owner)
            for left in (self._folder / name).iterdir():
                left.unlink()
        (self._folder / "failed").unlink(missing_ok=True)
        self.forget_past_end()
        self._write("planned", "".join(f"{segment.name}\n" for segment in self._segments).encode())
        self._write("pid", f"{os.getpid()}\n".encode())
        script = _SCRIPT.format(folder=shlex.quote(str(self._folder)))
        self._write("fetch.sh", script.encode())
        for history in self._plan.histories:
            self._hand(f"{history.timeline:08X}.history", history.format().encode())
        workers: list[Callable[[], None]] = [self._watch, *([self._fetch] * _WORKERS)]
        self._threads = [threading.Thread(target=self._guard, args=(work,)) for work in workers]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        (self._folder / "pid").write_text("0\n")

    def _write(self, name: str, data: bytes) -> None:
        write_into(self._folder, name, data)

    def _hand(self, name: str, data: bytes) -> None:
        """Make a file ready for the server's account to take."""
        write_into(self._folder / "ready", name, data, self._owner)

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except ProcessPilotError as error:
            self.failure = error
        except OSError as error:
            self.failure = ProcessPilotError(f"cannot serve the log: {error}")
        if self.failure is not None:
            self._write("failed", b"")
            with self._changed:
                self._closing = True
                self._changed.notify_all()

    def _watch(self) -> None:
        """Notice what the script asks for, and move the window of prefetching there."""
        while True:
            with self._changed:
                self._changed.wait(_POLL_S)
                if self._closing:
                    return
            for path in (self._folder / "wanted").iterdir():
                number = self._index.get(path.name)
                path.unlink(missing_ok=True)
                if number is not None:
                    self._want(number)

    def _want(self, number: int) -> None:
        with self._changed:
            self._position = number
            if number in self._served and not self._ready(number).exists():
                if self._segments[number] == self._plan.chain.tail:
                    self._asked_tail_again = True
                for numbers in (self._served, self._claimed, self._taken):
                    numbers.discard(number)
            self._changed.notify_all()

    def _ready(self, number: int) -> Path:
        return self._folder / "ready" / self._segments[number].name

    def _fetch(self) -> None:
        while (number := self._next()) is not None:
            segment = self._segments[number]
            self._hand(segment.name, self._read(segment))
            with self._changed:
                self._served.add(number)

    def _next(self) -> int | None:
        """Return the next segment to fetch; blocks while enough of them wait to be taken."""
        with self._changed:
            while not self._closing:
                waiting = [
                    n
                    for n in self._claimed - self._taken
                    if n not in self._served or self._untaken(n)
                ]
                if len(waiting) < _AHEAD or self._position not in self._claimed:
                    for number in range(self._position, len(self._segments)):
                        if number not in self._claimed:
                            self._claimed.add(number)
                            return number
                self._changed.wait(_POLL_S)
            return None

    def _untaken(self, number: int) -> bool:
        """Whether a fetched segment still lies there; one that was taken is no longer counted."""
        if self._ready(number).exists():
            return True
        self._taken.add(number)
        return False

    def _read(self, segment: Segment) -> bytes:
        if segment == self._plan.chain.tail:
            return self._archive.read_tail(segment, self._plan.chain.tail_pieces)
        return self._archive.read_segment(segment)
