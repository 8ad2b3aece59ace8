"""Expiring backups: decide by policy, print the operation plan, carry it out.

Nothing that a kept backup refers to is removed. A backup that a running one is comparing itself
with is pinned and stays. Packs are dropped when no kept backup refers to any blob in them; log is
dropped when it lies before the continuous window and outside every kept backup.

Whatever the policy says, a backup stays when a person keeps it, when the store's object lock does
not let go of it yet, when it is the newest that was really brought back, and when it is the newest
from which the cluster as it is now can be reached: after a return to an earlier moment, newer
backups lie on a timeline that was left. Packs under a lock are left to prune.

Order keeps this true while backups run. Planning lists packs, then pins, then manifests: a backup
commits its manifest before it takes its pin away, so whoever wrote a listed pack is seen as running
or as finished. Executing announces the backups that go, then looks for pins and for manifests that
the plan did not know: a backup pins its parent before it looks for an announcement, so one of the
two notices the other, and one that came and went in between has left its manifest.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from processpilot.errors import LockedError, NotFoundError
from processpilot.postgres.wal import Segment
from processpilot.repository.blob import BackupId, PackId
from processpilot.repository.kept import read_keepings
from processpilot.repository.line import Line, read_line
from processpilot.repository.manifest import Manifest
from processpilot.repository.names import (
    BACKUPS,
    EXPIRING,
    FLOORS,
    KEPT,
    PACKS,
    PINS,
    SEGMENTS,
    objects,
)
from processpilot.repository.needs import Needs
from processpilot.repository.proofs import (
    Proof,
    newest_brought_back,
    outlived,
    read_proofs,
)
from processpilot.repository.repository import Repository
from processpilot.repository.retention import RetentionDecision, RetentionPolicy, decide_retention
from processpilot.repository.wal import WalArchive, segment_object
from processpilot.storage.store import ExistsError, ObjectInfo

# A backup that runs longer than this has died without removing its pin.
PIN_LIFETIME = timedelta(days=7)

# An announcement older than this was left by an expiry that was killed.
ANNOUNCEMENT_LIFETIME = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ExpirePlan:
    """What an expiry is about to remove, and why the rest stays."""

    decision: RetentionDecision
    pinned: tuple[BackupId, ...]
    backups: tuple[BackupId, ...]
    packs: tuple[str, ...]
    pack_bytes: int
    segments: tuple[Segment, ...]
    tails: tuple[Segment, ...]
    floor: int | None
    known: frozenset[BackupId]
    leftovers: tuple[str, ...]
    locked_packs: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.backups or self.packs or self.segments or self.tails or self.leftovers)


def plan_expiry(
    repository: Repository,
    policy: RetentionPolicy,
    now: datetime,
    *,
    lock: timedelta = timedelta(0),
) -> ExpirePlan:
    """Return what `policy` lets go; changes nothing.

    `lock` is for how long the store forbids to delete an object after it was made.
    """
    listed = list(objects(repository.store, PACKS))
    packs = {info.name: info.size_bytes for info in listed}
    pins = read_pins(repository, now)
    manifests = {manifest.backup_id: manifest for manifest in repository.manifests()}
    proofs = read_proofs(repository)
    line = read_line(repository, manifests.values())
    held = _held(repository, proofs, manifests, now - lock if lock else None)
    _hold_the_way(held, line, max(manifests, default=None))
    decision = decide_retention(list(manifests), policy, held)
    pinned = tuple(backup for backup in decision.expired if backup in pins.values())
    going = tuple(backup for backup in decision.expired if backup not in pinned)
    staying = [manifest for backup, manifest in manifests.items() if backup not in going]
    needs = Needs(repository)
    for manifest in staying:
        needs.add(manifest)
    every_loose = loose_packs(packs, needs, pins.keys())
    locked = _locked(repository, listed, now, lock)
    loose = {name: size for name, size in every_loose.items() if name not in locked}
    segments, tails, floor = _loose_log(staying, decision, line)
    segments = tuple(segment for segment in segments if segment_object(segment) not in locked)
    return ExpirePlan(
        decision,
        pinned,
        going,
        tuple(loose),
        sum(loose.values()),
        segments,
        tails,
        floor,
        frozenset(manifests),
        (*_old_announcements(repository, now), *_stale(repository, proofs, manifests, staying)),
        len(every_loose) - len(loose),
    )


def _locked(
    repository: Repository, packs: Iterable[ObjectInfo], now: datetime, lock: timedelta
) -> set[str]:
    """Return the packs and segments that the store's object lock does not let go of yet."""
    if not lock:
        return set()
    listed = [*packs, *objects(repository.store, SEGMENTS)]
    return {info.name for info in listed if info.modified_at > now - lock}


