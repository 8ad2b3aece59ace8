"""Where the archived log really ends: the last whole record and the last commit.

The last bytes received may be half a record. PostgreSQL's own pg_waldump is asked which records
are whole; where they end and what they are is read from the log itself (`postgres.records`).
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from processpilot.errors import GapError, UnavailableError
from processpilot.leftovers import LOG_PREFIX
from processpilot.postgres.binaries import Installation
from processpilot.postgres.lsn import Lsn
from processpilot.postgres.records import LogFiles, record_end
from processpilot.postgres.wal import Segment
from processpilot.repository.chain import Chain
from processpilot.repository.wal import WalArchive

_RECORD = re.compile(
    r"rmgr: \S+\s+len \(rec/tot\):\s*\d+/\s*(?P<total>\d+), tx:\s*\d+, "
    r"lsn: (?P<lsn>[0-9A-F]+/[0-9A-F]+), prev [0-9A-F/]+, desc: (?P<desc>.*)"
)
_COMMIT = re.compile(r"COMMIT(?:_PREPARED)? (?:\d+: )?(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) UTC")
_LOOK_BACK_SEGMENTS = 8


@dataclass(frozen=True, slots=True)
class LogEnd:
    """Where the last whole record ends (exclusive) and begins, and the last commit's time."""

    lsn: Lsn
    last_record: Lsn
    last_commit_at: datetime | None


def find_log_end(archive: WalArchive, chain: Chain, installation: Installation) -> LogEnd:
    """Return where replaying `chain` will end.

    Looks at the newest segments only, and back for a few more while no commit is among them.
    """
    names = [*chain.segments, *([chain.tail] if chain.tail is not None else [])]
    if not names:
        raise GapError(f"no log at all from {chain.begin} on", segment=f"timeline {chain.timeline}")
    last: Record | None = None
    commit: datetime | None = None
    with TemporaryDirectory(prefix=LOG_PREFIX) as folder:
        for count, segment in enumerate(reversed(names)):
            _fetch(archive, chain, segment, chain.timeline, Path(folder))
            first = Segment(chain.timeline, segment.number, segment.size_bytes)
            newest = Segment(chain.timeline, names[-1].number, segment.size_bytes)
            for record in dump_records(installation, Path(folder), first, newest):
                # The log held ends with the last byte that is not zero; a record may end in zeros,
                # and pg_waldump has checked its CRC.
                if record.begin >= chain.end:
                    break
                last = record
                if record.commit_at is not None:
                    commit = max(record.commit_at, commit or record.commit_at)
            if (last is not None and commit is not None) or count >= _LOOK_BACK_SEGMENTS:
                break
    if last is None:
        raise GapError(f"no whole record before {chain.end}", segment=names[-1].name)
    return LogEnd(last.end, last.begin, commit)


def _fetch(
    archive: WalArchive, chain: Chain, segment: Segment, timeline: int, folder: Path
) -> None:
    if segment == chain.tail:
        data = archive.read_tail(segment, chain.tail_pieces)
    else:
        data = archive.read_segment(segment)
    name = Segment(timeline, segment.number, segment.size_bytes).name
    (folder / name).write_bytes(data)


@dataclass(frozen=True, slots=True)
class Record:
    """A whole record: where it begins and ends (exclusive), when it committed if it is a commit."""

    begin: Lsn
    end: Lsn
    commit_at: datetime | None


def dump_records(
    installation: Installation, folder: Path, first: Segment, last: Segment
) -> Iterator[Record]:
    """Yield the whole records that begin in the files `first` to `last` of a folder, in order.

    What pg_waldump prints may hold text that any user of the database chose, line breaks included
    (pg_logical_emit_message), so a line counts only where the log itself has such a record.
    """
    log = LogFiles(folder, first.timeline, first.size_bytes)
    before: Record | None = None
    for line in _dumped(installation, folder / first.name, folder / last.name):
        match = _RECORD.match(line)
        if match is None:
            continue
        begin = Lsn.parse(match["lsn"])
        header = log.header_at(begin)
        if header is None or header.total_bytes != int(match["total"]):
            continue
        if before is not None and not log.follows(begin, before.begin, before.end):
            continue
        end = record_end(begin, header.total_bytes, first.size_bytes)
        if header.is_switch:
            end = Segment.containing(begin, first.timeline, first.size_bytes).end
        before = Record(begin, end, _commit_at(match["desc"]) if header.is_commit else None)
        yield before


def _dumped(installation: Installation, first: Path, last: Path) -> Iterator[str]:
    """Yield what pg_waldump prints, line by line; a segment of log can be gigabytes of text."""
    program = installation.bin_dir / "pg_waldump"
    try:
        with subprocess.Popen(
            [str(program), str(first), str(last)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"LC_ALL": "C", "TZ": "UTC"},
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                yield line.decode(errors="replace")
    except OSError as error:
        raise UnavailableError(
            f"cannot run {program}: {error.strerror}",
            hint=f"Install the client programs of PostgreSQL {installation.major}.",
        ) from error


def _commit_at(description: str) -> datetime | None:
    commit = _COMMIT.match(description)
    return None if commit is None else datetime.fromisoformat(commit[1]).replace(tzinfo=UTC)
