"""One holder of a lease among real processes, known at once when it dies."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from processpilot.clock import SystemClock
from processpilot.errors import LockedError, UnavailableError, UsageError
from processpilot.journal.journal import Journal
from processpilot.journal.lease import Lease, acquire_lease, holder

OWNER = """
import sys
from pathlib import Path
from processpilot.clock import SystemClock
from processpilot.errors import LockedError
from processpilot.journal.journal import Journal
from processpilot.journal.lease import acquire_lease

journal = Journal.open(Path(sys.argv[1]), SystemClock())
print("ready", flush=True)
sys.stdin.readline()
try:
    with acquire_lease(journal, "controller", Path(sys.argv[2])) as lease:
        print("holds", lease.epoch, flush=True)
        sys.stdin.readline()
        try:
            journal.append("a", "noted", {}, lease=lease)
            print("appended", flush=True)
        except LockedError as error:
            print(error.message, flush=True)
except LockedError as error:
    print(error.message, flush=True)
"""


class Owner:
    """A process that takes the lease on the first line and appends on the second."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None and process.stdout is not None
        self.process, self._in, self._out = process, process.stdin, process.stdout

    def hear(self) -> str:
        return self._out.readline().strip()

    def go_on(self) -> None:
        self._in.write("\n")
        self._in.flush()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Give a new journal on a real file."""
    with closing(Journal.open(tmp_path / "journal.sqlite", SystemClock())) as opened:
        yield opened


@contextmanager
def owner(tmp_path: Path) -> Iterator[Owner]:
    """Start a process that is about to take the lease; it is gone afterwards."""
    command = [sys.executable, "-c", OWNER, str(tmp_path / "journal.sqlite"), str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            started = Owner(process)
            assert started.hear() == "ready"
            yield started
        finally:
            process.kill()


def test_epochs_grow_with_every_holder(journal: Journal, tmp_path: Path) -> None:
    """Each acquisition has the next epoch, counted per name."""
    for epoch in (1, 2, 3):
        with acquire_lease(journal, "controller", tmp_path) as lease:
            assert lease == Lease("controller", epoch)
    with acquire_lease(journal, "archiver", tmp_path) as lease:
        assert lease == Lease("archiver", 1)


def test_of_two_processes_one_holds(tmp_path: Path) -> None:
    """Two processes go for the lease at once; the loser's message names the winner."""
    with owner(tmp_path) as one, owner(tmp_path) as other:
        one.go_on()
        other.go_on()
        heard = {one: one.hear(), other: other.hear()}
        (winner,) = [each for each, said in heard.items() if said == "holds 1"]
        (loser,) = [each for each in heard if each is not winner]
        assert heard[loser].startswith("lease controller is held by process ")
        assert f" {winner.process.pid} since 20" in heard[loser]
        winner.go_on()
        assert winner.hear() == "appended"


def test_a_killed_holder_is_replaced_at_once(journal: Journal, tmp_path: Path) -> None:
    """While it lives it is named; once killed nobody holds, and the next epoch begins."""
    with owner(tmp_path) as dying:
        dying.go_on()
        assert dying.hear() == "holds 1"
        found = holder("controller", tmp_path)
        assert found is not None and found.pid == dying.process.pid
        dying.process.kill()
        dying.process.wait()
        assert holder("controller", tmp_path) is None
        with acquire_lease(journal, "controller", tmp_path) as lease:
            assert lease.epoch == 2


def test_a_holder_whose_file_was_removed_cannot_append(journal: Journal, tmp_path: Path) -> None:
    """When the lock is circumvented the epoch still stops the older process."""
    with owner(tmp_path) as outdated:
        outdated.go_on()
        assert outdated.hear() == "holds 1"
        (tmp_path / "controller.lock").unlink()
        with acquire_lease(journal, "controller", tmp_path) as lease:
            outdated.go_on()
            said = outdated.hear()
            assert said == "lease controller has epoch 1, and the journal's newest is 2"
            journal.append("a", "noted", {}, lease=lease)
    assert journal.verify().position == 1


