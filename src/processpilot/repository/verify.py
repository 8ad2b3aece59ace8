"""Verification: is everything that a restore would read there and authentic?

Packs are read whole, so a flipped byte is found wherever it lies. Chains of log are resolved by
the same function that restore uses, so verification cannot call fine what restore would refuse.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from processpilot.errors import IntegrityError, NotFoundError
from processpilot.parallel import run_all
from processpilot.postgres.wal import Segment
from processpilot.progress import Progress
from processpilot.repository.blob import BackupId, PackId, Refs, decode_refs, packs_in, refs_in
from processpilot.repository.chain import Chain, resolve_chain
from processpilot.repository.expire import wal_floor
from processpilot.repository.keys import check_recipients
from processpilot.repository.manifest import Manifest
from processpilot.repository.names import BACKUPS, PACKS, objects, strangers
from processpilot.repository.pack import MAGIC, read_pack
from processpilot.repository.repository import Repository, check_settings
from processpilot.repository.tree import Directory, check_file, file_chunks
from processpilot.repository.wal import WalArchive, WalInventory

_WORKERS = 2
_STRANGER = "is no object of this format; nothing reads it, remove it if nobody needs it"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong: which object, what, and the backups it harms."""

    place: str
    message: str
    backups: tuple[BackupId, ...]


@dataclass(frozen=True, slots=True)
class Verification:
    """What was looked at and what was found; `intact` only when nothing was."""

    backups: int
    packs: int
    segments: int
    bytes: int
    findings: tuple[Finding, ...]

    @property
    def intact(self) -> bool:
        """Whether everything looked at is whole."""
        return not self.findings


class _Ledger:
    """Collects findings and figures from several threads."""

    def __init__(self, progress: Progress, total_bytes: int) -> None:
        self.findings: list[Finding] = []
        self.bytes = 0
        self._progress = progress
        self._total = total_bytes
        self._lock = threading.Lock()

    def count(self, size: int) -> None:
        with self._lock:
            self.bytes += size
            done = self.bytes
        self._progress("verify", done, self._total)

    def guard(self, place: str, backups: Sequence[BackupId], look: Callable[[], None]) -> None:
        """Run `look`; what it raises about stored bytes becomes a finding."""
        try:
            look()
        except (IntegrityError, NotFoundError) as error:
            with self._lock:
                self.findings.append(Finding(place, error.message, tuple(backups)))


def verify_repository(
    repository: Repository, only: Sequence[BackupId] | None, *, deep: bool, progress: Progress
) -> Verification:
    """Return what is wrong with the repository, or with the backups named in `only`.

    `deep` also decompresses every blob and compares its content with its name.
    """
    total = sum(info.size_bytes for info in repository.store.list(""))
    ledger = _Ledger(progress, total)
    ledger.guard("config", (), lambda: check_settings(repository.store))
    ledger.guard("keys", (), lambda: check_recipients(repository.store, repository.keyring))
    users: dict[PackId, set[BackupId]] = {}
    refs: dict[PackId, list[Refs]] = {}
    if only is None:
        ledger.findings += [Finding(name, _STRANGER, ()) for name in strangers(repository.store)]
        for info in objects(repository.store, PACKS):
            refs[PackId.parse(info.name)] = []
    manifests = _manifests(repository, only, ledger)
    for manifest in manifests:
        place = f"{BACKUPS}{manifest.backup_id}"
        ledger.findings += _harmed_at_the_source(manifest, place)
        look = partial(_walk, repository, manifest, users, refs)
        ledger.guard(place, (manifest.backup_id,), look)
    _in_parallel(
        partial(_verify_pack, repository, pack, needed, users.get(pack, set()), deep, ledger)
        for pack, needed in sorted(refs.items(), key=lambda item: item[0].object_name)
    )
    segments = _verify_log(repository, manifests, ledger, everything=only is None)
    findings = tuple(sorted(ledger.findings, key=lambda finding: finding.place))
    return Verification(len(manifests), len(refs), segments, ledger.bytes, findings)


def _harmed_at_the_source(manifest: Manifest, place: str) -> Iterator[Finding]:
    """Yield what was wrong with the cluster itself: a restore brings it back just so."""
    for what, names in (
        ("pages with a wrong checksum", [f"{p.path} block {p.block}" for p in manifest.bad_pages]),
        ("files of relations missing", list(manifest.missing_files)),
    ):
        if names:
            shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
            message = f"the cluster had {len(names)} {what}: {shown}"
            yield Finding(place, message, (manifest.backup_id,))


def _manifests(
    repository: Repository, only: Sequence[BackupId] | None, ledger: _Ledger
) -> list[Manifest]:
    found: list[Manifest] = []

    def load(backup: BackupId) -> None:
        found.append(repository.manifest(backup))

    for backup in repository.backup_ids() if only is None else only:
        ledger.guard(f"{BACKUPS}{backup}", (backup,), partial(load, backup))
    return found


