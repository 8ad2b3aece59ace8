"""Freeing storage: packs that nobody needs go, packs of which little is needed are rewritten.

Expiry lets go of backups and with them of packs that nothing refers to any more. What stays may
lie in packs that are mostly empty. Pruning copies what is needed of those into new packs, writes
down where it went (`moves`), and only then removes the old pack. It decrypts and encrypts, because
a blob's place is part of its authentication; nothing is decompressed.

It is safe beside running backups. Packs are listed first, then pins, then manifests, as for an
expiry; a running backup refers to what its parent refers to, and its parent is among the manifests.
The new packs are pinned until they are referred to. Interrupted at any moment, either the old pack
is there, or the note of where its blobs went, and what that note names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from processpilot.progress import Progress
from processpilot.repository.blob import BackupId, BlobRef, PackId, ref_of, refs_in
from processpilot.repository.expire import loose_packs, read_pins
from processpilot.repository.moves import moved_content, moved_name
from processpilot.repository.names import MOVED, PACKS, PINS, objects
from processpilot.repository.needs import Needs
from processpilot.repository.pack import PackWriter
from processpilot.repository.repository import Repository
from processpilot.storage.store import ExistsError, ObjectInfo

# A pack is rewritten when less than this share of it is needed: each byte copied frees one.
REWRITE_BELOW = 0.5


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A pack of which `needed_bytes` of `size_bytes` are needed, by `refs`."""

    pack: PackId
    size_bytes: int
    needed_bytes: int
    refs: tuple[BlobRef, ...]


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """What a prune is about to do. What is `locked` may not be deleted yet, and until when."""

    loose: Mapping[str, int]
    rewrites: tuple[Rewrite, ...]
    notes: tuple[str, ...]
    locked: Mapping[str, datetime]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do now."""
        return not (self.loose or self.rewrites or self.notes)

    @property
    def freed_bytes(self) -> int:
        """How many bytes are free afterwards that are not now, indexes aside."""
        rewritten = sum(item.size_bytes - item.needed_bytes for item in self.rewrites)
        return sum(self.loose.values()) + rewritten

    @property
    def copied_bytes(self) -> int:
        """How many bytes have to be read and written again."""
        return sum(item.needed_bytes for item in self.rewrites)


def plan_prune(
    repository: Repository, now: datetime, *, lock: timedelta = timedelta(0)
) -> PrunePlan:
    """Return what can be freed; changes nothing.

    `lock` is for how long the store forbids to delete an object after it was made.
    """
    listed = list(objects(repository.store, PACKS))
    notes = [info.name for info in objects(repository.store, MOVED)]
    running = read_pins(repository, now).keys()
    needs = Needs(repository)
    for manifest in repository.manifests():
        needs.add(manifest)
    sizes = {info.name: info.size_bytes for info in listed}
    loose = loose_packs(sizes, needs, running)
    locked = _locked(listed, now, lock)
    sparse = [
        rewrite
        for info in listed
        if info.name not in loose and info.name not in locked
        for rewrite in _rewrite(PackId.parse(info.name), info.size_bytes, needs, running)
    ]
    needed_notes = {moved_name(pack) for pack in needs.moved}
    return PrunePlan(
        {name: size for name, size in loose.items() if name not in locked},
        tuple(sparse),
        tuple(name for name in notes if name not in needed_notes),
        {name: until for name, until in locked.items() if name in loose},
    )


def _locked(listed: Iterable[ObjectInfo], now: datetime, lock: timedelta) -> Mapping[str, datetime]:
    if not lock:
        return {}
    return {info.name: info.modified_at + lock for info in listed if info.modified_at + lock > now}


def _rewrite(
    pack: PackId, size_bytes: int, needs: Needs, running: Iterable[BackupId]
) -> Iterable[Rewrite]:
    if pack.backup in running:
        return
    refs = needs.refs_of(pack)
    needed = int(refs["stored_bytes"].sum(dtype=np.int64))
    if needed < REWRITE_BELOW * size_bytes:
        yield Rewrite(pack, size_bytes, needed, tuple(refs_in(refs)))


def execute_prune(
    repository: Repository, plan: PrunePlan, writer: BackupId, progress: Progress
) -> int:
    """Carry out `plan`; return how many bytes were freed, new packs deducted.

    `writer` names the new packs: a fresh identity, as a backup's. Nothing of a pack is removed
    before all that is needed of it is durable elsewhere.
    """
    store = repository.store
    freed = 0
    if plan.rewrites:
        pin = f"{PINS}{writer}"
        document = {"parent": None, "begin_at": writer.began_at.isoformat()}
        repository.put_object(pin, json.dumps(document).encode())
        try:
            freed += _Copying(repository, writer, progress).carry_out(plan.rewrites)
        finally:
            store.delete(pin)
    for name, size in plan.loose.items():
        store.delete(name)
        freed += size
    for name in plan.notes:
        store.delete(name)
    return freed


@dataclass(frozen=True, slots=True)
class _Copied:
    rewrite: Rewrite
    places: list[BlobRef]

    @property
    def packs(self) -> set[PackId]:
        return {ref.pack for ref in self.places}


class _Copying:
    """Copies what is needed of sparse packs into new ones, a new pack's worth at a time."""

    def __init__(self, repository: Repository, writer: BackupId, progress: Progress) -> None:
        self._repository = repository
        self._progress = progress
        self._numbers = iter(range(1 << 32))
        self._writer = writer

    def carry_out(self, rewrites: Iterable[Rewrite]) -> int:
        """Return the bytes freed."""
        work = list(rewrites)
        packs = PackWriter(
            self._repository.keyring,
            lambda: PackId(self._writer, next(self._numbers)),
            self._repository.store.put,
        )
        freed = 0
        waiting: list[_Copied] = []
        for done, rewrite in enumerate(work, start=1):
            waiting.append(_Copied(rewrite, self._copy(packs, rewrite)))
            durable = [item for item in waiting if packs.open_pack not in item.packs]
            waiting = [item for item in waiting if packs.open_pack in item.packs]
            freed += sum(map(self._settle, durable))
            self._progress("rewrite", done, len(work))
        packs.flush()
        return freed + sum(map(self._settle, waiting)) - packs.stored_bytes

    def _copy(self, packs: PackWriter, rewrite: Rewrite) -> list[BlobRef]:
        ranges = [(ref.offset, ref.stored_bytes) for ref in rewrite.refs]
        parts = self._repository.store.get_ranges(rewrite.pack.object_name, ranges)
        found = []
        for ref, part in zip(rewrite.refs, parts, strict=True):
            self._repository.open_blob(ref, part)
            body = self._repository.keyring.open_blob(ref.pack, ref.offset, part)
            found.append(ref_of(packs.add_compressed(body, ref.name, ref.raw_bytes)))
        return found

    def _settle(self, copied: _Copied) -> int:
        """Write down where the blobs went and remove the old pack; return its bytes.

        When another prune wrote it down meanwhile, our copies are left for the next one.
        """
        try:
            note = moved_content(copied.places)
            self._repository.put_object(moved_name(copied.rewrite.pack), note)
        except ExistsError:
            return 0
        self._repository.store.delete(copied.rewrite.pack.object_name)
        return copied.rewrite.size_bytes
