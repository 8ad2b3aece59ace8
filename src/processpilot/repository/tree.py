"""Manifest trees: directories, files and the chunks they are made of.

A file with few chunks carries its references itself; a longer one carries references to leaves,
each a list of up to 1,024 chunk references. Directories and leaves are nodes: blobs named by
their own hash. A node whose content is that of the previous backup is referred to, not stored,
so comparing two backups costs what changed between them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from processpilot.errors import IntegrityError
from processpilot.repository.blob import REF, Refs, decode_refs

CHUNKS_PER_LEAF = 1024
INLINE_CHUNKS = 8


@dataclass(frozen=True, slots=True, eq=False)
class FileEntry:
    """One file: mode bits, size, owner (None: as its directory), and where its chunks are."""

    name: str
    mode: int
    size_bytes: int
    owner: tuple[int, int] | None
    chunks: Refs | None
    leaves: Refs | None


@dataclass(frozen=True, slots=True)
class LinkEntry:
    """A symbolic link inside the data directory, as found."""

    name: str
    target: str


@dataclass(frozen=True, slots=True)
class Directory:
    """The files of one directory; subdirectories are listed by the manifest, not here."""

    files: tuple[FileEntry, ...]
    links: tuple[LinkEntry, ...] = ()

    def to_json(self) -> bytes:
        """Return the stored form: the same bytes for the same content."""
        document = {
            "files": [_file_to_json(entry) for entry in self.files],
            "links": [[link.name, link.target] for link in self.links],
        }
        return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Directory:
        """Return the directory stored as `data`."""
        try:
            document = json.loads(data)
            files = tuple(_file_from_json(entry) for entry in document["files"])
            links = tuple(LinkEntry(name, target) for name, target in document["links"])
        except (ValueError, KeyError, TypeError, IndexError, OverflowError) as error:
            raise IntegrityError(f"a directory node is malformed: {error}") from error
        return cls(files, links)


def _file_to_json(entry: FileEntry) -> Mapping[str, object]:
    document: dict[str, object] = {"n": entry.name, "m": entry.mode, "s": entry.size_bytes}
    if entry.owner is not None:
        document["o"] = list(entry.owner)
    if entry.leaves is not None:
        document["l"] = base64.b64encode(entry.leaves.tobytes()).decode()
    elif entry.chunks is not None and len(entry.chunks):
        document["c"] = base64.b64encode(entry.chunks.tobytes()).decode()
    return document


def _file_from_json(document: Mapping[str, object]) -> FileEntry:
    def refs(key: str) -> Refs | None:
        text = document.get(key)
        return None if text is None else decode_refs(base64.b64decode(str(text), validate=True))

    owner = document.get("o")
    leaves = refs("l")
    chunks = refs("c")
    return FileEntry(
        str(document["n"]),
        int(str(document["m"])),
        int(str(document["s"])),
        (int(owner[0]), int(owner[1])) if isinstance(owner, list) else None,
        np.zeros(0, REF) if chunks is None and leaves is None else chunks,
        leaves,
    )


def chunk_count(size_bytes: int, chunk_bytes: int) -> int:
    """Return how many chunks a file of `size_bytes` has."""
    return -(-size_bytes // chunk_bytes)


def check_leaf_count(entry: FileEntry, chunk_bytes: int) -> None:
    """Raise IntegrityError unless a file has exactly the leaves that its size asks for.

    A file that carries its references itself has none, whatever its size.
    """
    if entry.leaves is None:
        return
    expected = -(-chunk_count(entry.size_bytes, chunk_bytes) // CHUNKS_PER_LEAF)
    if len(entry.leaves) != expected:
        raise IntegrityError(
            f"{entry.name} has {len(entry.leaves)} leaves, its {entry.size_bytes} bytes "
            f"need {expected}"
        )


def check_part(name: str, size_bytes: int, number: int, refs: Refs, chunk_bytes: int) -> Refs:
    """Return `refs`; IntegrityError unless they are exactly part `number` of a file of that size.

    A part is a leaf's worth; every chunk but the file's last is full.
    """
    begin = number * CHUNKS_PER_LEAF * chunk_bytes
    expected = min(size_bytes - begin, CHUNKS_PER_LEAF * chunk_bytes)
    raw = refs["raw_bytes"]
    whole = len(raw) == chunk_count(expected, chunk_bytes)
    if not whole or int(raw.sum()) != expected or bool((raw[:-1] != chunk_bytes).any()):
        raise IntegrityError(
            f"the chunks of {name} from {begin} on hold {int(raw.sum())} bytes, "
            f"its entry says {expected}"
        )
    return refs