def _walk(
    repository: Repository,
    manifest: Manifest,
    users: dict[PackId, set[BackupId]],
    refs: dict[PackId, list[Refs]],
) -> None:
    """Note every pack the backup needs and check that each file's chunks add up."""

    def note(found: Refs) -> None:
        for pack in packs_in(found):
            users.setdefault(pack, set()).add(manifest.backup_id)
            mine = (
                (found["backup_time"] == pack.backup.time_s)
                & (found["backup_tag"] == pack.backup.tag)
                & (found["pack"] == pack.number)
            )
            refs.setdefault(pack, []).append(found[mine])

    for entry in manifest.directories:
        note(decode_refs(entry.node.to_bytes()))
        for file in Directory.from_json(repository.read_blob(entry.node)).files:
            if file.leaves is not None:
                note(file.leaves)
            chunks = list(file_chunks(repository, file))
            check_file(file, chunks, manifest.chunk_bytes)
            for part in chunks:
                note(part)


def _verify_pack(
    repository: Repository,
    pack: PackId,
    needed: Iterable[Refs],
    users: set[BackupId],
    deep: bool,
    ledger: _Ledger,
) -> None:
    def look() -> None:
        try:
            body, index = read_pack(repository.store, repository.keyring, pack)
        except NotFoundError:
            if users:
                raise
            return  # nobody needs it, and an expiry removed it meanwhile
        ledger.count(len(body))
        place = pack.object_name
        view = memoryview(body)
        end = len(MAGIC)
        for ref in refs_in(index):
            if ref.offset != end:
                raise IntegrityError(f"{place} has {ref.offset - end} stray bytes at {end}")
            end += ref.stored_bytes
            stored = view[ref.offset : end]
            if deep:
                repository.open_blob(ref, stored)
            else:
                repository.keyring.open_blob(pack, ref.offset, stored)
        if not users:
            return
        rows = {bytes(row) for row in _rows(index)}
        wanted = np.concatenate(list(needed))
        if any(bytes(row) not in rows for row in _rows(wanted)):
            raise IntegrityError(f"{place} lacks a blob that a backup refers to")

    ledger.guard(pack.object_name, sorted(users), look)


def _rows(refs: Refs) -> list[memoryview]:
    data = memoryview(refs.tobytes())
    return [data[begin : begin + 56] for begin in range(0, len(data), 56)]


def _verify_log(
    repository: Repository, manifests: list[Manifest], ledger: _Ledger, *, everything: bool
) -> int:
    """Check the log behind each backup, or with `everything` all there is; return segments read."""
    if not manifests:
        return 0
    archive = WalArchive(repository, manifests[0].cluster.wal_segment_bytes)
    inventory = archive.inventory()
    floor = 0

    def read_floor() -> None:
        nonlocal floor
        floor = wal_floor(repository)

    ledger.guard("floors", (), read_floor)
    chains: list[tuple[Manifest, Chain]] = []

    def resolve(manifest: Manifest) -> None:
        chains.append((manifest, _check_chain(archive, inventory, manifest, floor, manifests)))

    for manifest in manifests:
        place = f"log of {manifest.backup_id}"
        ledger.guard(place, (manifest.backup_id,), partial(resolve, manifest))
    wanted = {segment for _, chain in chains for segment in chain.segments}
    if everything:
        wanted |= set(inventory.whole_segments())
    tails = {chain.tail: chain for _, chain in chains if chain.tail is not None}
    ids = tuple(manifest.backup_id for manifest in manifests)

    def read(name: str, look: Callable[[], bytes]) -> None:
        ledger.guard(name, ids, lambda: ledger.count(len(look())))

    _in_parallel(
        partial(read, segment.name, partial(archive.read_segment, segment))
        for segment in sorted(wanted)
    )
    _in_parallel(
        partial(read, tail.name, partial(archive.read_tail, tail, chain.tail_pieces))
        for tail, chain in tails.items()
    )
    for timeline in sorted(inventory.histories):
        ledger.guard(f"{timeline:08X}.history", ids, partial(_read_history, archive, timeline))
    return len(wanted) + len(tails)


def _read_history(archive: WalArchive, timeline: int) -> None:
    archive.history(timeline)


def _in_parallel(jobs: Iterable[Callable[[], None]]) -> None:
    run_all(lambda job: job(), jobs, _WORKERS)


def _check_chain(
    archive: WalArchive,
    inventory: WalInventory,
    manifest: Manifest,
    floor: int,
    manifests: Sequence[Manifest],
) -> Chain:
    """Return the chain behind a backup; IntegrityError when it does not reach the backup's stop,
    or breaks where nothing was let go on purpose.
    """
    newest = archive.history(inventory.newest_timeline)
    contains = newest.contains(manifest.timeline, manifest.stop_lsn)
    history = newest if contains else archive.history(manifest.timeline)
    chain = resolve_chain(inventory, history, manifest.start_lsn)
    if not chain.covers(manifest.stop_lsn):
        raise IntegrityError(
            f"the log of {manifest.backup_id} ends at {chain.end}, its stop is {manifest.stop_lsn}"
        )
    missing = chain.missing
    if missing is not None and missing.number >= floor and _was_promised(missing, manifests):
        raise IntegrityError(f"segment {missing.name} is missing, later ones are there")
    return chain


def _was_promised(missing: Segment, manifests: Sequence[Manifest]) -> bool:
    """Whether log was being streamed there: behind a backup taken without the agent it was not."""
    before = [manifest for manifest in manifests if manifest.stop_lsn < missing.end]
    newest = max(before, key=lambda manifest: manifest.stop_lsn, default=None)
    return newest is None or newest.continuous
