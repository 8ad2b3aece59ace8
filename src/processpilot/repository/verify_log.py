"""Verification of the log: chains of it are resolved by the same function that restore uses."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from processpilot.errors import IntegrityError
from processpilot.postgres.wal import Segment
from processpilot.repository.chain import Chain, resolve_chain
from processpilot.repository.expire import wal_floor
from processpilot.repository.findings import STRANGER, Finding, Ledger
from processpilot.repository.manifest import Manifest
from processpilot.repository.repository import Repository
from processpilot.repository.wal import WalArchive, WalInventory


def resolve_log(
    repository: Repository, manifests: list[Manifest], ledger: Ledger, *, everything: bool
) -> list[Segment]:
    """Check the chain of log behind each backup, its tail and the histories.

    Return the whole segments to read: those of the chains, or with `everything` all there are.
    """
    if not manifests:
        return []
    archive = WalArchive(repository, manifests[0].cluster.wal_segment_bytes)
    inventory = archive.inventory()
    chains = _chains(repository, archive, inventory, manifests, ledger)
    wanted = {segment for chain in chains for segment in chain.segments}
    tails = {chain.tail: chain.tail_pieces for chain in chains if chain.tail is not None}
    if everything:
        wanted |= set(inventory.whole_segments())
        tails |= {of: ps for of, ps in inventory.tails.items() if not inventory.holds(of)}
        ledger.findings += [Finding(name, STRANGER, ()) for name in archive.strangers()]
    ids = tuple(manifest.backup_id for manifest in manifests)

    for tail, pieces in tails.items():
        look = partial(archive.read_tail, tail, pieces)
        ledger.guard(tail.name, ids, partial(ledger.count_read, look))
    for timeline in sorted(inventory.histories):
        ledger.guard(f"{timeline:08X}.history", ids, partial(_read_history, archive, timeline))
    return sorted(wanted)


def _chains(
    repository: Repository,
    archive: WalArchive,
    inventory: WalInventory,
    manifests: Sequence[Manifest],
    ledger: Ledger,
) -> list[Chain]:
    """Return what a restore of each backup could be asked to replay."""
    floors: list[int] = []
    ledger.guard("floors", (), lambda: floors.append(wal_floor(repository)))
    floor = max(floors, default=0)
    chains: list[Chain] = []

    def resolve(manifest: Manifest) -> None:
        chains.append(_check_chain(archive, inventory, manifest, floor, manifests))
        # A restore can also be asked to stay on the backup's own timeline.
        own = archive.history(manifest.timeline)
        chains.append(resolve_chain(inventory, own, manifest.start_lsn))

    for manifest in manifests:
        place = f"log of {manifest.backup_id}"
        ledger.guard(place, (manifest.backup_id,), partial(resolve, manifest))
    return chains


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