def _held(
    repository: Repository,
    proofs: Mapping[str, Proof],
    manifests: Mapping[BackupId, Manifest],
    locked_since: datetime | None,
) -> dict[BackupId, list[str]]:
    """Return the backups that stay whatever the policy says, with reasons."""
    held: dict[BackupId, list[str]] = defaultdict(list)
    for backup, keeping in read_keepings(repository).items():
        held[backup].append(f"pinned by {keeping.by}: {keeping.why}")
    proven = newest_brought_back(proofs.values(), manifests.keys())
    if proven is not None:
        held[proven].append("the newest that was brought back")
    for backup, manifest in manifests.items():
        if locked_since is not None and manifest.end_at > locked_since:
            held[backup].append("locked")
    return held


def _hold_the_way(
    held: dict[BackupId, list[str]], line: Line | None, newest: BackupId | None
) -> None:
    """Hold the backup that leads to the newest timeline, when it is not the newest of all."""
    if line is not None and line.backup is not None and line.backup != newest:
        held.setdefault(line.backup, []).append(f"the newest that leads to {line}")


def _stale(
    repository: Repository,
    proofs: Mapping[str, Proof],
    manifests: Collection[BackupId],
    staying: Iterable[Manifest],
) -> Iterable[str]:
    """Return the objects that only speak of backups that will be gone.

    Somebody may just have pinned one that is to go: only a pin whose backup is gone already is
    stale.
    """
    yield from outlived(proofs, {manifest.backup_id for manifest in staying})
    for backup in read_keepings(repository):
        if backup not in manifests:
            yield f"{KEPT}{backup}"


def _old_announcements(repository: Repository, now: datetime) -> Iterable[str]:
    for info in objects(repository.store, EXPIRING):
        if now - info.modified_at > ANNOUNCEMENT_LIFETIME:
            yield info.name


def execute_expiry(repository: Repository, plan: ExpirePlan, now: datetime) -> ExpirePlan:
    """Carry out `plan`; return what was really removed, which is less when a backup got pinned.

    Interrupted at any moment, the repository stays whole and the next expiry finishes the work.
    LockedError, with nothing removed, when a backup was made since `plan` was.
    """
    store = repository.store
    for backup in plan.backups:
        store.put(f"{EXPIRING}{backup}", b"")
    try:
        now_pinned = _held_meanwhile(repository, plan, now)
        _refuse_newcomers(repository, plan)
        removed = tuple(backup for backup in plan.backups if backup not in now_pinned)
        if plan.floor is not None and not now_pinned:
            _record_floor(repository, plan.floor)
        for backup in removed:
            store.delete(f"{BACKUPS}{backup}")
    finally:
        for backup in plan.backups:
            store.delete(f"{EXPIRING}{backup}")
    if now_pinned:
        pinned = (*plan.pinned, *sorted(now_pinned))
        return replace(
            plan,
            pinned=pinned,
            backups=removed,
            packs=(),
            pack_bytes=0,
            segments=(),
            tails=(),
            floor=None,
        )
    for name in (*plan.leftovers, *plan.packs):
        store.delete(name)
    if plan.segments or plan.tails:
        archive = WalArchive(repository, _segment_bytes(plan))
        for segment in plan.segments:
            archive.delete_segment(segment)
        for segment in plan.tails:
            archive.drop_tail(segment)
    return plan


