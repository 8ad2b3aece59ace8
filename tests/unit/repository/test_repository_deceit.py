"""What somebody with access to the store may leave there, and what readers make of it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from made_repository import (
    OPERATOR,
    SEGMENT_BYTES,
    Folder,
    backup_on,
    new_repository,
    take,
    written_tree,
)

from processpilot.backup.scan import scan_data_directory
from processpilot.errors import (
    ChecksumError,
    GapError,
    IntegrityError,
    RefusedError,
    UsageError,
)
from processpilot.postgres.wal import Segment
from processpilot.progress import silent
from processpilot.repository.expire import plan_expiry, wal_floor
from processpilot.repository.keys import Identity, add_recipient, new_identity, unwrap_key
from processpilot.repository.repository import Repository, Settings, open_repository
from processpilot.repository.retention import RetentionPolicy
from processpilot.repository.verify import verify_repository
from processpilot.repository.wal import TailPiece, WalArchive
from processpilot.storage.memory import MemoryStore

STRANGERS = (
    "backups/notes",
    "backups/.DS_Store",
    "packs/x/1",
    "packs/20260301T030000Z-00000007/1",
    "backups/99999999T999999Z-00000000",
    "backups/19000101T000000Z-00000000",
    "packs/20261399T000000Z-00000000/00000000",
    "moved/20261399T000000Z-00000000/00000000",
    "kept/20261399T000000Z-00000000",
    "proofs/20261399T000000Z-00000000",
    "pins/20261399T000000Z-00000000",
    "expiring/20261399T000000Z-00000000",
    "wal/00000001/00000001000000000000FFFF",
    "tails/00000001000000000000FFFF/00000000-00000001",
    "tails/000000010000000000000002/00000000-ffffffff",
    "tails/000000010000000000000002/00000008-00000008",
    "wal/00000001/readme",
    "wal/00000002/000000010000000000000001",
    "tails/a/b/c",
    "tails/000000010000000000000001/0-1",
    "histories/x",
    "floors/x",
    "pins/x",
    "expiring/x",
    "keys/UPPER",
    "lost.found/x",
)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository with one backup."""
    made = new_repository()
    take(made, Folder(tmp_path / "data"), 0)
    return made


def findings(repository: Repository) -> dict[str, str]:
    """Return what verification says, by place."""
    found = verify_repository(repository, None, deep=True, progress=silent)
    return {finding.place: finding.message for finding in found.findings}


@pytest.mark.parametrize("name", STRANGERS)
def test_a_stranger_hinders_nobody_and_is_named(repository: Repository, name: str) -> None:
    """An object that is none of ours stops no reading and no expiry, and verify reports it."""
    repository.store.put(name, b"?")
    assert repository.backup_ids() == [backup_on(0)]
    assert WalArchive(repository, SEGMENT_BYTES).inventory().newest_timeline == 1
    assert plan_expiry(repository, RetentionPolicy(), backup_on(1).began_at).is_empty
    assert list(findings(repository)) == [name]


