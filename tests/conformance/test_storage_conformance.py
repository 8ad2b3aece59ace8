"""The contract of storage/store.py, asked of every driver."""

from __future__ import annotations

import hashlib
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from processpilot.errors import IntegrityError, NotFoundError, UsageError
from processpilot.storage.local import LocalStore
from processpilot.storage.memory import MemoryStore
from processpilot.storage.s3 import S3Store, StoreOptions
from processpilot.storage.store import ExistsError, ObjectStore

TEXT = b"the quick brown fox"
WRITERS = 16


@pytest.fixture(params=["local", "memory", "s3", "s3 without prefix"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """An empty store of each driver."""
    if request.param == "local":
        return LocalStore(tmp_path / "store", create=True)
    if request.param == "memory":
        return MemoryStore()
    options = StoreOptions(
        endpoint=request.getfixturevalue("s3_endpoint"),
        region="us-east-1",
        access_key="access",
        secret_key="secret",
        allow_http=True,
    )
    if request.param == "s3":
        return S3Store("conformance", f"run/{uuid4().hex}", options)
    bucket = f"whole-{uuid4().hex}"
    httpx.put(f"{options.endpoint}/{bucket}", content=b"", trust_env=False).raise_for_status()
    return S3Store(bucket, "", options)


def _names(store: ObjectStore, prefix: str) -> list[str]:
    return [info.name for info in store.list(prefix)]


def test_new_store_lists_nothing(store: ObjectStore) -> None:
    """Opening leaves nothing that a listing shows."""
    assert _names(store, "") == []


def test_every_tested_driver_creates_atomically(store: ObjectStore) -> None:
    """Each endpoint tested here is found to create atomically."""
    assert store.capabilities.atomic_create


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_put_then_get_returns_the_bytes(
    store: ObjectStore, kind: type[bytes] | type[bytearray] | type[memoryview]
) -> None:
    """What was put comes back, whatever buffer it was put from."""
    store.put("a/b.c-d_e", kind(TEXT))
    assert store.get("a/b.c-d_e") == TEXT
    assert type(store.get("a/b.c-d_e")) is bytes


def test_empty_object_exists(store: ObjectStore) -> None:
    """An object of no bytes is an object."""
    store.put("empty", b"")
    assert store.get("empty") == b""
    assert store.size("empty") == 0
    assert store.get_range("empty", 0, 0) == b""
    assert _names(store, "") == ["empty"]


def test_eight_megabytes_survive(store: ObjectStore) -> None:
    """An object larger than any buffer comes back whole, and in part."""
    data = hashlib.shake_256(b"large").digest(8 << 20)
    store.put("large", data)
    assert store.size("large") == len(data)
    assert store.get("large") == data
    assert store.get_range("large", (8 << 20) - 5, 5) == data[-5:]


def test_get_range_returns_exactly_the_range(store: ObjectStore) -> None:
    """A range is cut at both ends, and one of no bytes is empty."""
    store.put("text", TEXT)
    assert store.get_range("text", 4, 5) == b"quick"
    assert store.get_range("text", 0, len(TEXT)) == TEXT
    assert store.get_range("text", 3, 0) == b""


def test_get_ranges_keeps_the_order_asked(store: ObjectStore) -> None:
    """Ranges come back as asked: out of order, overlapping, repeated, empty, or none."""
    store.put("text", TEXT)
    ranges = [(16, 3), (0, 3), (1, 5), (4, 0), (16, 3)]
    assert store.get_ranges("text", ranges) == [b"fox", b"the", b"he qu", b"", b"fox"]
    assert store.get_ranges("text", []) == []


@pytest.mark.parametrize("wanted", [(10, 10), (19, 1), (100, 1), (0, 20)])
def test_short_range_is_an_integrity_error(store: ObjectStore, wanted: tuple[int, int]) -> None:
    """A range past the end is refused, alone or among good ones, and never cut short."""
    store.put("text", TEXT)
    with pytest.raises(IntegrityError, match="text"):
        store.get_range("text", *wanted)
    with pytest.raises(IntegrityError, match="text"):
        store.get_ranges("text", [(0, 3), wanted, (4, 5)])


def test_missing_object_is_not_found(store: ObjectStore) -> None:
    """Every way to read says that the object does not exist."""
    store.put("present", TEXT)
    for name in ("absent", "absent/deeper", "present/deeper"):
        with pytest.raises(NotFoundError):
            store.get(name)
        with pytest.raises(NotFoundError):
            store.get_range(name, 0, 1)
        with pytest.raises(NotFoundError):
            store.get_ranges(name, [(0, 1), (5, 1)])
        with pytest.raises(NotFoundError):
            store.get_ranges(name, [])
        with pytest.raises(NotFoundError):
            store.size(name)


def test_list_is_sorted_and_by_name_prefix(store: ObjectStore) -> None:
    """A prefix may end inside a folder's or an object's name, and order is that of names."""
    names = ["b", "a/2", "a/10", "a-b/1", "ab", "a/1/x", "a.b"]
    for name in names:
        store.put(name, name.encode())
    assert _names(store, "") == sorted(names)
    assert _names(store, "a") == sorted(name for name in names if name.startswith("a"))
    assert _names(store, "a/") == ["a/1/x", "a/10", "a/2"]
    assert _names(store, "a/1") == ["a/1/x", "a/10"]
    assert _names(store, "a/1/x") == ["a/1/x"]
    assert _names(store, "zz") == _names(store, "zz/y/") == _names(store, "b/") == []


def test_list_tells_size_and_moment(store: ObjectStore) -> None:
    """A listing gives each object's size and when it was written, in UTC."""
    store.put("a/text", TEXT)
    (info,) = store.list("a/")
    assert info.size_bytes == len(TEXT)
    assert info.modified_at.utcoffset() == timedelta(0)
    assert abs(info.modified_at - datetime.now(UTC)) < timedelta(hours=1)


def test_delete_is_idempotent(store: ObjectStore) -> None:
    """Deleting removes one object, again changes nothing, and the name is free again."""
    store.put("a/1", TEXT)
    store.put("a/2", TEXT)
    store.delete("a/1")
    store.delete("a/1")
    store.delete("never/was")
    assert _names(store, "") == ["a/2"]
    store.put("a/1", b"other")
    assert store.get("a/1") == b"other"


def test_same_bytes_twice_succeed(store: ObjectStore) -> None:
    """A repeated put succeeds, since the first acknowledgement may have been lost."""
    store.put("a", TEXT)
    store.put("a", bytearray(TEXT))
    store.put("none", b"")
    store.put("none", b"")
    assert store.get("a") == TEXT


@pytest.mark.parametrize("other", [b"", TEXT[:-1], TEXT + b"!", TEXT.upper()])
def test_other_bytes_are_refused_and_change_nothing(store: ObjectStore, other: bytes) -> None:
    """An object is never overwritten."""
    store.put("a/b", TEXT)
    with pytest.raises(ExistsError, match="a/b"):
        store.put("a/b", other)
    assert store.get("a/b") == TEXT
    assert _names(store, "") == ["a/b"]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/../b",
        "../a",
        "a/.",
        "a b",
        "ä",
        "a\n",
        "a\0",
        "tmp~/a",
    ],
)
def test_other_names_are_refused(store: ObjectStore, name: str) -> None:
    """A name that could mean different things to different drivers is refused by all."""
    with pytest.raises(UsageError):
        store.put(name, TEXT)
    with pytest.raises(UsageError):
        store.get(name)
    with pytest.raises(UsageError):
        store.get_range(name, 0, 1)
    with pytest.raises(UsageError):
        store.get_ranges(name, [])
    with pytest.raises(UsageError):
        store.size(name)
    with pytest.raises(UsageError):
        store.delete(name)


def test_one_of_many_writers_wins(store: ObjectStore) -> None:
    """Of sixteen threads that put different bytes under one name, exactly one succeeds."""
    contents = [f"writer {number}".encode() * 100 for number in range(WRITERS)]
    together = threading.Barrier(WRITERS)
    won: list[bytes] = []
    refused: list[ExistsError] = []

    def write(content: bytes) -> None:
        together.wait()
        try:
            store.put("race/one", content)
        except ExistsError as error:
            refused.append(error)
        else:
            won.append(content)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert len(refused) == WRITERS - 1
    assert store.get("race/one") == won[0]
    assert _names(store, "") == ["race/one"]


def test_many_writers_of_the_same_bytes_all_succeed(store: ObjectStore) -> None:
    """Sixteen threads that put the same bytes under one name all succeed."""
    failed: list[Exception] = []

    def write() -> None:
        try:
            store.put("race/same", TEXT)
        except Exception as error:  # noqa: BLE001
            failed.append(error)

    threads = [threading.Thread(target=write) for _ in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert store.get("race/same") == TEXT
