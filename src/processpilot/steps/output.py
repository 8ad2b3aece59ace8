"""What a program said, kept: redacted, bounded, in a file that only its owner can read.

Of more than KEPT_BYTES the beginning and the end are kept, and what was left out is named between
them. The beginning is in the file as soon as it was said, the end once the program has ended. What
a full disk does not take is left out: the program goes on.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from pathlib import Path

from processpilot.steps.redact import RedactingStream, Redactor

KEPT_BYTES = 4 << 20
TAIL_BYTES = 4096


class KeptOutput:
    """A new file that is filled with what a program says. Made once; `close` completes it."""

    def __init__(self, path: Path, redactor: Redactor, kept_bytes: int = KEPT_BYTES) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._stream = RedactingStream(redactor)
        self._half = kept_bytes // 2
        self._digest = hashlib.sha256()
        self._end: deque[bytes] = deque()
        self._end_bytes = 0
        self._is_full = False
        self.said_bytes = 0
        self.told_bytes = 0

    def add(self, data: bytes) -> None:
        """Take what the program has said."""
        self.said_bytes += len(data)
        self._keep(self._stream.feed(data))

    def close(self) -> None:
        """Write the end; on return everything that is kept is on disk."""
        self._keep(self._stream.end())
        end = b"".join(self._end)
        left_out = self.told_bytes - self._half - len(end)
        if left_out > 0:
            self._write(f"\n[processpilot: {left_out} bytes are left out here]\n".encode())
        self._write(end)
        try:
            os.fsync(self._file)
        except OSError:
            self._is_full = True
        os.close(self._file)

    @property
    def sha256(self) -> str:
        """The digest of all that was said, redacted: the file's own where nothing is left out."""
        return self._digest.hexdigest()

    @property
    def is_cut(self) -> bool:
        """Whether the file lacks something."""
        return self._is_full or self.told_bytes > 2 * self._half

    def _keep(self, told: bytes) -> None:
        self._digest.update(told)
        room = max(0, self._half - self.told_bytes)
        self.told_bytes += len(told)
        self._write(told[:room])
        rest = told[room:]
        if not rest:
            return
        self._end.append(rest)
        self._end_bytes += len(rest)
        while self._end_bytes > self._half:
            first = self._end.popleft()
            over = self._end_bytes - self._half
            self._end_bytes -= min(over, len(first))
            if over < len(first):
                self._end.appendleft(first[over:])

    def _write(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError:
            self._is_full = True


def tail_of(path: Path, limit_bytes: int = TAIL_BYTES) -> str:
    """Return the end of a kept output, at most so many bytes of it."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - limit_bytes))
        return file.read().decode(errors="replace").strip()
