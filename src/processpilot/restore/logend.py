"""Where the archived log really ends: the last whole record and the last commit.

The last bytes received may be half a record. PostgreSQL's own pg_waldump is asked which records
are whole; where the last one ends follows from its length and the page headers in between
(src/include/access/xlog_internal.h, PostgreSQL 15 to 18).
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
from processpilot.postgres.wal import Segment
from processpilot.repository.chain import Chain
from processpilot.repository.wal import WalArchive

_PAGE_BYTES = 8192
_SHORT_HEADER_BYTES = 24
_LONG_HEADER_BYTES = 40
_RECORD = re.compile(
    r"rmgr: (?P<rmgr>\S+)\s+len \(rec/tot\):\s*\d+/\s*(?P<total>\d+), tx:\s*\d+, "
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
            records = list(dump_records(installation, Path(folder), first, newest))
            # The log held ends with the last byte that is not zero; a record may end in zeros, and
            # pg_waldump has checked its CRC.
            usable = [record for record in records if record.begin < chain.end]
            if usable:
                last = usable[-1]
                commit = max((r.commit_at for r in usable if r.commit_at), default=None)
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
    """Yield the whole records that begin in the files `first` to `last` of a folder, in order."""
    program = installation.bin_dir / "pg_waldump"
    argv = [str(program), f"{folder / first.name}", f"{folder / last.name}"]
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, env={"LC_ALL": "C", "TZ": "UTC"}
        )
    except OSError as error:
        raise UnavailableError(
            f"cannot run {program}: {error.strerror}",
            hint=f"Install the client programs of PostgreSQL {installation.major}.",
        ) from error
    for line in done.stdout.splitlines():
        match = _RECORD.match(line)
        if match is None:
            continue
        start = Lsn.parse(match["lsn"])
        end = record_end(start, int(match["total"]), first.size_bytes)
        if match["rmgr"] == "XLOG" and match["desc"].startswith("SWITCH"):
            end = Segment.containing(start, first.timeline, first.size_bytes).end
        commit = _COMMIT.match(match["desc"]) if match["rmgr"] == "Transaction" else None
        at = None
        if commit is not None:
            at = datetime.fromisoformat(commit[1]).replace(tzinfo=UTC)
        yield Record(start, end, at)


def record_end(start: Lsn, total_bytes: int, segment_bytes: int) -> Lsn:
    """Return where the record after one at `start` begins, before any page header.

    A record runs on across page headers and is padded to eight bytes.
    """
    position = int(start)
    left = total_bytes
    while True:
        room = _PAGE_BYTES - position % _PAGE_BYTES
        if left <= room:
            position += left
            break
        left -= room
        position += room
        long_header = position % segment_bytes == 0
        position += _LONG_HEADER_BYTES if long_header else _SHORT_HEADER_BYTES
    return Lsn(-(-position // 8) * 8)
