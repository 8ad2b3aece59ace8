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
from processpilot.progress import Progress
from processpilot.repository.blob import BackupId, PackId
from processpilot.repository.examine import ExamineJob, PackTask, SegmentTask, Task
from processpilot.repository.findings import STRANGER, Finding, Ledger
from processpilot.repository.kept import read_keepings
from processpilot.repository.keys import check_recipients
from processpilot.repository.manifest import Manifest
from processpilot.repository.names import BACKUPS, PACKS, objects, strangers
from processpilot.repository.needs import Needs
from processpilot.repository.proofs import read_proofs
from processpilot.repository.repository import Repository, check_settings
from processpilot.repository.tree import Directory
from processpilot.repository.verify_log import resolve_log


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


def verify_repository(
    repository: Repository, only: Sequence[BackupId] | None, *, deep: bool, progress: Progress
) -> Verification:
    """Return what is wrong with the repository, or with the backups named in `only`.

    `deep` also decompresses every blob and compares its content with its name.
    """
    total = sum(info.size_bytes for info in repository.store.list(""))
    ledger = Ledger(progress, total)
    ledger.guard("config", (), lambda: check_settings(repository.store, repository.keyring))
    ledger.guard("keys", (), lambda: check_recipients(repository.store, repository.keyring))
    ledger.guard("kept", (), lambda: _read_all(read_keepings, repository))
    ledger.guard("proofs", (), lambda: _read_all(read_proofs, repository))
    needs = Needs(repository)
    present: list[PackId] = []
    if only is None:
        ledger.findings += [Finding(name, STRANGER, ()) for name in strangers(repository.store)]
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
    segments = resolve_log(repository, manifests, ledger, everything=only is None)
    tasks: Iterator[Task] = itertools.chain(_pack_tasks(needs, present), map(SegmentTask, segments))
    segment_bytes = manifests[0].cluster.wal_segment_bytes if manifests else 0
    job = ExamineJob(repository, segment_bytes, deep)
    everyone = tuple(manifest.backup_id for manifest in manifests)
    with open_crew(job.begin, worker_count(), processes=total >= PROCESSES_FROM_BYTES) as crew:
        for task, examined in crew.results(tasks):
            ledger.count(examined.bytes)
            if examined.problem is not None:
                harmed = _harmed(task, needs, everyone)
                ledger.findings.append(Finding(task.place, examined.problem, harmed))
    packs = len({*present, *needs.packs()})
    findings = tuple(sorted(ledger.findings, key=lambda finding: finding.place))
    return Verification(len(manifests), packs, len(segments), ledger.bytes, findings)


def _harmed(task: Task, needs: Needs, everyone: tuple[BackupId, ...]) -> tuple[BackupId, ...]:
    """Return the backups that may need what a task looked at."""
    if isinstance(task, PackTask) and task.pack not in needs.moved:
        return needs.users(task.pack)
    return everyone


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
    repository: Repository, only: Sequence[BackupId] | None, ledger: Ledger
) -> list[Manifest]:
    found: list[Manifest] = []

    def load(backup: BackupId) -> None:
        found.append(repository.manifest(backup))

    for backup in repository.backup_ids() if only is None else only:
        ledger.guard(f"{BACKUPS}{backup}", (backup,), partial(load, backup))
    return found


def _read_all(read: Callable[[Repository], object], repository: Repository) -> None:
    read(repository)
