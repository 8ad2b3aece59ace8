"""What a dead server's own pg_wal still holds: log that nobody had received.

PostgreSQL names log files ahead and fills old ones anew, so a file's name proves nothing: a
segment counts once its first page carries its own address (XLogPageHeaderData,
src/include/access/xlog_internal.h, PostgreSQL 15 to 18). Where the log ends is found as for
archived log. Reads only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from processpilot.errors import GapError, NotFoundError, RefusedError, UnavailableError
from processpilot.postgres.binaries import Installation
from processpilot.postgres.control import read_control
from processpilot.postgres.lsn import Lsn
from processpilot.postgres.wal import Segment, history_name
from processpilot.restore.logend import dump_records

# xlp_magic, xlp_info, xlp_tli, xlp_pageaddr.
_PAGE_HEADER = struct.Struct("<HHIQ")


@dataclass(frozen=True, slots=True)
class SurvivingLog:
    """Log behind a position in an old data directory.

    `segments` follow one another; the last may be unfinished. `end` is where the last whole record
    ends, or how far the server is known to have come when `joined` is False: then the log between
    the position and what is left is gone.
    """

    folder: Path
    timeline: int
    segments: tuple[Segment, ...]
    end: Lsn
    joined: bool

    def read(self, segment: Segment) -> bytes:
        """Return one segment's bytes as far as they are whole records."""
        path = self.folder / segment.name
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UnavailableError(f"cannot read {path}: {error.strerror}") from error
        return data[: max(0, self.end - segment.begin)]

    @property
    def history(self) -> str | None:
        """The text of the timeline's history file, if there is one."""
        try:
            return (self.folder / history_name(self.timeline)).read_text()
        except OSError:
            return None


def surviving_log(
    data_dir: Path,
    system_identifier: int,
    installation: Installation,
    segment_bytes: int,
    position: Lsn,
) -> SurvivingLog:
    """Return the log that `data_dir` holds behind `position`.

    NotFoundError when there is no cluster any more, RefusedError when it is another one,
    UnavailableError or ChecksumError when it cannot be read.
    """
    control = read_control(data_dir)
    if control.system_identifier != system_identifier:
        raise RefusedError(
            f"{data_dir} holds cluster {control.system_identifier}, "
            f"the repository cluster {system_identifier}"
        )
    folder = data_dir / "pg_wal"
    if not folder.is_dir():
        raise NotFoundError(f"{data_dir} holds no pg_wal")
    first = Segment.containing(position, control.timeline, segment_bytes)
    segments = tuple(_begun(folder, first))
    reached = max(control.checkpoint, control.minimum_recovery_end)
    if not segments:
        return SurvivingLog(
            folder, control.timeline, (), max(position, reached), reached <= position
        )
    end = max(_end(folder, segments, installation), position)
    return SurvivingLog(folder, control.timeline, segments, max(end, reached), reached <= end)


def _begun(folder: Path, segment: Segment) -> Iterator[Segment]:
    """Yield `segment` and those after it for as long as they have been begun."""
    while True:
        try:
            with (folder / segment.name).open("rb") as file:
                header = file.read(_PAGE_HEADER.size)
        except FileNotFoundError:
            return
        except OSError as error:
            raise UnavailableError(
                f"cannot read {folder / segment.name}: {error.strerror}"
            ) from error
        if len(header) < _PAGE_HEADER.size:
            return
        magic, _, _, address = _PAGE_HEADER.unpack(header)
        if magic == 0 or address != segment.begin:
            return
        yield segment
        segment = segment.next()


def _end(folder: Path, segments: tuple[Segment, ...], installation: Installation) -> Lsn:
    """Return where the last whole record ends; the newest one may span several segments."""
    for segment in reversed(segments):
        end = None
        for record in dump_records(installation, folder, segment, segments[-1]):
            end = record.end
        if end is not None:
            return end
    raise GapError(
        f"no whole record in {folder} from {segments[0].name} on", segment=segments[0].name
    )