def test_a_process_cannot_hold_a_lease_twice(journal: Journal, tmp_path: Path) -> None:
    """The second acquisition is refused with a hint, and the first is undisturbed."""
    with acquire_lease(journal, "controller", tmp_path) as lease:
        with (
            pytest.raises(LockedError, match="held by process") as caught,
            acquire_lease(journal, "controller", tmp_path),
        ):
            pass
        assert caught.value.hint and "kill" in caught.value.hint
        assert journal.append("a", "noted", {}, lease=lease).epoch == 1


def test_the_holder_is_named_with_its_beginning(journal: Journal, tmp_path: Path) -> None:
    """Who asks learns process and moment; before and afterwards nobody holds."""
    assert holder("controller", tmp_path) is None
    before = datetime.now(UTC)
    with acquire_lease(journal, "controller", tmp_path):
        found = holder("controller", tmp_path)
        assert found is not None and found.since is not None
        assert before <= found.since <= datetime.now(UTC)
        assert (tmp_path / "controller.lock").stat().st_mode & 0o777 == 0o600
    assert holder("controller", tmp_path) is None


def test_what_a_dead_holder_left_is_overwritten(journal: Journal, tmp_path: Path) -> None:
    """A longer name in the file does not show through the new holder's."""
    (tmp_path / "controller.lock").write_text('{"pid": 1, "since": "' + "x" * 500 + '"}')
    assert holder("controller", tmp_path) is None
    with acquire_lease(journal, "controller", tmp_path):
        found = holder("controller", tmp_path)
        assert found is not None and found.pid == os.getpid()


def test_a_lock_without_a_name_is_still_held(journal: Journal, tmp_path: Path) -> None:
    """In the moment before the holder writes its name the answer is held, by nobody known."""
    with acquire_lease(journal, "controller", tmp_path):
        (tmp_path / "controller.lock").write_text("")
        found = holder("controller", tmp_path)
        assert found is not None and (found.pid, found.since) == (None, None)
        with (
            pytest.raises(LockedError, match="not written its name"),
            acquire_lease(journal, "controller", tmp_path),
        ):
            pass


def test_an_error_in_the_block_releases(journal: Journal, tmp_path: Path) -> None:
    """The lease is free after an exception, which passes unchanged."""
    with pytest.raises(OSError, match="of the caller"), acquire_lease(journal, "c", tmp_path):
        raise OSError("of the caller")
    assert holder("c", tmp_path) is None


def test_asking_does_not_keep_others_from_acquiring(journal: Journal, tmp_path: Path) -> None:
    """Acquisitions succeed while another thread asks who holds, over and over."""
    (tmp_path / "c.lock").touch()
    with ThreadPoolExecutor(1) as pool:
        stop: list[bool] = []

        def ask() -> None:
            while not stop:
                holder("c", tmp_path)

        asking = pool.submit(ask)
        try:
            for epoch in range(1, 31):
                with acquire_lease(journal, "c", tmp_path) as lease:
                    assert lease.epoch == epoch
        finally:
            stop.append(True)
        asking.result()


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b", "x" * 101])
def test_names_that_leave_the_folder_are_refused(
    journal: Journal, tmp_path: Path, name: str
) -> None:
    """A lease name is a plain file name."""
    with pytest.raises(UsageError), acquire_lease(journal, name, tmp_path):
        pass
    with pytest.raises(UsageError):
        holder(name, tmp_path)


def test_a_lock_folder_that_cannot_be_made_is_unavailable(journal: Journal, tmp_path: Path) -> None:
    """A file in the folder's place is named with a hint."""
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UnavailableError, match="lock file") as caught,
        acquire_lease(journal, "c", tmp_path / "file"),
    ):
        pass
    assert caught.value.hint
