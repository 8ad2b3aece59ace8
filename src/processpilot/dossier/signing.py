"""Signing a folder of evidence with Ed25519, and verifying it offline with the public key.

`evidence.sig` names every file of the folder with its SHA-256; the signature is over that list. So
one changed byte anywhere is found, and so is a file that was added, removed or exchanged.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from processpilot.errors import IntegrityError, NotFoundError, RefusedError, UsageError
from processpilot.journal.event import canonical
from processpilot.plan.secrets import read_secret, write_secret

SIGNATURE_FILE = "evidence.sig"
_ALGORITHM = "ed25519"
_DOMAIN = b"processpilot evidence 1\n"
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Signed:
    """What a verified folder holds: its files with their SHA-256, and whose key signed it."""

    public_key: str
    files: Mapping[str, str]


def open_signing_key(path: Path) -> Ed25519PrivateKey:
    """Return the key kept in `path`, made with mode 0600 where there is none."""
    if not path.exists():
        write_secret(path, Ed25519PrivateKey.generate().private_bytes_raw().hex())
    text = read_secret(f"file:{path.name}", path.parent).text
    try:
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(text.strip()))
    except ValueError as error:
        raise IntegrityError(
            f"{path} holds no Ed25519 key", hint="Move it away; the next evidence makes a new one."
        ) from error


def public_text(key: Ed25519PrivateKey) -> str:
    """Return the public key as 64 hexadecimal digits."""
    return key.public_key().public_bytes_raw().hex()


def sign_folder(folder: Path, key: Ed25519PrivateKey) -> Signed:
    """Write `evidence.sig` over every other file of the folder; RefusedError for a folder in it."""
    temporary = folder / f".{SIGNATURE_FILE}.new"
    temporary.unlink(missing_ok=True)
    files = _digests(folder)
    signed = Signed(public_text(key), files)
    temporary.write_text(_written(signed, key.sign(_message(files))))
    temporary.replace(folder / SIGNATURE_FILE)
    return signed


def verify_folder(folder: Path, public_key: str) -> Signed:
    """Return what the folder holds; IntegrityError names what was changed, added or removed.

    Only the key given counts: the one written in the folder proves nothing.
    """
    key = parse_public_key(public_key)
    path = folder / SIGNATURE_FILE
    try:
        text = _read_plain(path).decode()
        document = json.loads(text)
        files = {str(name): str(digest) for name, digest in document["files"].items()}
        signature = bytes.fromhex(document["signature"])
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no {SIGNATURE_FILE} in {folder}") from error
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise IntegrityError(f"{path} cannot be read as a signature") from error
    try:
        key.verify(signature, _message(files))
    except InvalidSignature as error:
        raise IntegrityError(
            f"{path} was not signed with the key {public_key[:16]}…",
            hint="Compare the key with the one that `processpilot evidence key` prints.",
        ) from error
    signed = Signed(key.public_bytes_raw().hex(), files)
    if text != _written(signed, signature):
        raise IntegrityError(f"{path} was changed: it is not as it is written when it is signed")
    _compare(folder, files)
    return signed


def parse_public_key(text: str) -> Ed25519PublicKey:
    """Return the key written as 64 hexadecimal digits; UsageError for anything else."""
    try:
        raw = bytes.fromhex(text.strip())
        if len(raw) == _KEY_BYTES:
            return Ed25519PublicKey.from_public_bytes(raw)
    except ValueError:
        pass
    raise UsageError(
        f"{text[:20]!r} is no public key of 64 hexadecimal digits",
        hint="Get it from where `processpilot evidence key` was run, over another way.",
    )


def _compare(folder: Path, files: Mapping[str, str]) -> None:
    found = _digests(folder)
    for name in sorted({*files} | {*found}):
        if name not in found:
            raise IntegrityError(f"{folder / name} is missing")
        if name not in files:
            raise IntegrityError(f"{folder / name} was not there when the evidence was signed")
        if files[name] != found[name]:
            raise IntegrityError(
                f"{folder / name} was changed: its SHA-256 is {found[name]}, signed was "
                f"{files[name]}"
            )


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(_read_plain(path)).hexdigest()
        for path in sorted(folder.iterdir())
        if path.name != SIGNATURE_FILE
    }


def _read_plain(path: Path) -> bytes:
    """Return a file's content; RefusedError for a link, a pipe, a folder or whatever else it is."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise RefusedError(f"{path} is no plain file, so it is no evidence")
    return path.read_bytes()


def _written(signed: Signed, signature: bytes) -> str:
    """Return the one text that a signature's file has."""
    document = {
        "algorithm": _ALGORITHM,
        "public_key": signed.public_key,
        "files": dict(signed.files),
        "signature": signature.hex(),
    }
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def _message(files: Mapping[str, str]) -> bytes:
    return _DOMAIN + canonical({"algorithm": _ALGORITHM, "files": dict(files)})
