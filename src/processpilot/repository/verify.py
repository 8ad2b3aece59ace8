"""Verification: is everything that a restore would read there and authentic?

Packs are read whole, so a flipped byte is found wherever it lies. Chains of log are resolved by
the same function that restore uses, so verification cannot call fine what restore would refuse.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from processpilot.crew import PROCESSES_FROM_BYTES, open_crew, worker_count
from processpilot.errors import IntegrityError, NotFoundError
from processpilot.postgres.control import CONTROL_PATH
from processpilot.postgres.wal import Segment
from processpilot.progress import Progress
from processpilot.repository.blob import BackupId, PackId
from processpilot.repository.chain import Chain, resolve_chain
from processpilot.repository.examine import ExamineJob, PackTask, SegmentTask, Task
from processpilot.repository.expire import wal_floor
from processpilot.repository.kept import read_keepings
from processpilot.repository.keys import check_recipients
from processpilot.repository.manifest import Manifest
from processpilot.repository.names import BACKUPS, PACKS, objects, strangers
from processpilot.repository.needs import Needs
from processpilot.repository.proofs import read_proofs
from processpilot.repository.repository import Repository, check_settings
from processpilot.repository.tree import Directory
from processpilot.repository.wal import WalArchive, WalInventory

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
    """Collects findings and figures."""

    def __init__(self, progress: Progress, total_bytes: int) -> None:
        self.findings: list[Finding] = []
        self.bytes = 0
        self._progress = progress
        self._total = total_bytes

    def count(self, size: int) -> None:
        self.bytes += size
        self._progress("verify", self.bytes, self._total)

    def count_read(self, read: Callable[[], bytes]) -> None:
        self.count(len(read()))

    def guard(self, place: str, backups: Sequence[BackupId], look: Callable[[], None]) -> None:
        """Run `look`; what it raises about stored bytes becomes a finding."""
        try:
            look()
        except (IntegrityError, NotFoundError) as error:
            self.findings.append(Finding(place, error.message, tuple(backups)))


def verify_repository(
    repository: Repository, only: Sequence[BackupId] | None, *, deep: bool, progress: Progress
) -> Verification:
    """Return what is wrong with the repository, or with the backups named in `only`.

    `deep` also decompresses every blob and compares its content with its name.
    """
    total = sum(info.size_bytes for info in repository.store.list(""))
    ledger = _Ledger(progress, total)
    ledger.guard("config", (), lambda: check_settings(repository.store, repository.keyring))
    ledger.guard("keys", (), lambda: check_recipients(repository.store, repository.keyring))
    ledger.guard("kept", (), lambda: _read_all(read_keepings, repository))
    ledger.guard("proofs", (), lambda: _read_all(read_proofs, repository))
    needs = Needs(repository)
    packs = 0
    present: list[PackId] = []
    if only is None:
        ledger.findings += [Finding(name, _STRANGER, ()) for name in strangers(repository.store)]
        present = [PackId.parse(info.name) for info in objects(repository.store, PACKS)]
    manifests = _manifests(repository, only, ledger)
    for manifest in manifests:
        place = f"{BACKUPS}{manifest.backup_id}"
        ledger.findings += _harmed_at_the_source(manifest, place)
        ledger.guard(place, (manifest.backup_id,), partial(needs.add, manifest))
        ledger.guard(place, (manifest.backup_id,), partial(_check_control, repository, manifest))
    if only is not None:
        # A prune that was killed left both a pack and the note of where its blobs went; a restore
        # reads whichever it finds first, which is the pack.
        present = [pack for pack in needs.moved if _is_there(repository, pack)]
    segments = _resolve_log(repository, manifests, ledger, everything=only is None)
    tasks: Iterator[Task] = itertools.chain(_pack_tasks(needs, present), map(SegmentTask, segments))
    segment_bytes = manifests[0].cluster.wal_segment_bytes if manifests else 0
    job = ExamineJob(repository, segment_bytes, deep)
    everyone = tuple(manifest.backup_id for manifest in manifests)
    processes = total >= PROCESSES_FROM_BYTES
    with open_crew(job.begin, worker_count(), processes=processes) as crew:
        for task, examined in crew.results(tasks):
            ledger.count(examined.bytes)
            packs += isinstance(task, PackTask)
            if examined.problem is not None:
                harmed = needs.users(task.pack) if isinstance(task, PackTask) else everyone
                ledger.findings.append(Finding(task.place, examined.problem, harmed))
    findings = tuple(sorted(ledger.findings, key=lambda finding: finding.place))
    return Verification(len(manifests), packs, len(segments), ledger.bytes, findings)


def _is_there(repository: Repository, pack: PackId) -> bool:
    try:
        repository.store.size(pack.object_name)
    except NotFoundError:
        return False
    except IntegrityError:
        return True
    return True


def _pack_tasks(needs: Needs, present: Iterable[PackId]) -> Iterator[PackTask]:
    """Yield every pack that is there or needed, by name, with what is needed of it."""
    packs = sorted({*present, *needs.packs()}, key=lambda pack: pack.object_name)
    return (PackTask(pack, needs.rows_of(pack)) for pack in packs)


def _check_control(repository: Repository, manifest: Manifest) -> None:
    """Raise IntegrityError unless the backup holds the file without which no server starts."""
    folder, _, name = CONTROL_PATH.partition("/")
    nodes = [entry.node for entry in manifest.directories if entry.path == folder]
    files = [f.name for n in nodes for f in Directory.from_json(repository.read_blob(n)).files]
    if name not in files:
        raise IntegrityError(f"backup {manifest.backup_id} holds no {CONTROL_PATH}")


def _harmed_at_the_source(manifest: Manifest, place: str) -> Iterator[Finding]:
    """Yield what was wrong with the cluster itself: a restore brings it back just so."""
    for what, names in (
        ("pages with a wrong checksum", [str(page) for page in manifest.bad_pages]),
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


def _resolve_log(
    repository: Repository, manifests: list[Manifest], ledger: _Ledger, *, everything: bool
) -> list[Segment]:
    """Check the chain of log behind each backup, its tail and the histories.

    Return the whole segments to read: those of the chains, or with `everything` all there are.
    """
    if not manifests:
        return []
    archive = WalArchive(repository, manifests[0].cluster.wal_segment_bytes)
    inventory = archive.inventory()
    floor = 0

    def read_floor() -> None:
        nonlocal floor
        floor = wal_floor(repository)

    ledger.guard("floors", (), read_floor)
    chains: list[Chain] = []

    def resolve(manifest: Manifest) -> None:
        chains.append(_check_chain(archive, inventory, manifest, floor, manifests))
        # A restore can also be asked to stay on the backup's own timeline.
        own = archive.history(manifest.timeline)
        chains.append(resolve_chain(inventory, own, manifest.start_lsn))

    for manifest in manifests:
        place = f"log of {manifest.backup_id}"
        ledger.guard(place, (manifest.backup_id,), partial(resolve, manifest))
    wanted = {segment for chain in chains for segment in chain.segments}
    tails = {chain.tail: chain.tail_pieces for chain in chains if chain.tail is not None}
    if everything:
        wanted |= set(inventory.whole_segments())
        tails |= {of: ps for of, ps in inventory.tails.items() if not inventory.holds(of)}
        ledger.findings += [Finding(name, _STRANGER, ()) for name in archive.strangers()]
    ids = tuple(manifest.backup_id for manifest in manifests)

    for tail, pieces in tails.items():
        look = partial(archive.read_tail, tail, pieces)
        ledger.guard(tail.name, ids, partial(ledger.count_read, look))
    for timeline in sorted(inventory.histories):
        ledger.guard(f"{timeline:08X}.history", ids, partial(_read_history, archive, timeline))
    return sorted(wanted)


def _read_all(read: Callable[[Repository], object], repository: Repository) -> None:
    read(repository)


def _read_history(archive: WalArchive, timeline: int) -> None:
    archive.history(timeline)


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
