"""What is written is read again, and what nobody wrote is refused with the one error for it."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_repository import Folder, backup_on, control_file, new_repository, written_tree

from processpilot.errors import ChecksumError, IntegrityError, RefusedError, UsageError
from processpilot.postgres.control import parse_control
from processpilot.postgres.history import Switch, TimelineHistory
from processpilot.postgres.lsn import Lsn
from processpilot.postgres.wal import Segment
from processpilot.repository.blob import REF, BackupId, BlobRef, PackId, decode_refs, ref_of
from processpilot.repository.crypto import Keyring
from processpilot.repository.manifest import Manifest
from processpilot.repository.pack import PackWriter, read_pack
from processpilot.repository.tree import Directory, FileEntry, LinkEntry
from processpilot.storage.memory import MemoryStore

WORDS = st.integers(0, 2**32 - 1)
REFS = st.builds(
    BlobRef,
    st.binary(min_size=32, max_size=32),
    st.builds(PackId, st.builds(BackupId, WORDS, WORDS), WORDS),
    WORDS,
    WORDS,
    WORDS,
)
LISTS = st.lists(REFS, max_size=8).map(
    lambda refs: decode_refs(b"".join(ref.to_bytes() for ref in refs))
)
NAMES = st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=20)
OWNERS = st.none() | st.tuples(st.integers(-1, 70_000), st.integers(-1, 70_000))
FILES = st.builds(
    FileEntry, NAMES, st.integers(0, 0o7777), st.integers(0, 2**60), OWNERS, LISTS, st.none()
) | st.builds(
    FileEntry,
    NAMES,
    st.integers(0, 0o7777),
    st.integers(0, 2**60),
    OWNERS,
    st.none(),
    LISTS.filter(len),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
LSNS = st.integers(0, 2**64 - 1).map(Lsn)
SIZES = st.sampled_from([1 << power for power in range(20, 31)])


@given(REFS)
def test_references_invert(ref: BlobRef) -> None:
    """A reference is 56 bytes, and they are the reference."""
    assert len(ref.to_bytes()) == REF.itemsize
    assert ref_of(ref.to_bytes()) == ref
    assert PackId.parse(ref.pack.object_name) == ref.pack


@given(st.binary(max_size=200))
def test_a_list_that_was_cut_off_is_refused(data: bytes) -> None:
    """Only whole references are a list."""
    if len(data) % REF.itemsize:
        with pytest.raises(IntegrityError):
            decode_refs(data)
    else:
        assert decode_refs(data).tobytes() == data


@given(st.lists(FILES, max_size=4), st.lists(st.builds(LinkEntry, NAMES, st.text()), max_size=3))
def test_directories_invert(files: list[FileEntry], links: list[LinkEntry]) -> None:
    """Any directory comes back, and the same content has the same bytes."""
    stored = Directory(tuple(files), tuple(links)).to_json()
    read = Directory.from_json(stored)
    assert read.to_json() == stored
    assert read.links == tuple(links)
    assert [(f.name, f.mode, f.size_bytes, f.owner) for f in read.files] == [
        (f.name, f.mode, f.size_bytes, f.owner) for f in files
    ]


@given(st.one_of(st.binary(max_size=60), JSON.map(lambda value: json.dumps(value).encode())))
def test_what_is_no_directory_is_refused(data: bytes) -> None:
    """Whatever is read as one, the answer is a directory or the error for damage."""
    try:
        Directory.from_json(data)
    except IntegrityError:
        return


@given(st.sampled_from(["o", "c", "l", "s", "m", "n"]), JSON)
def test_a_file_with_a_strange_field_is_refused(field: str, value: object) -> None:
    """One field of a file that is not what it should be."""
    file = {"n": "1", "m": 384, "s": 0, field: value}
    try:
        Directory.from_json(json.dumps({"files": [file], "links": []}).encode())
    except IntegrityError:
        return


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """A manifest."""
    folder = Folder(tmp_path_factory.mktemp("made") / "data")
    return written_tree(new_repository(), folder.root, backup_on(0), None)


def test_a_manifest_inverts(manifest: Manifest) -> None:
    """What was written is what is read."""
    assert Manifest.from_json(manifest.to_json()) == manifest


@given(st.data())
def test_a_manifest_with_a_strange_field_is_refused(
    manifest: Manifest, data: st.DataObject
) -> None:
    """One field that is not what it should be, at the top or inside a directory's entry."""
    document = json.loads(manifest.to_json())
    inner = data.draw(st.sampled_from([document, document["directories"][0], document["cluster"]]))
    inner[data.draw(st.sampled_from(sorted(inner)))] = data.draw(JSON | st.just("AAAA"))
    try:
        Manifest.from_json(json.dumps(document).encode())
    except (IntegrityError, RefusedError):
        return


