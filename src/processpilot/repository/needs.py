"""What backups need of which packs.

Nodes and leaves that backups share are read once. Blobs of packs that were rewritten are needed
where they lie now.
"""

from __future__ import annotations

import struct
from collections.abc import Set

import numpy as np

from processpilot.repository.blob import (
    BackupId,
    BlobRef,
    PackId,
    Refs,
    decode_refs,
    packs_in,
    ref_of,
)
from processpilot.repository.manifest import Manifest
from processpilot.repository.repository import Repository
from processpilot.repository.tree import Directory, FileEntry, check_leaf_count, check_part


class Needs:
    """The packs that the backups added so far refer to, and which blobs of them."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._moved = repository.moves.packs()
        self._rows: dict[PackId, list[bytes]] = {}
        self._users: dict[PackId, set[BackupId]] = {}
        self._seen: dict[bytes, frozenset[PackId]] = {}
        self.moved: set[PackId] = set()
        """Rewritten packs that some backup's references still name."""

    def packs(self) -> Set[PackId]:
        """Return every pack that something is needed of."""
        return self._rows.keys()

    def users(self, pack: PackId) -> tuple[BackupId, ...]:
        """Return the backups that need something of a pack, oldest first."""
        return tuple(sorted(self._users.get(pack, ())))

    def rows_of(self, pack: PackId) -> bytes:
        """Return the references into a pack, end to end; some may come twice."""
        return b"".join(self._rows.get(pack, ()))

    def refs_of(self, pack: PackId) -> Refs:
        """Return the references into a pack, each once, by offset."""
        refs = decode_refs(self.rows_of(pack))
        _, first = np.unique(refs["offset"], return_index=True)
        return refs[first]

    def add(self, manifest: Manifest) -> None:
        """Note everything a backup needs.

        IntegrityError when a node or leaf is damaged, or when a file's chunks do not add up.
        """
        for entry in manifest.directories:
            row = entry.node.to_bytes()
            if row not in self._seen:
                self._seen[row] = self._folder(entry.node, manifest.chunk_bytes)
            for pack in self._seen[row]:
                self._users.setdefault(pack, set()).add(manifest.backup_id)

    def _folder(self, node: BlobRef, chunk_bytes: int) -> frozenset[PackId]:
        """Note a folder's node and all its files."""
        rows = [node.to_bytes()]
        packs: frozenset[PackId] = frozenset()
        for file in Directory.from_json(self._repository.read_blob(node)).files:
            check_leaf_count(file, chunk_bytes)
            if file.leaves is None:
                assert file.chunks is not None
                check_part(file.name, file.size_bytes, 0, file.chunks, chunk_bytes)
                rows.append(file.chunks.tobytes())
            else:
                packs |= self._leaves(file, file.leaves, chunk_bytes)
        return packs | self._note(decode_refs(b"".join(rows)))

    def _leaves(self, file: FileEntry, leaves: Refs, chunk_bytes: int) -> frozenset[PackId]:
        packs: frozenset[PackId] = frozenset()
        for number, leaf in enumerate(leaves):
            row = leaf.tobytes()
            # The same leaf need not fit at another place, or into a file of another length.
            key = row + struct.pack("<QQ", number, file.size_bytes)
            if key not in self._seen:
                part = decode_refs(self._repository.read_blob(ref_of(row)))
                check_part(file.name, file.size_bytes, number, part, chunk_bytes)
                self._seen[key] = self._note(decode_refs(row + part.tobytes()))
            packs |= self._seen[key]
        return packs

    def _note(self, refs: Refs) -> frozenset[PackId]:
        """Note references, pack by pack; return the packs."""
        refs = self._repository.moves.settle(refs, self._moved, self.moved)
        packs = packs_in(refs)
        for pack in packs:
            mine = (
                (refs["backup_time"] == pack.backup.time_s)
                & (refs["backup_tag"] == pack.backup.tag)
                & (refs["pack"] == pack.number)
            )
            self._rows.setdefault(pack, []).append(refs[mine].tobytes())
        return frozenset(packs)
