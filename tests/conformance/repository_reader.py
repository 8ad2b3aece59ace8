"""A second reader of the repository, made from docs/repository-format.md alone.

Nothing of the product is imported. It insists on more than a reader has to, so that a writer that
leaves the specification is noticed.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import blake3
import pyrage
import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class DamagedError(Exception):
    """Stored bytes are not what the specification says."""


def canonical(document: dict[str, object]) -> bytes:
    """Canonical JSON, "Conventions"."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii")


def unpacked(frame: bytes, limit: int) -> bytes:
    """The content of a zstd frame that states no more than `limit`, "Encryption"."""
    if not 0 <= zstandard.frame_content_size(frame) <= limit:
        raise DamagedError("content size")
    return zstandard.ZstdDecompressor().decompress(frame)


@dataclass(frozen=True)
class Key:
    """The repository key: sections "Keys" and "Encryption"."""

    repository_id: bytes
    secret: bytes

    def subkey(self, purpose: str) -> bytes:
        info = b"processpilot 1 " + purpose.encode("ascii")
        return HKDF(SHA256(), 32, salt=self.repository_id, info=info).derive(self.secret)

    def keyed_hash(self, purpose: str, data: bytes) -> bytes:
        return blake3.blake3(data, key=self.subkey(purpose)).digest()

    def opened(self, purpose: str, nonce: bytes, sealed: bytes) -> bytes:
        try:
            return AESGCM(self.subkey(purpose)).decrypt(nonce, sealed, self.repository_id)
        except InvalidTag as error:
            raise DamagedError(purpose) from error

    def object_content(self, name: str, stored: bytes) -> bytes:
        """A sealed object's content, section "Sealed objects"."""
        if stored[:4] != b"PPO1":
            raise DamagedError(name)
        return unpacked(self.opened(f"object {name}", stored[4:16], stored[16:]), 2 << 30)


def little(data: bytes) -> int:
    """An integer of a binary structure."""
    return int.from_bytes(data, "little")


@dataclass(frozen=True)
class Reference:
    """A reference: 56 bytes, section "References"."""

    row: bytes

    def field(self, offset: int) -> int:
        return little(self.row[offset : offset + 4])

    @property
    def pack(self) -> str:
        began = datetime.fromtimestamp(self.field(32), UTC)
        return f"packs/{began:%Y%m%dT%H%M%SZ}-{self.field(36):08x}/{self.field(40):08x}"


def references(rows: bytes) -> list[Reference]:
    """A list of references."""
    if len(rows) % 56:
        raise DamagedError("a list of references")
    return [Reference(rows[begin : begin + 56]) for begin in range(0, len(rows), 56)]


