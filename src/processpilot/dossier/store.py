"""Where evidence lies: a folder per run or drill with its JSON, its HTML twin and its signature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from processpilot.dossier.page import render_pack
from processpilot.dossier.signing import Signed, sign_folder
from processpilot.errors import UnavailableError
from processpilot.journal.event import JsonValue, canonical

JSON_FILE = "evidence.json"
HTML_FILE = "evidence.html"
FOLDER = "evidence"


@dataclass(frozen=True, slots=True)
class StoredPack:
    """One evidence pack on disk."""

    folder: Path
    signed: Signed


def store_pack(pack: Mapping[str, JsonValue], folder: Path, key: Ed25519PrivateKey) -> StoredPack:
    """Write a pack into `folder` and sign it; the signature comes last, so a torn pack has none.

    UnavailableError when the disk does not take it.
    """
    text = canonical(pack)
    page = render_pack(pack, text).encode()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(folder / JSON_FILE, text)
        _replace(folder / HTML_FILE, page)
        return StoredPack(folder, sign_folder(folder, key))
    except OSError as error:
        raise UnavailableError(
            f"evidence cannot be written to {folder}: {error.strerror}",
            hint="Make room, then run `processpilot evidence make ID`.",
        ) from error


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_bytes(data)
    temporary.replace(path)
