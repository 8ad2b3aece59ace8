"""What a folder must survive: a kill, a full disk, a folder that is gone."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from processpilot.errors import NotFoundError, UnavailableError
from processpilot.storage.local import LocalStore

SIZE = 32 << 20
PUT = f"""
import sys
from pathlib import Path
from processpilot.storage.local import LocalStore
store = LocalStore(Path(sys.argv[1]), create=True)
data = b"x" * {SIZE}
print("ready", flush=True)
for number in range(1000):
    store.put(f"big/{{number}}", data)
"""
FILL = """
import sys
from pathlib import Path
from processpilot.errors import UnavailableError
from processpilot.storage.local import LocalStore
root = Path(sys.argv[1])
store = LocalStore(root)
store.put("a/small", b"x" * 1000)
try:
    store.put("a/large", b"x" * (1 << 20))
except UnavailableError as error:
    print(error.message, error.hint, sep="\\n")
print(sorted(info.name for info in store.list("")))
print(sorted(path.name for path in root.rglob("*") if path.is_file()))
store.put("a/after", b"x" * 1000)
"""
IN_SMALL_MOUNT = 'mount -t tmpfs -o size=256k none "$1" && exec "$2" -c "$3" "$1"'


def _fragment_exists(root: Path) -> bool:
    for path in (root / "tmp~").glob("*"):
        try:
            if 0 < path.stat().st_size < SIZE:
                return True
        except FileNotFoundError:
            continue
    return False


@pytest.mark.parametrize("completed", [0, 1, 2])
def test_kill_leaves_objects_whole_or_absent(tmp_path: Path, completed: int) -> None:
    """A writer killed in the middle of a put leaves a fragment that no listing shows."""
    with subprocess.Popen([sys.executable, "-c", PUT, tmp_path], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        while not (
            (completed == 0 or (tmp_path / f"big/{completed - 1}").exists())
            and _fragment_exists(tmp_path)
        ):
            assert child.poll() is None
        child.kill()
    store = LocalStore(tmp_path)
    listed = list(store.list(""))
    assert {info.size_bytes for info in listed} <= {SIZE}
    assert len(listed) >= completed
    for prefix in ("tmp", "tmp~", "tmp~/"):
        assert list(store.list(prefix)) == []
    store.put(f"big/{len(listed)}", b"y")
    assert store.get(f"big/{len(listed)}") == b"y"


def test_full_disk_is_unavailable_and_leaves_nothing(tmp_path: Path) -> None:
    """A put that does not fit says how much was free, and gives back what it had taken."""
    command = ["unshare", "-m", "-U", "-r", "sh", "-c", IN_SMALL_MOUNT, "sh"]
    allowed = subprocess.run([*command, tmp_path, "true", ""], capture_output=True, check=False)
    if allowed.returncode:
        pytest.skip(f"this machine refuses a private mount: {allowed.stderr.decode().strip()}")
    done = subprocess.run(
        [*command, tmp_path, sys.executable, FILL], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    message, hint, listed, files = done.stdout.splitlines()
    assert message.startswith(f"{tmp_path} is full: 1048576 bytes wanted, ")
    assert hint.startswith("Free space there")
    assert listed == "['a/small']"
    assert files == "['small']"


def test_missing_root_is_refused_unless_created(tmp_path: Path) -> None:
    """A root that is not there may be an unmounted disk, so it is made only when asked for."""
    root = tmp_path / "not" / "there"
    with pytest.raises(UnavailableError, match="is not there"):
        LocalStore(root)
    assert not root.parent.exists()
    LocalStore(root, create=True).put("a", b"1")
    assert LocalStore(root).get("a") == b"1"
    assert root.stat().st_mode & 0o777 == 0o700


def test_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """A file is no store, even where one would be made."""
    (tmp_path / "file").write_bytes(b"")
    for create in (False, True):
        with pytest.raises(UnavailableError):
            LocalStore(tmp_path / "file", create=create)


def test_root_that_vanishes_is_unavailable(tmp_path: Path) -> None:
    """A store whose root is gone does not pass for an empty one."""
    store = LocalStore(tmp_path / "root", create=True)
    (tmp_path / "root").rename(tmp_path / "moved")
    with pytest.raises(UnavailableError, match="is not there"):
        store.put("a/b", b"1")
    with pytest.raises(UnavailableError, match="is not there"):
        store.get("a/b")
    with pytest.raises(UnavailableError, match="is not there"):
        list(store.list("a/"))
    with pytest.raises(UnavailableError, match="is not there"):
        store.delete("a/b")
    assert not (tmp_path / "root").exists()


def test_two_stores_on_one_root_do_not_meet(tmp_path: Path) -> None:
    """Stores opened apart in one process write at the same time without disturbing each other."""
    stores = [LocalStore(tmp_path, create=True) for _ in range(4)]
    failed: list[Exception] = []

    def write(store: LocalStore, owner: int) -> None:
        try:
            for number in range(20):
                store.put(f"{owner}/{number}", b"x" * 100_000)
        except Exception as error:  # noqa: BLE001
            failed.append(error)

    threads = [
        threading.Thread(target=write, args=(store, owner)) for owner, store in enumerate(stores)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(list(stores[0].list(""))) == 80


def test_objects_are_private(tmp_path: Path) -> None:
    """Only the owner can read objects and folders, and no second link to an object remains."""
    LocalStore(tmp_path / "root", create=True).put("a/b", b"1")
    status = (tmp_path / "root/a/b").stat()
    assert status.st_mode & 0o777 == 0o600
    assert status.st_nlink == 1
    assert (tmp_path / "root/a").stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / "root/tmp~").iterdir()) == []


def test_object_deleted_by_another_store_is_not_found(tmp_path: Path) -> None:
    """Stores on one root see each other's deletions at once."""
    one, other = LocalStore(tmp_path), LocalStore(tmp_path)
    one.put("a/b", b"1")
    other.delete("a/b")
    with pytest.raises(NotFoundError, match=os.fspath(tmp_path / "a/b")):
        one.get("a/b")


def test_what_a_killed_process_left_is_removed_once_it_is_old(tmp_path: Path) -> None:
    """Opening removes a half-written file after a day; a younger one may still be written."""
    root = tmp_path / "r"
    LocalStore(root, create=True).put("a", b"1")
    old, young = root / "tmp~" / "old", root / "tmp~" / "young"
    for path in (old, young):
        path.write_bytes(b"half")
    long_ago = young.stat().st_mtime - 25 * 3600
    os.utime(old, (long_ago, long_ago))
    LocalStore(root)
    assert not old.exists()
    assert young.exists()