def test_all_log_and_all_packs_are_verified(repository: Repository, tmp_path: Path) -> None:
    """A flipped byte is found even where no backup needs it today."""
    spare = Segment(1, 0, SEGMENT_BYTES)
    WalArchive(repository, SEGMENT_BYTES).put_segment(spare, b"\x09" * SEGMENT_BYTES)
    written_tree(repository, Folder(tmp_path / "other", seed=5).root, backup_on(3), None)
    assert not findings(repository)
    orphan = next(i.name for i in repository.store.list("packs/") if str(backup_on(3)) in i.name)
    for name in (f"wal/00000001/{spare.name}", orphan):
        data = bytearray(repository.store.get(name))
        data[len(data) // 2] ^= 1
        repository.store.delete(name)
        repository.store.put(name, data)
    assert set(findings(repository)) == {spare.name, orphan}


def test_a_forged_floor_is_found(repository: Repository) -> None:
    """Only the key's holder can say that missing log was let go on purpose."""
    repository.store.put("floors/0000000000000fff", b"")
    with pytest.raises(IntegrityError):
        wal_floor(repository)
    assert "floors" in findings(repository)


def test_a_damaged_key_does_not_lock_out_another(repository: Repository) -> None:
    """Losing one of two wrapped keys loses nothing; verify says which one it was."""
    store, second = repository.store, new_identity()
    key = _repository_key(repository)
    add_recipient(store, "second", repository.keyring, key, second)
    store.delete("keys/operator")
    store.put("keys/operator", b"{broken")
    opened = open_repository(store, second)
    assert opened.backup_ids() == [backup_on(0)]
    assert list(findings(opened)) == ["keys"]
    with pytest.raises(IntegrityError, match="keys/operator is damaged"):
        open_repository(store, new_identity())


def _repository_key(repository: Repository) -> bytes:
    return unwrap_key(repository.store, OPERATOR)[1]


def test_a_key_wrapped_by_a_stranger_locks_nobody_out(repository: Repository) -> None:
    """Whoever may write can wrap a key of theirs for a public recipient; it is not taken."""
    store = repository.store
    theirs = new_repository(MemoryStore())
    add_recipient(store, "aaa", theirs.keyring, b"\x05" * 32, OPERATOR)
    add_recipient(store, "bbb", theirs.keyring, b"short", OPERATOR)
    assert open_repository(store, OPERATOR).opened_as.label == "operator"
    assert _repository_key(repository) != b"\x05" * 32
    assert "keys" in findings(repository)
    store.delete("keys/operator")
    with pytest.raises(ChecksumError, match="settings"):
        open_repository(store, OPERATOR)


@pytest.mark.parametrize("content", [b"[" * 60_000, b"x" * 70_000, b"[]", b"7"])
def test_absurd_settings_and_keys_are_damage(repository: Repository, content: bytes) -> None:
    """Nesting without end, or more than settings ever have, is refused as damage, not as a bug."""
    store = repository.store
    store.put("keys/absurd", content)
    assert open_repository(store, OPERATOR).opened_as.label == "operator"
    assert "keys" in findings(repository)
    store.delete("config")
    store.put("config", content)
    with pytest.raises(IntegrityError):
        open_repository(store, OPERATOR)
    assert "config" in findings(repository)


def test_settings_of_another_key_are_found(repository: Repository) -> None:
    """Verification says what the next opening would."""
    theirs = new_repository(MemoryStore()).store.get("config")
    repository.store.delete("config")
    repository.store.put("config", theirs)
    assert "config" in findings(repository)
    with pytest.raises(ChecksumError):
        open_repository(repository.store, OPERATOR)


def test_another_repository_in_its_place_is_refused() -> None:
    """Whoever puts a repository of their own there is found out by its identity."""
    store, operator = MemoryStore(), new_identity()
    other = new_repository(store)
    add_recipient(store, "stolen", other.keyring, _repository_key(other), operator)
    with pytest.raises(RefusedError, match="was made for"):
        open_repository(store, operator, expected_id="ff" * 16)
    assert open_repository(store, operator, expected_id="01" * 16).settings == other.settings


def test_fields_added_to_the_settings_are_authenticated() -> None:
    """A field that a later version may add is covered; a forged one is refused."""
    store, operator = MemoryStore(), new_identity()
    made = new_repository(store)
    add_recipient(store, "mine", made.keyring, _repository_key(made), operator)
    document = json.loads(store.get("config"))
    _replace_config(store, document | {"zone": "north"})
    with pytest.raises(ChecksumError):
        open_repository(store, operator)
    del document["mac"]
    document["zone"] = "north"
    body = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    _replace_config(store, document | {"mac": made.keyring.authenticate(b"config", body)})
    assert open_repository(store, operator).settings == made.settings


def _replace_config(store: MemoryStore, document: dict[str, object]) -> None:
    store.delete("config")
    store.put("config", json.dumps(document, sort_keys=True, separators=(",", ":")).encode())


@pytest.mark.parametrize("size", [0, 1, 4096, 65535, 65536 * 3, 2 << 20])
def test_chunks_that_no_window_holds_evenly_are_refused(size: int) -> None:
    """Chunks are whole pages and divide a window of 8 MiB."""
    with pytest.raises(UsageError, match=str(size)):
        Settings(b"\x01" * 16, 1, size)


def test_a_backup_of_a_newer_format_is_refused_alone(
    repository: Repository, tmp_path: Path
) -> None:
    """A manifest whose format is unknown is not guessed at; the others are read as before."""
    manifest = written_tree(repository, Folder(tmp_path / "b").root, backup_on(4), None)
    repository.commit(manifest.model_copy(update={"format": 2}))
    with pytest.raises(RefusedError, match="format 2"):
        repository.manifest(backup_on(4))
    assert repository.manifest(backup_on(0)).backup_id == backup_on(0)


def test_a_tail_finished_since_it_was_listed_is_read_from_its_segment(
    repository: Repository,
) -> None:
    """A restore planned with a tail is served the same bytes once the whole segment is stored."""
    archive = WalArchive(repository, SEGMENT_BYTES)
    segment = Segment(1, 2, SEGMENT_BYTES)
    archive.put_tail(segment, 0, b"\x01" * 300)
    archive.put_tail(segment, 300, b"\x02" * 200)
    pieces = archive.inventory().tails[segment]
    before = archive.read_tail(segment, pieces)
    body = b"\x01" * 300 + b"\x02" * 200 + b"\x03" * (SEGMENT_BYTES - 500)
    archive.put_segment(segment, body)
    assert archive.read_tail(segment, pieces) == before
    archive.delete_segment(segment)
    with pytest.raises(GapError):
        archive.read_tail(segment, (TailPiece(0, 300),))


def test_a_folder_whose_name_no_manifest_can_hold_is_refused_before_copying(
    tmp_path: Path,
) -> None:
    """A name that is not UTF-8 is refused while looking, and shown legibly."""
    folder = Folder(tmp_path / "data")
    (Path(os.fsdecode(os.fsencode(folder.root) + b"/caf\xe9"))).mkdir()
    with pytest.raises(RefusedError, match=r"caf\\xe9"):
        scan_data_directory(folder.root)


def test_a_passphrase_opens_what_it_wrapped(repository: Repository) -> None:
    """A passphrase recipient opens the repository, and a wrong one is told so."""
    key = _repository_key(repository)
    add_recipient(repository.store, "spoken", repository.keyring, key, Identity("four old words"))
    assert open_repository(repository.store, Identity("four old words")).backup_ids()
    with pytest.raises(RefusedError, match="opens none"):
        open_repository(repository.store, Identity("four new words"))
