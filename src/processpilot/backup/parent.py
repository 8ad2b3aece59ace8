"""The previous backup, as something to compare with and to refer to.

A reference is only taken over when its pack is really there and long enough: a backup must not
inherit the loss of an older one.
"""

from __future__ import annotations

from processpilot.backup.chunks import KnownChunks
from processpilot.errors import IntegrityError, NotFoundError
from processpilot.repository.blob import Refs, decode_refs, ref_of, refs_in
from processpilot.repository.manifest import DirectoryEntry, Manifest
from processpilot.repository.names import PACKS, objects
from processpilot.repository.repository import Repository
from processpilot.repository.tree import CHUNKS_PER_LEAF, Directory, FileEntry


class ParentTree:
    """Read access to the previous backup's tree; loads what is asked for, when it is asked for.

    Threads may share it: loading the same node twice is harmless.
    """

    def __init__(self, repository: Repository, manifest: Manifest) -> None:
        self._repository = repository
        self._entries = {entry.path: entry for entry in manifest.directories}
        self._folders: dict[str, dict[str, FileEntry]] = {}
        self._packs = pack_sizes(repository)
        self._moved = repository.moves.packs()

    def directory(self, path: str) -> DirectoryEntry | None:
        """Return the manifest's entry of a folder, when its node can be referred to."""
        entry = self._entries.get(path)
        if entry is None:
            return None
        row = self._settled(decode_refs(entry.node.to_bytes()))
        return None if row is None else entry.model_copy(update={"node": ref_of(row.tobytes())})

    def file(self, path: str) -> FileEntry | None:
        """Return the previous backup's entry of a file; None when there is none or no longer."""
        folder, _, name = path.rpartition("/")
        if folder not in self._folders:
            self._folders[folder] = self._load(folder)
        return self._folders[folder].get(name)

    def _load(self, folder: str) -> dict[str, FileEntry]:
        entry = self._entries.get(folder)
        if entry is None:
            return {}
        try:
            directory = Directory.from_json(self._repository.read_blob(entry.node))
        except (IntegrityError, NotFoundError):
            return {}
        return {file.name: file for file in directory.files}

    def stretch(self, path: str, leaf: int) -> KnownChunks | None:
        """Return the chunks of a file's `leaf`-th stretch that may be referred to."""
        entry = self.file(path)
        refs = None if entry is None else self._leaf_refs(entry, leaf)
        settled = None if refs is None else self._settled(refs)
        return None if settled is None else KnownChunks.of(settled)

    def _leaf_refs(self, entry: FileEntry, leaf: int) -> Refs | None:
        if entry.leaves is None:
            assert entry.chunks is not None
            return entry.chunks[leaf * CHUNKS_PER_LEAF : (leaf + 1) * CHUNKS_PER_LEAF]
        if leaf >= len(entry.leaves):
            return None
        ref = next(refs_in(entry.leaves[leaf : leaf + 1]))
        try:
            return decode_refs(self._repository.read_blob(ref))
        except (IntegrityError, NotFoundError):
            return None

    def leaf_row(self, path: str, leaf: int, name: bytes) -> bytes | None:
        """Return the reference to a stored leaf when it is named `name` and is there."""
        entry = self.file(path)
        if entry is None or entry.leaves is None or leaf >= len(entry.leaves):
            return None
        row = entry.leaves[leaf : leaf + 1]
        if row["name"].tobytes() != name:
            return None
        settled = self._settled(row)
        return None if settled is None else settled.tobytes()

    def _settled(self, refs: Refs) -> Refs | None:
        """Return references to where the blobs lie now; None when not all of them are there."""
        try:
            refs = self._repository.moves.settle(refs, self._moved, set())
        except (IntegrityError, NotFoundError):
            return None
        for ref in refs_in(_last_of_each_pack(refs)):
            if self._packs.get(ref.pack.object_name, -1) < ref.offset + ref.stored_bytes:
                return None
        return refs


def pack_sizes(repository: Repository) -> dict[str, int]:
    """Return the size of every pack object by name."""
    return {info.name: info.size_bytes for info in objects(repository.store, PACKS)}


def _last_of_each_pack(refs: Refs) -> Refs:
    """Return, for each pack in `refs`, the row that reaches furthest into it."""
    order = refs.argsort(order=["backup_time", "backup_tag", "pack", "offset"])
    ordered = refs[order]
    keys = ordered[["backup_time", "backup_tag", "pack"]]
    is_last = [*(keys[1:] != keys[:-1]), True] if len(keys) else []
    return ordered[is_last]


def choose_parent(repository: Repository, system_identifier: int) -> Manifest | None:
    """Return the newest backup that new chunks can be compared with.

    A backup whose manifest cannot be read is passed over: the new one then stores everything.
    """
    for backup in reversed(repository.backup_ids()):
        try:
            manifest = repository.manifest(backup)
        except (IntegrityError, NotFoundError):
            continue
        same_chunks = manifest.chunk_bytes == repository.settings.chunk_bytes
        if same_chunks and manifest.cluster.system_identifier == system_identifier:
            return manifest
    return None