@given(st.lists(st.tuples(st.binary(max_size=300), st.booleans()), min_size=1, max_size=20))
def test_a_pack_holds_what_was_put_into_it(blobs: list[tuple[bytes, bool]]) -> None:
    """Its index lists every blob, end to end, in order."""
    store, keyring = MemoryStore(), Keyring(b"\1" * 16, b"\2" * 32)
    pack = PackId(BackupId.new(datetime(2026, 1, 1, tzinfo=UTC), 1), 0)
    writer = PackWriter(keyring, lambda: pack, store.put)
    rows = [writer.add(data, keyring.chunk_name(data)) for data, _ in blobs]
    writer.flush()
    body, index = read_pack(store, keyring, pack)
    assert index.tobytes() == b"".join(rows)
    assert writer.stored_bytes == len(body)


@given(st.binary(max_size=80), st.integers(0, 2**32 - 1))
def test_what_is_no_pack_is_refused(data: bytes, length: int) -> None:
    """Whatever lies under a pack's name and whatever length it claims, nothing else comes of it."""
    pack = PackId(BackupId.new(datetime(2026, 1, 1, tzinfo=UTC), 1), 0)
    keyring = Keyring(b"\1" * 16, b"\2" * 32)
    for content in (data, b"PPK1" + data + length.to_bytes(4, "little")):
        store = MemoryStore()
        store.put(pack.object_name, content)
        with pytest.raises(ChecksumError):
            read_pack(store, keyring, pack)


@given(LSNS, SIZES, st.integers(1, 2**32 - 1))
def test_segment_names_invert(lsn: Lsn, size: int, timeline: int) -> None:
    """A position lies in its segment, and the name tells the segment."""
    segment = Segment.containing(lsn, timeline, size)
    assert segment.begin <= lsn < segment.end
    assert Segment.parse(segment.name, size) == segment
    assert segment.next().begin == segment.end
    assert Lsn.parse(str(lsn)) == lsn


@given(st.integers(1, 6).flatmap(lambda n: st.lists(LSNS, min_size=n, max_size=n)))
def test_histories_invert_and_agree_with_themselves(places: list[Lsn]) -> None:
    """A history file is read as it was written; each timeline begins where the one before ends."""
    switches = tuple(Switch(n, lsn, "reason") for n, lsn in enumerate(sorted(places), start=1))
    history = TimelineHistory(len(switches) + 1, switches)
    assert TimelineHistory.parse(history.timeline, history.format()) == history
    for before, after in zip(history.timelines(), history.timelines()[1:], strict=False):
        assert history.end_of(before) == history.begin_of(after)
        assert history.contains(before, history.begin_of(after))
    assert history.end_of(history.timeline) is None
    assert history.contains(history.timeline, Lsn(2**64 - 1))
    assert not history.contains(history.timeline + 1, Lsn(0))
    with pytest.raises(IntegrityError):
        history.begin_of(history.timeline + 1)


@given(st.text(max_size=60), st.integers(1, 5))
def test_what_is_no_history_is_refused(text: str, timeline: int) -> None:
    """Lines that are neither comments nor switches, out of order, or from the future."""
    try:
        history = TimelineHistory.parse(timeline, text)
    except IntegrityError:
        return
    assert list(history.timelines()) == sorted(set(history.timelines()))


@pytest.mark.parametrize("text", ["1\t0/1\tx\n1\t0/2\tx\n", "3\t0/1\tx\n", "x\t0/1\n", "1\n"])
def test_malformed_histories_are_refused(text: str) -> None:
    """Twice the same, a younger ancestor, no number, no position."""
    with pytest.raises(IntegrityError):
        TimelineHistory.parse(3, text)


@given(st.integers(0, 291), st.integers(1, 255))
def test_no_changed_control_file_passes(place: int, change: int) -> None:
    """Any changed byte that the CRC covers, or of the CRC, is noticed."""
    data = bytearray(control_file(random.Random(7)))
    parse_control(bytes(data))
    data[place] ^= change
    with pytest.raises((ChecksumError, RefusedError)):
        parse_control(bytes(data))


@pytest.mark.parametrize("name", ["", "x", "0" * 23, "0" * 25, "00000001" + "0" * 8 + "00000100"])
def test_malformed_segment_names_are_refused(name: str) -> None:
    """Not 24 digits, or a number that segments of 16 MiB do not have."""
    with pytest.raises(UsageError):
        Segment.parse(name, 16 << 20)


@pytest.mark.parametrize("size", [0, 1 << 19, (1 << 20) + 1, 1 << 31])
def test_impossible_segment_sizes_are_refused(size: int) -> None:
    """A power of two from 1 MiB to 1 GiB."""
    with pytest.raises(UsageError):
        Segment(1, 1, size)


def test_impossible_backup_ids_are_refused() -> None:
    """A date that there is not, a digit that is none, nothing."""
    for text in ("20261399T000000Z-00000000", "20260101T000000Z-0000000G", ""):
        with pytest.raises(UsageError):
            BackupId.parse(text)
