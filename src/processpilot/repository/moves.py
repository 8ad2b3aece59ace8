"""Where blobs went when the pack they lay in was rewritten.

References are never changed: trees go on naming the old pack. An object under `moved/` says for
each blob of that pack that anybody needed where it lies now. That pack may have been rewritten in
its turn, so the way is followed to its end; it has no circles, because a new pack is always new.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from processpilot.errors import IntegrityError, NotFoundError
from processpilot.repository.blob import BlobRef, PackId, Refs, decode_refs, packs_in, refs_in
from processpilot.repository.names import MOVED, objects
from processpilot.storage.store import ObjectStore

# Each holds what was left in one pack: at most about a thousand blobs.
_MOST_REMEMBERED = 512

Places = Mapping[bytes, BlobRef]


class SealedObjects(Protocol):
    """What reading moves asks of a repository."""

    store: ObjectStore

    def get_object(self, name: str) -> bytes:
        """Return a sealed object's content."""
        ...


class Moves:
    """The moves of one repository, remembered as they are read. Safe to share between threads."""

    def __init__(self, repository: SealedObjects) -> None:
        self._repository = repository
        self._lock = threading.Lock()
        self._read: dict[PackId, Places] = {}

    def of(self, pack: PackId) -> Places | None:
        """Return where each blob of a rewritten pack lies now, by its name; None: not rewritten."""
        with self._lock:
            found = self._read.get(pack)
        if found is not None:
            return found
        try:
            rows = decode_refs(self._repository.get_object(moved_name(pack)))
        except NotFoundError:
            return None
        places = {ref.name: ref for ref in refs_in(rows)}
        with self._lock:
            if len(self._read) >= _MOST_REMEMBERED:
                self._read.clear()
            self._read[pack] = places
        return places

    def place(self, ref: BlobRef, places: Places) -> BlobRef:
        """Return where a blob lies now; IntegrityError when it was not taken along."""
        found = places.get(ref.name)
        if found is None or found.raw_bytes != ref.raw_bytes:
            raise IntegrityError(
                f"{ref.pack.object_name} was rewritten without the blob at offset {ref.offset}"
            )
        return found

    def settle(self, refs: Refs, moved: Collection[PackId], seen: set[PackId]) -> Refs:
        """Return `refs` with those into packs in `moved` led to where the blobs lie now.

        The rewritten packs on the way are added to `seen`.
        """
        while concerned := [pack for pack in packs_in(refs) if pack in moved]:
            rows = list(refs_in(refs))
            for pack in concerned:
                seen.add(pack)
                places = self.of(pack)
                if places is None:
                    raise NotFoundError(f"no object {moved_name(pack)}, which was listed")
                rows = [self.place(ref, places) if ref.pack == pack else ref for ref in rows]
            refs = decode_refs(b"".join(ref.to_bytes() for ref in rows))
        return refs

    def packs(self) -> set[PackId]:
        """Return every pack that was rewritten."""
        return {_pack_of(info.name) for info in objects(self._repository.store, MOVED)}


def moved_name(pack: PackId) -> str:
    """Return the name of the object that says where a pack's blobs went."""
    return f"{MOVED}{pack.backup}/{pack.number:08x}"


def moved_content(places: Sequence[BlobRef]) -> bytes:
    """Return the content of such an object: references, sorted by the blobs' names."""
    return b"".join(ref.to_bytes() for ref in sorted(places, key=lambda ref: ref.name))


def _pack_of(name: str) -> PackId:
    return PackId.parse(f"packs/{name.removeprefix(MOVED)}")
