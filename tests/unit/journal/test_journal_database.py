"""The journal's file: private, durable, and exact about why it cannot be used."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from processpilot.clock import SystemClock
from processpilot.errors import IntegrityError, RefusedError, UnavailableError
from processpilot.journal.database import SCHEMA_VERSION, open_database, reading, writing
from processpilot.journal.head import Head
from processpilot.journal.journal import Journal

# Written by the release whose schema version was 1: nine events, run/2 not ended.
VERSION_1 = Path(__file__).with_name("golden") / "version-1.sqlite"
VERSION_1_HEAD = "9:b457b8f1294448e4d8cb22c97a92f91a7ef55e45511636e59122de56538b3018"
PRIVATE_MOUNTS = ["unshare", "--mount"] + ([] if os.getuid() == 0 else ["--user", "-r"])

FILLING = """
import subprocess, sys
from pathlib import Path
from processpilot.clock import SystemClock
from processpilot.errors import UnavailableError
from processpilot.journal.journal import Journal

folder, failure = Path(sys.argv[1]), sys.argv[2]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", folder], check=True)
journal = Journal.open(folder / "journal.sqlite", SystemClock())
count = 0
try:
    while True:
        journal.append("a", "filled", {"filler": "x" * 5000})
        count += 1
        if failure == "read-only" and count == 3:
            journal.close()
            subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
            journal = Journal.open(folder / "journal.sqlite", SystemClock())
except UnavailableError as error:
    print(error.message)
    print(error.hint)
if failure == "full":
    assert journal.verify().position == count, (journal.verify(), count)
    journal.close()
    assert Journal.open(folder / "journal.sqlite", SystemClock()).verify().position == count
print("counted", count)
"""


def mode_of(path: Path) -> int:
    """Return the permission bits of `path`."""
    return stat.S_IMODE(path.stat().st_mode)


def test_files_are_private(tmp_path: Path) -> None:
    """The folder is 0700 and every file in it 0600, whatever the umask allows."""
    path = tmp_path / "state" / "journal.sqlite"
    before = os.umask(0)
    try:
        with closing(Journal.open(path, SystemClock())) as journal:
            journal.append("a", "noted", {})
            assert mode_of(path.parent) == 0o700
            assert {mode_of(each) for each in path.parent.iterdir()} == {0o600}
    finally:
        os.umask(before)


def test_a_journal_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    """Opening tightens a mode that was loosened."""
    path = tmp_path / "journal.sqlite"
    Journal.open(path, SystemClock()).close()
    path.chmod(0o644)
    Journal.open(path, SystemClock()).close()
    assert mode_of(path) == 0o600


def test_commits_are_flushed_through_a_write_ahead_log(tmp_path: Path) -> None:
    """Every connection uses write-ahead logging, full synchronisation and a patient timeout."""
    path = tmp_path / "journal.sqlite"
    engine = open_database(path)
    try:
        with reading(engine, path) as connection:
            values = [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("journal_mode", "synchronous", "busy_timeout", "user_version")
            ]
        assert values == ["wal", 2, 10_000, SCHEMA_VERSION]
    finally:
        engine.dispose()


def test_events_outlive_closing(tmp_path: Path) -> None:
    """A journal opened again continues where it was."""
    path = tmp_path / "journal.sqlite"
    with closing(Journal.open(path, SystemClock())) as journal:
        journal.append("a", "noted", {})
    with closing(Journal.open(path, SystemClock())) as journal:
        assert journal.append("a", "noted", {}).position == 2
        assert journal.verify().position == 2


def test_a_newer_schema_is_refused_unchanged(tmp_path: Path) -> None:
    """A journal of a later release is not touched; both versions are named."""
    path = tmp_path / "journal.sqlite"
    Journal.open(path, SystemClock()).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 3")
    before = path.read_bytes()
    with pytest.raises(RefusedError, match="schema version 3, .* up to 2") as caught:
        Journal.open(path, SystemClock())
    assert caught.value.hint
    assert path.read_bytes() == before


def schema_of(path: Path) -> list[tuple[str, str]]:
    """Return the names and texts of everything in a database."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name, coalesce(sql, '') FROM sqlite_master")
        return sorted(found.fetchall())


