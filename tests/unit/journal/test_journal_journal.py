"""Appending and reading, by several threads and processes, and by one that is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from threading import Barrier

import pytest

from processpilot.clock import SystemClock
from processpilot.errors import LockedError, UsageError
from processpilot.journal.epoch import Lease
from processpilot.journal.event import FIRST_PREVIOUS_HASH, Event, digest
from processpilot.journal.journal import Journal

BEGINNING = datetime(2026, 3, 1, tzinfo=UTC)

APPENDER = """
import sys
from pathlib import Path
from processpilot.clock import SystemClock
from processpilot.journal.journal import Journal

path, stream, limit = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
journal = Journal.open(path, SystemClock())
for number in range(1, limit + 1):
    event = journal.append(stream, "counted", {"number": number, "filler": "x" * 3000})
    print(event.sequence, event.hash, flush=True)
"""


class SteppingClock:
    """A clock that moves one second with every look."""

    def __init__(self) -> None:
        self._looks = 0

    def now(self) -> datetime:
        self._looks += 1
        return BEGINNING + timedelta(seconds=self._looks)

    def monotonic(self) -> float:
        return float(self._looks)

    def sleep(self, seconds: float) -> None:
        self._looks += 1


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Give a new journal on a real file."""
    with closing(Journal.open(tmp_path / "journal.sqlite", SteppingClock())) as opened:
        yield opened