class SecondReader:
    """A repository in a folder, opened with an age identity."""

    def __init__(self, folder: Path, secret: str) -> None:
        self.folder = folder
        config = json.loads(self.stored("config"))
        if config["format"] != 1:
            raise DamagedError("format")
        self.chunk_bytes = config["chunk_bytes"]
        mac = config.pop("mac")
        self.key = Key(bytes.fromhex(config["repository_id"]), self._repository_key(secret))
        if self.key.keyed_hash("mac config", canonical(config)).hex() != mac:
            raise DamagedError("config")

    def stored(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def names(self, prefix: str) -> list[str]:
        return sorted(
            path.relative_to(self.folder).as_posix()
            for path in (self.folder / prefix).rglob("*")
            if path.is_file()
        )

    def _repository_key(self, secret: str) -> bytes:
        identity = pyrage.x25519.Identity.from_str(secret)
        for name in self.names("keys"):
            wrapped_key = json.loads(self.stored(name))
            if wrapped_key["public"] == str(identity.to_public()):
                wrapped = base64.b64decode(wrapped_key["wrapped"], validate=True)
                return bytes(pyrage.decrypt(wrapped, [identity]))
        raise DamagedError("no wrapped key for this secret")

    def check_wrapped_key(self, name: str) -> None:
        """Section "keys/LABEL": the MAC covers everything but itself."""
        document = json.loads(self.stored(name))
        mac = document.pop("mac")
        if self.key.keyed_hash("mac recipient", canonical(document)).hex() != mac:
            raise DamagedError(name)

    def content(self, name: str) -> bytes:
        return self.key.object_content(name, self.stored(name))

    def manifest(self, backup: str) -> dict:
        return json.loads(self.content(f"backups/{backup}"))

    def blob(self, reference: Reference) -> bytes:
        if not (self.folder / reference.pack).exists():
            return self.blob(self.moved(reference))
        offset, stored_bytes, raw_bytes = (reference.field(at) for at in (44, 48, 52))
        with (self.folder / reference.pack).open("rb") as pack:
            pack.seek(offset)
            stored = pack.read(stored_bytes)
        nonce = offset.to_bytes(12, "little")
        content = unpacked(self.key.opened(f"pack {reference.pack}", nonce, stored), raw_bytes)
        name = self.key.keyed_hash("chunk names", content)
        if len(content) != raw_bytes or name != reference.row[:32]:
            raise DamagedError(reference.pack)
        return content

    def moved(self, reference: Reference) -> Reference:
        """Where a blob of a rewritten pack lies now, section "Rewritten packs"."""
        rows = references(self.content(f"moved/{reference.pack.removeprefix('packs/')}"))
        [found] = {row.row for row in rows if row.row[:32] == reference.row[:32]}
        return Reference(found)

    def index(self, pack: str) -> list[Reference]:
        """What a pack says of itself, section "Packs"."""
        stored = self.stored(pack)
        offset = len(stored) - 4 - little(stored[-4:])
        if len(stored) < 24 or stored[:4] != b"PPK1" or offset < 4:
            raise DamagedError(pack)
        frame = self.key.opened(f"pack {pack}", offset.to_bytes(12, "little"), stored[offset:-4])
        found = references(unpacked(frame, 64 << 20))
        end = 4
        for reference in found:
            assert (reference.pack, reference.field(44)) == (pack, end)
            end += reference.field(48)
        assert end == offset
        return found

    def chunks(self, file: dict) -> Iterator[bytes]:
        if "l" in file:
            leaves = references(base64.b64decode(file["l"], validate=True))
            parts = [references(self.blob(leaf)) for leaf in leaves]
            assert all(len(part) == 1024 for part in parts[:-1])
            found = [reference for part in parts for reference in part]
            assert len(found) > 8
        else:
            found = references(base64.b64decode(file.get("c", ""), validate=True))
            assert len(found) <= 8
        sizes = [reference.field(52) for reference in found]
        assert sum(sizes) == file["s"]
        assert all(size == self.chunk_bytes for size in sizes[:-1])
        yield from map(self.blob, found)

    def restore(self, backup: str, root: Path, tablespaces: dict[int, Path]) -> None:
        """Restore a whole cluster, sections "Trees" and "Worked example"."""
        manifest = self.manifest(backup)
        places = {
            entry["path"]: place_of(entry["path"], root, tablespaces)
            for entry in manifest["directories"]
        }
        for place in places.values():
            place.mkdir(parents=True, exist_ok=True)
        for entry in manifest["directories"]:
            self._fill(places[entry["path"]], entry)
        label = root / "backup_label"
        label.write_text(manifest["backup_label"])
        finish(label, 0o600, manifest["directories"][0])
        for oid, place in tablespaces.items():
            (root / "pg_tblspc" / str(oid)).symlink_to(place)

    def _fill(self, folder: Path, entry: dict) -> None:
        node = json.loads(self.blob(Reference(base64.b64decode(entry["node"], validate=True))))
        for name, target in node["links"]:
            (folder / name).symlink_to(target)
        for file in node["files"]:
            with (folder / file["n"]).open("xb") as output:
                output.writelines(self.chunks(file))
            owner = dict(zip(("uid", "gid"), file["o"], strict=True)) if "o" in file else entry
            finish(folder / file["n"], file["m"], owner)
        finish(folder, entry["mode"], entry)

    def tail(self, segment: str, segment_bytes: int) -> tuple[bytes, int]:
        """An unfinished segment and how far it reaches, section "Write-ahead log"."""
        spans = []
        for name in self.names(f"tails/{segment}"):
            begin, end = name.rpartition("/")[2].split("-")
            spans.append((int(begin, 16), int(end, 16), name))
        body, reached = bytearray(segment_bytes), 0
        for begin, end, name in sorted(spans):
            if begin > reached:
                break
            content = self.content(name)
            assert len(content) == end - begin
            assert content[-1] != 0
            body[begin:end] = content
            reached = max(reached, end)
        return bytes(body), reached


def place_of(path: str, root: Path, tablespaces: dict[int, Path]) -> Path:
    """Where a directory of the manifest goes: `pg_tblspc/OID` and below to a new place."""
    match = re.fullmatch(r"pg_tblspc/(\d+)/?(.*)", path)
    if match is not None and int(match[1]) in tablespaces:
        return tablespaces[int(match[1])] / match[2]
    return root / path


def finish(path: Path, mode: int, owner: dict) -> None:
    """Set mode and, as root, the owner's numbers."""
    path.chmod(mode)
    if os.geteuid() == 0:
        os.chown(path, owner["uid"], owner["gid"])
