"""Signed folders: one changed byte is found, and only the right key counts."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from dossier_story import Story
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processpilot.dossier.signing import (
    SIGNATURE_FILE,
    open_signing_key,
    public_text,
    sign_folder,
    verify_folder,
)
from processpilot.dossier.store import HTML_FILE, JSON_FILE, StoredPack, store_pack
from processpilot.errors import IntegrityError, NotFoundError, RefusedError, UsageError


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> StoredPack:
    """Give a signed evidence pack."""
    folder = tmp_path_factory.mktemp("evidence")
    key = open_signing_key(folder / "evidence.key")
    return store_pack(Story(folder).tell().pack(), folder / "pack", key)


@pytest.fixture
def copy(stored: StoredPack, tmp_path: Path) -> Path:
    """Give a copy to be tampered with."""
    return Path(shutil.copytree(stored.folder, tmp_path / "copy"))


def test_a_copy_is_genuine_anywhere(stored: StoredPack, copy: Path) -> None:
    """Nothing but the folder and the public key is needed."""
    assert verify_folder(copy, stored.signed.public_key) == stored.signed


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.sampled_from([JSON_FILE, HTML_FILE, SIGNATURE_FILE]),
    share=st.floats(0, 0.999),
    bit=st.integers(0, 7),
)
def test_one_changed_bit_is_found(
    stored: StoredPack, tmp_path: Path, name: str, share: float, bit: int
) -> None:
    """In the JSON, its twin and the signature's own file, wherever it is; the file is named."""
    folder = tmp_path / "tampered"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(stored.folder, folder)
    data = bytearray((folder / name).read_bytes())
    data[int(share * len(data))] ^= 1 << bit
    (folder / name).write_bytes(data)
    with pytest.raises(IntegrityError, match=name):
        verify_folder(folder, stored.signed.public_key)


def piped(folder: Path) -> None:
    """Put a pipe, at which a reader would wait for ever, in the signature's place."""
    (folder / SIGNATURE_FILE).unlink()
    os.mkfifo(folder / SIGNATURE_FILE)


def named_by_another_key(folder: Path) -> None:
    """Have the folder say that somebody else signed it."""
    path = folder / SIGNATURE_FILE
    other = public_text(Ed25519PrivateKey.generate())
    document = json.loads(path.read_text())
    path.write_text(path.read_text().replace(document["public_key"], other))


@pytest.mark.parametrize(
    ("tamper", "error"),
    [
        (lambda folder: (folder / "more.txt").write_text("x"), IntegrityError),
        (lambda folder: (folder / HTML_FILE).unlink(), IntegrityError),
        (lambda folder: (folder / SIGNATURE_FILE).unlink(), NotFoundError),
        (lambda folder: (folder / SIGNATURE_FILE).write_text("{}"), IntegrityError),
        (lambda folder: (folder / SIGNATURE_FILE).write_text("no"), IntegrityError),
        (lambda folder: (folder / SIGNATURE_FILE).write_bytes(b"\xff"), IntegrityError),
        (lambda folder: (folder / SIGNATURE_FILE).write_text("[" * 100000), IntegrityError),
        (lambda folder: (folder / "link").symlink_to("/etc/hostname"), RefusedError),
        (lambda folder: os.mkfifo(folder / "pipe"), RefusedError),
        (lambda folder: (folder / "more").mkdir(), RefusedError),
        (piped, RefusedError),
        (named_by_another_key, IntegrityError),
    ],
    ids=[
        "added",
        "removed",
        "unsigned",
        "empty",
        "no json",
        "no text",
        "deep",
        "link",
        "pipe",
        "folder",
        "signature piped",
        "another key written",
    ],
)
def test_what_was_added_removed_or_exchanged_is_found(
    stored: StoredPack, copy: Path, tamper: Callable[[Path], object], error: type[Exception]
) -> None:
    """The signature is over the list of files, too."""
    tamper(copy)
    with pytest.raises(error):
        verify_folder(copy, stored.signed.public_key)


def test_signing_anew_with_another_key_proves_nothing(stored: StoredPack, copy: Path) -> None:
    """The key written in the folder is not asked; the one given is."""
    (copy / JSON_FILE).write_text("{}")
    forged = sign_folder(copy, Ed25519PrivateKey.generate())
    assert verify_folder(copy, forged.public_key) == forged
    with pytest.raises(IntegrityError, match="was not signed with the key"):
        verify_folder(copy, stored.signed.public_key)


def test_the_list_cannot_be_rewritten(stored: StoredPack, copy: Path) -> None:
    """A digest exchanged in the signature breaks the signature."""
    path = copy / SIGNATURE_FILE
    document = json.loads(path.read_text())
    document["files"][JSON_FILE] = "0" * 64
    path.write_text(json.dumps(document))
    with pytest.raises(IntegrityError, match="was not signed"):
        verify_folder(copy, stored.signed.public_key)


@pytest.mark.parametrize("text", ["", "xyz", "00", "g" * 64, "0" * 63])
def test_a_key_that_is_none_is_refused(copy: Path, text: str) -> None:
    """Before anything is compared with it."""
    with pytest.raises(UsageError, match="no public key"):
        verify_folder(copy, text)


def test_the_signing_key_is_made_once_and_kept_private(tmp_path: Path) -> None:
    """The same key again, in a file that only its owner reads; others' eyes are refused."""
    path = tmp_path / "evidence.key"
    first = public_text(open_signing_key(path))
    assert public_text(open_signing_key(path)) == first
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(RefusedError, match="can be read by others"):
        open_signing_key(path)