def test_a_journal_of_version_1_is_brought_up_in_place(tmp_path: Path) -> None:
    """Its events, leases and head stay; its schema is that of a new journal; it goes on."""
    path, new = tmp_path / "journal.sqlite", tmp_path / "new.sqlite"
    shutil.copy(VERSION_1, path)
    Journal.open(new, SystemClock()).close()
    assert schema_of(path) != schema_of(new)
    with closing(Journal.open(path, SystemClock())) as journal:
        assert str(journal.verify(Head.parse(VERSION_1_HEAD))) == VERSION_1_HEAD
        assert journal.open_streams("run-begun", "run-finished") == ("run/2",)
        assert journal.newest_streams("run/", 2) == ("run/3", "run/2")
        assert journal.read("run/1")[0].data["text"] == "Überprüfung → 🚨"
        assert journal.begin_epoch("run").epoch == 2
        assert journal.append("run/2", "run-finished", {}).position == 10
    assert schema_of(path) == schema_of(new)
    with closing(Journal.open(path, SystemClock())) as journal:
        assert journal.verify().position == 10


def test_bringing_up_is_whole_or_not_at_all(tmp_path: Path) -> None:
    """An upgrade that cannot be finished leaves a journal of version 1, which is tried again."""
    path = tmp_path / "journal.sqlite"
    shutil.copy(VERSION_1, path)
    with closing(sqlite3.connect(path)) as connection:
        # A name that is taken makes the last statement fail.
        connection.execute("CREATE VIEW events_first AS SELECT 1")
    before = schema_of(path)
    with pytest.raises(IntegrityError):
        Journal.open(path, SystemClock())
    assert schema_of(path) == before
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        connection.execute("DROP VIEW events_first")
    with closing(Journal.open(path, SystemClock())) as journal:
        assert str(journal.verify()) == VERSION_1_HEAD


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    """A database with other tables is not made into a journal."""
    path = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE accounts (id INTEGER)")
        connection.commit()
    before = path.read_bytes()
    with pytest.raises(IntegrityError, match="not a journal: schema version 0, tables accounts"):
        Journal.open(path, SystemClock())
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    """Text is not overwritten."""
    path = tmp_path / "notes.txt"
    path.write_text("meeting at noon\n" * 100)
    with pytest.raises(IntegrityError, match="not a journal") as caught:
        Journal.open(path, SystemClock())
    assert caught.value.hint
    assert path.read_text().startswith("meeting at noon")


def test_a_damaged_page_is_an_integrity_error(tmp_path: Path) -> None:
    """Damage below the rows is reported as such."""
    path = tmp_path / "journal.sqlite"
    with closing(Journal.open(path, SystemClock())) as journal:
        for number in range(50):
            journal.append("a", "noted", {"number": number, "filler": "x" * 500})
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(IntegrityError):
        Journal.open(path, SystemClock()).verify()


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    """A file in the way, or a folder in the file's place, is named with a hint."""
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "journal.sqlite", tmp_path):
        with pytest.raises(UnavailableError) as caught:
            Journal.open(path, SystemClock())
        assert str(path) in caught.value.message
        assert caught.value.hint


@pytest.mark.parametrize(
    ("failure", "message"), [("full", "its file system is full"), ("read-only", "cannot be")]
)
def test_a_failing_file_system_is_unavailable(tmp_path: Path, failure: str, message: str) -> None:
    """A full or read-only file system is named with a hint, and acknowledged events stay."""
    if shutil.which("unshare") is None or subprocess.run([*PRIVATE_MOUNTS, "true"]).returncode:
        pytest.skip("this machine gives no private mounts")
    command = [*PRIVATE_MOUNTS, sys.executable, "-c", FILLING, str(tmp_path), failure]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    said, hint, counted = done.stdout.splitlines()
    assert message in said
    assert "df -h" in hint or "ls -l" in hint
    assert int(counted.split()[1]) >= 3


def test_a_journal_kept_busy_is_unavailable_for_now(tmp_path: Path) -> None:
    """Another program that keeps the write lock makes writing fail as transient."""
    path = tmp_path / "journal.sqlite"
    Journal.open(path, SystemClock()).close()
    engine = open_database(path)
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            with reading(engine, path) as connection:  # the pool gives this connection again
                connection.exec_driver_sql("PRAGMA busy_timeout = 20")
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(UnavailableError, match="busy") as caught, writing(engine, path):
                pass
            assert caught.value.transient and caught.value.hint
            other.execute("ROLLBACK")
            with writing(engine, path) as connection:
                assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 20
    finally:
        engine.dispose()