def _held_meanwhile(repository: Repository, plan: ExpirePlan, now: datetime) -> set[BackupId]:
    """Return which of the backups that are to go have to stay after all."""
    held = {*read_pins(repository, now).values(), *read_keepings(repository)}
    proofs = read_proofs(repository).values()
    held.add(newest_brought_back(proofs, plan.known))
    return {backup for backup in plan.backups if backup in held}


def _refuse_newcomers(repository: Repository, plan: ExpirePlan) -> None:
    new = [backup for backup in repository.backup_ids() if backup not in plan.known]
    if new:
        raise LockedError(
            f"backup {new[0]} was made while the expiry was planned; nothing was removed",
            hint="Run `processpilot backup expire` again.",
        )


def _segment_bytes(plan: ExpirePlan) -> int:
    return next(iter(plan.segments or plan.tails)).size_bytes


def read_pins(repository: Repository, now: datetime) -> dict[BackupId, BackupId | None]:
    """Return every running backup and the older one it refers to."""
    pins: dict[BackupId, BackupId | None] = {}
    for info in objects(repository.store, PINS):
        backup = BackupId.parse(info.name.removeprefix(PINS))
        if now - backup.began_at > PIN_LIFETIME:
            continue
        try:
            document = json.loads(repository.get_object(info.name))
        except NotFoundError:
            continue
        parent = document.get("parent")
        pins[backup] = None if parent is None else BackupId.parse(str(parent))
    return pins


def loose_packs(
    packs: Mapping[str, int], needs: Needs, running: Collection[BackupId]
) -> dict[str, int]:
    """Return packs (name, bytes) that no backup needs and no running one wrote."""
    needed = {pack.object_name for pack in needs.packs()}
    return {
        name: size_bytes
        for name, size_bytes in packs.items()
        if name not in needed and PackId.parse(name).backup not in running
    }


def _loose_log(
    staying: Sequence[Manifest], decision: RetentionDecision, line: Line | None
) -> tuple[tuple[Segment, ...], tuple[Segment, ...], int | None]:
    """Return segments and tails that no kept window needs, and the window's first number.

    The window runs from the oldest of the `last` backups kept, and from where the newest timeline
    can be reached; an older backup keeps its own log from start to stop. Numbers are compared over
    all timelines, so a branch is never cut short.
    """
    if not staying or decision.window_begins is None or line is None:
        return (), (), None
    size = line.inventory.segment_bytes
    begins = [m.start_lsn for m in staying if m.backup_id >= decision.window_begins]
    floor = min([line.begin, *begins]) // size
    own = {
        number
        for manifest in staying
        for number in range(manifest.start_lsn // size, (manifest.stop_lsn - 1) // size + 1)
    }

    def loose(segments: Iterable[Segment]) -> tuple[Segment, ...]:
        return tuple(s for s in segments if s.number < floor and s.number not in own)

    segments = loose(line.inventory.whole_segments())
    tails = loose(sorted(line.inventory.tails))
    return segments, tails, floor if segments or tails else None


def _record_floor(repository: Repository, number: int) -> None:
    """Remember that log before segment `number` was let go on purpose."""
    name = f"{FLOORS}{number:016x}"
    try:
        repository.put_object(name, b"")
    except ExistsError:
        repository.get_object(name)


def wal_floor(repository: Repository) -> int:
    """Return the first segment number that expiry has not let go of; 0 when nothing was.

    ChecksumError when what says so was not written with the repository's key.
    """
    names = [info.name for info in objects(repository.store, FLOORS)]
    if not names:
        return 0
    highest = max(names)
    repository.get_object(highest)
    return int(highest.removeprefix(FLOORS), 16)
