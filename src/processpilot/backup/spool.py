"""The spool: the folder into which pg_receivewal writes what the server sends.

It belongs to one receiver at a time. Shipping moves what is there into the repository: whole
segments and history files, and the growing end of the current segment. A segment leaves the spool
only after it is stored, and the newest one stays, because pg_receivewal continues behind it.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from processpilot.errors import IntegrityError, UnavailableError
from processpilot.postgres.history import TimelineHistory
from processpilot.postgres.lsn import Lsn
from processpilot.postgres.wal import Segment, is_history_name, is_segment_name
from processpilot.repository.wal import WalArchive

PARTIAL = ".partial"
_PAGE_BYTES = 8192
_SEALED = "%Y%m%dT%H%M%SZ"

# How long the log of a server that is no more stays at hand, though all of it is stored.
SEALED_LIFETIME = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class SpoolFile:
    """A segment in the spool; `partial` while it is being written."""

    path: Path
    segment: Segment
    partial: bool


@dataclass(frozen=True, slots=True)
class Shipped:
    """What one round of shipping stored: whole segments, and how far the log now reaches."""

    segments: int
    stored_bytes: int
    reached: Lsn | None


class Spool:
    """One spool folder. Not safe to share between threads."""

    def __init__(self, folder: Path, segment_bytes: int) -> None:
        self.folder = folder
        self.segment_bytes = segment_bytes
        self._tail: tuple[Segment, int] | None = None
        self._histories: set[str] = set()
        self._stored: set[Segment] = set()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def files(self) -> list[SpoolFile]:
        """Return the segments in the spool, oldest first; a partial one after whole ones."""
        found = []
        for path in self.folder.iterdir():
            name = path.name.removesuffix(PARTIAL)
            if is_segment_name(name):
                partial = path.name != name
                found.append(SpoolFile(path, Segment.parse(name, self.segment_bytes), partial))
        return sorted(found, key=lambda file: (file.segment, file.partial))

    def written_to(self) -> Lsn | None:
        """Return up to where the spool holds log, read from its newest file; None when empty.

        The bytes behind the last record are zeros, so this may fall short by padding only.
        """
        files = self.files()
        if not files:
            return None
        newest = files[-1]
        if not newest.partial:
            return newest.segment.end
        return Lsn(newest.segment.begin + len(_written(newest.path, 0)))

    def ship(self, archive: WalArchive) -> Shipped:
        """Store what the repository does not have yet; durable on return."""
        self._ship_histories(archive)
        files = self.files()
        stored_bytes = count = 0
        for file in files:
            if file.partial:
                stored_bytes += self._ship_tail(archive, file)
            elif file.segment not in self._stored:
                stored_bytes += archive.put_segment(file.segment, _whole(file))
                self._stored.add(file.segment)
                count += 1
        self._forget_shipped(files)
        return Shipped(count, stored_bytes, self._reached(files))

    def _ship_histories(self, archive: WalArchive) -> None:
        for path in sorted(self.folder.iterdir()):
            if is_history_name(path.name) and path.name not in self._histories:
                timeline = int(path.name.partition(".")[0], 16)
                archive.put_history(TimelineHistory.parse(timeline, path.read_text()))
                self._histories.add(path.name)

    def _ship_tail(self, archive: WalArchive, file: SpoolFile) -> int:
        """Store what has been added to an unfinished segment since the last round."""
        shipped = self._tail[1] if self._tail and self._tail[0] == file.segment else 0
        begin = shipped - shipped % _PAGE_BYTES
        data = _written(file.path, begin)
        if begin + len(data) <= shipped:
            return 0
        stored = archive.put_tail(file.segment, begin, data)
        self._tail = (file.segment, begin + len(data))
        return stored

    def _forget_shipped(self, files: list[SpoolFile]) -> None:
        whole = [file for file in files if not file.partial]
        for file in whole[:-1]:
            if file.segment in self._stored:
                file.path.unlink()
                self._stored.discard(file.segment)

    def _reached(self, files: list[SpoolFile]) -> Lsn | None:
        if self._tail is not None and files and files[-1].segment == self._tail[0]:
            return Lsn(self._tail[0].begin + self._tail[1])
        whole = [file for file in files if not file.partial]
        return whole[-1].segment.end if whole else None

    def mend(self) -> None:
        """Remove an unfinished segment of a wrong length, behind which no receiver would continue.

        A full disk leaves it: pg_receivewal gives a new segment its whole length before it writes
        into it, and afterwards refuses one that is shorter. Call it when everything was shipped;
        the server sends the segment again from its beginning.
        """
        for file in self.files():
            if file.partial and file.path.stat().st_size not in (0, self.segment_bytes):
                file.path.unlink()

    def seal(self, at: datetime) -> Path:
        """Put the spool aside under a name of its own and return it; the folder is empty after.

        Call it when everything was shipped: the next receiver must not continue behind the log of
        a server that is no more.
        """
        sealed = self.folder.with_name(f"{self.folder.name}-sealed-{at:{_SEALED}}")
        self.folder.rename(sealed)
        self.folder.mkdir(mode=0o700)
        self._tail = None
        self._histories.clear()
        self._stored.clear()
        return sealed


def remove_sealed(folder: Path, now: datetime) -> None:
    """Remove spools put aside more than a week ago beside `folder`; all in them was stored."""
    for path in folder.parent.glob(f"{folder.name}-sealed-*"):
        try:
            sealed_at = datetime.strptime(path.name.rpartition("-")[2], _SEALED).replace(tzinfo=UTC)
        except ValueError:
            continue
        if now - sealed_at > SEALED_LIFETIME:
            shutil.rmtree(path, ignore_errors=True)


def _whole(file: SpoolFile) -> bytes:
    data = file.path.read_bytes()
    if len(data) != file.segment.size_bytes:
        raise IntegrityError(
            f"{file.path.name} in the spool has {len(data)} bytes, "
            f"a segment has {file.segment.size_bytes}"
        )
    return data


def _written(path: Path, begin: int) -> bytes:
    """Return what an unfinished segment holds from `begin`, without the zeros behind it."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise UnavailableError(f"cannot read {path}: {error.strerror}") from error
    try:
        size = os.fstat(descriptor).st_size
        return os.pread(descriptor, max(0, size - begin), begin).rstrip(b"\0")
    finally:
        os.close(descriptor)
