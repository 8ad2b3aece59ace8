"""What somebody who may write into the folder can leave there instead of an object."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from processpilot.errors import IntegrityError, UnavailableError
from processpilot.storage.local import LocalStore
from processpilot.storage.store import MOST_BYTES


def in_time(act: Callable[[], object]) -> None:
    """Call `act` in a thread, and fail instead of hanging with it."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - raised again below
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive(), "it hangs"
    if raised:
        raise raised[0]


@pytest.mark.parametrize("kind", ["fifo", "symlink", "folder", "device"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    """A pipe that nobody writes to, an endless device, another file: nothing of it is read."""
    store = LocalStore(tmp_path / "root", create=True)
    path = tmp_path / "root" / "a"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        (tmp_path / "other").write_bytes(b"1234")
        path.symlink_to("/dev/zero" if kind == "device" else tmp_path / "other")
    for act in (
        lambda: store.get("a"),
        lambda: store.get_range("a", 0, 1),
        lambda: store.size("a"),
        lambda: store.put("a", b"1234"),
    ):
        with pytest.raises(IntegrityError, match="is no regular file"):
            in_time(act)


def test_what_is_no_regular_file_is_listed(tmp_path: Path) -> None:
    """A listing shows it, so that verification can name it."""
    store = LocalStore(tmp_path / "root", create=True)
    os.mkfifo(tmp_path / "root" / "pipe")
    (tmp_path / "root" / "link").symlink_to("nowhere")
    assert [info.name for info in store.list("")] == ["link", "pipe"]
    store.delete("link")
    store.delete("pipe")
    assert list(store.list("")) == []


def test_an_absurd_size_takes_no_memory(tmp_path: Path) -> None:
    """An object larger than any can be, or than its reader allows, is refused unread."""
    store = LocalStore(tmp_path / "root", create=True)
    with (tmp_path / "root" / "a").open("wb") as file:
        file.truncate(1 << 43)
    with pytest.raises(IntegrityError, match="8796093022208 bytes"):
        store.get("a")
    with pytest.raises(IntegrityError, match="at most 10"):
        store.get("a", limit_bytes=10)
    with pytest.raises(IntegrityError, match=f"at most {MOST_BYTES}"):
        store.put("a", b"1")


def test_leftovers_are_looked_for_in_our_own_folder_only(tmp_path: Path) -> None:
    """A link in place of the folder for half-written files leads nobody to delete other files."""
    root = tmp_path / "root"
    LocalStore(root, create=True)
    others = tmp_path / "others"
    others.mkdir()
    (others / "old").write_bytes(b"precious")
    os.utime(others / "old", (1, 1))
    (root / "tmp~").symlink_to(others)
    store = LocalStore(root)
    assert (others / "old").exists()
    with pytest.raises(UnavailableError, match="is a link"):
        store.put("a", b"1")
    assert sorted(path.name for path in others.iterdir()) == ["old"]


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    """A link in place of a folder of the store does not lead a writer out of it."""
    root = tmp_path / "root"
    store = LocalStore(root, create=True)
    (tmp_path / "others").mkdir()
    (root / "wal").symlink_to(tmp_path / "others")
    with pytest.raises(UnavailableError, match="is a link"):
        store.put("wal/a", b"1")
    assert list((tmp_path / "others").iterdir()) == []