def appender(path: Path, stream: str, limit: int) -> subprocess.Popen[str]:
    """Start a process that appends and prints each acknowledged event."""
    command = [sys.executable, "-c", APPENDER, str(path), stream, str(limit)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_an_event_reads_back_as_it_was_returned(journal: Journal) -> None:
    """What append returns is what is stored, with tuples as the lists JSON has."""
    event = journal.append("run/1", "begun", {"steps": ("fence", "restore"), "ok": None, "ü": 0.1})
    assert journal.read("run/1") == (event,)
    assert event.data == {"steps": ["fence", "restore"], "ok": None, "ü": 0.1}
    assert (event.position, event.sequence, event.epoch) == (1, 1, 0)
    assert event.at == BEGINNING + timedelta(seconds=1)
    assert event.previous_hash == FIRST_PREVIOUS_HASH
    assert event.hash == digest(event)


def test_one_chain_runs_through_all_streams(journal: Journal) -> None:
    """Positions count over all streams, sequences within one, and each event names the last."""
    for stream in ("a", "b", "a"):
        journal.append(stream, "noted", {})
    events = journal.recent(10)
    assert [(e.position, e.stream, e.sequence) for e in events] == [
        (1, "a", 1),
        (2, "b", 1),
        (3, "a", 2),
    ]
    assert all(later.previous_hash == earlier.hash for earlier, later in pairwise(events))
    assert journal.verify().position == 3


def test_reading_begins_after_the_named_sequence(journal: Journal) -> None:
    """A reader that has seen the first two events gets the third."""
    for number in range(3):
        journal.append("a", "noted", {"number": number})
    assert [e.sequence for e in journal.read("a", after=2)] == [3]
    assert journal.read("a", after=3) == ()
    assert journal.read("unknown") == ()


def test_streams_are_listed_last_written_first(journal: Journal) -> None:
    """Order follows the last event; a prefix is taken literally, case and wildcards included."""
    for stream in ("run/1", "run/2", "drill/1", "RUN/3", "run/1"):
        journal.append(stream, "noted", {})
    assert journal.streams() == ("run/1", "RUN/3", "drill/1", "run/2")
    assert journal.streams("run/") == ("run/1", "run/2")
    assert journal.streams("r%") == ()


def test_latest_finds_the_last_event_of_a_kind(journal: Journal) -> None:
    """The last event of the kind is found, within the streams asked for."""
    journal.append("run/1", "begun", {"n": 1})
    journal.append("drill/1", "begun", {"n": 2})
    journal.append("drill/1", "finished", {})
    newest, run = journal.latest("begun"), journal.latest("begun", "run/")
    assert newest is not None and newest.data == {"n": 2}
    assert run is not None and run.data == {"n": 1}
    assert journal.latest("begun", "check/") is None


def test_recent_gives_the_last_events_newest_last(journal: Journal) -> None:
    """The limit counts from the end, after choosing kinds."""
    for number, kind in enumerate(("x", "y", "x", "y"), start=1):
        journal.append("a", kind, {"number": number})
    assert [e.position for e in journal.recent(2)] == [3, 4]
    assert [e.position for e in journal.recent(2, {"x"})] == [1, 3]
    assert journal.recent(0) == journal.recent(5, ()) == ()


def test_a_wrong_expected_sequence_writes_nothing(journal: Journal) -> None:
    """Whoever decided on old events is stopped, and the message names both numbers."""
    journal.append("a", "noted", {}, expected_sequence=1)
    for wrong in (1, 3):
        with pytest.raises(LockedError, match=f"continues with event 2, not {wrong}"):
            journal.append("a", "noted", {}, expected_sequence=wrong)
    assert journal.append("a", "noted", {}, expected_sequence=2).position == 2


def test_a_stale_epoch_writes_nothing(journal: Journal) -> None:
    """Once a newer epoch has begun the older lease cannot append; other names are unaffected."""
    old, other = journal.begin_epoch("controller"), journal.begin_epoch("archiver")
    assert journal.append("a", "noted", {}, lease=old).epoch == 1
    new = journal.begin_epoch("controller")
    with pytest.raises(LockedError, match="epoch 1, and the journal's newest is 2"):
        journal.append("a", "noted", {}, lease=old)
    assert journal.append("a", "noted", {}, lease=new).epoch == 2
    assert journal.append("a", "noted", {}, lease=other).epoch == 1
    assert journal.verify().position == 3


def test_a_lease_the_journal_never_gave_is_refused(journal: Journal) -> None:
    """An epoch from another journal, or from the future, does not count."""
    with pytest.raises(LockedError):
        journal.append("a", "noted", {}, lease=Lease("controller", 1))


@pytest.mark.parametrize("name", ["", "x" * 201, "a\nb", "a\x00", "\ud800"])
def test_names_that_cannot_be_shown_are_refused(journal: Journal, name: str) -> None:
    """Streams and kinds are printable text of bounded length."""
    with pytest.raises(UsageError):
        journal.append(name, "noted", {})
    with pytest.raises(UsageError):
        journal.append("a", name, {})
    assert journal.verify().position == 0


def test_threads_append_without_a_hole(journal: Journal) -> None:
    """Twenty threads on one journal lose nothing and break no chain."""
    with ThreadPoolExecutor(20) as pool:
        events = list(pool.map(lambda n: journal.append(f"s{n % 3}", "n", {"n": n}), range(60)))
    assert sorted(e.position for e in events) == list(range(1, 61))
    assert journal.verify().position == 60


def test_readers_see_whole_events_while_others_write(journal: Journal) -> None:
    """Verification in the middle of appends finds a sound chain every time."""
    with ThreadPoolExecutor(2) as pool:
        writing = pool.submit(lambda: [journal.append("a", "n", {"n": n}) for n in range(50)])
        seen = [journal.verify().position]
        while not writing.done():
            seen.append(journal.verify().position)
    assert seen == sorted(seen)
    assert journal.verify().position == 50


def test_many_may_create_one_journal_together(tmp_path: Path) -> None:
    """Eight that open a journal at the same moment all get it, ten times over."""
    with ThreadPoolExecutor(8) as pool:
        for attempt in range(10):
            path, together = tmp_path / f"{attempt}.sqlite", Barrier(8)

            def create(path: Path = path, together: Barrier = together) -> Event:
                together.wait()
                with closing(Journal.open(path, SystemClock())) as journal:
                    return journal.append("a", "opened", {})

            made = [pool.submit(create) for _ in range(8)]
            assert sorted(each.result().position for each in made) == list(range(1, 9))


def test_processes_that_open_and_append_at_once_share_one_chain(tmp_path: Path) -> None:
    """Three processes create the journal together; every event of each is in the chain."""
    path = tmp_path / "new" / "journal.sqlite"
    processes = [appender(path, f"stream/{n}", 25) for n in range(3)]
    acknowledged = [process.communicate(timeout=60)[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert [len(lines) for lines in acknowledged] == [25, 25, 25]
    with closing(Journal.open(path, SystemClock())) as journal:
        assert journal.verify().position == 75


def test_kill_leaves_every_acknowledged_event(tmp_path: Path) -> None:
    """A process killed while appending loses nothing it acknowledged and leaves no half event."""
    path = tmp_path / "journal.sqlite"
    acknowledged: dict[int, str] = {}
    for round_number in range(5):
        with appender(path, "a", 100_000) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            time.sleep(0.03 + 0.017 * round_number)
            process.send_signal(signal.SIGKILL)
            lines = [first, *process.stdout.readlines()]
        assert process.returncode == -signal.SIGKILL
        for line in lines:
            if line.endswith("\n"):
                sequence, found = line.split()
                acknowledged[int(sequence)] = found
        with closing(Journal.open(path, SystemClock())) as journal:
            stored = {event.sequence: event.hash for event in journal.read("a")}
            assert journal.verify().position == len(stored)
        assert len(acknowledged) > round_number
        assert acknowledged.items() <= stored.items()
