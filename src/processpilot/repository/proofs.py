"""What was proven of which backups, and when: remembered in the repository, beside the backups.

Each proof is one object, written once. The newest backup that was really brought back is never
expired: everything newer might turn out not to come back.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from processpilot.errors import NotFoundError, ProcessPilotError
from processpilot.repository.blob import BackupId
from processpilot.repository.names import PROOFS, objects
from processpilot.repository.repository import Repository


class ProofKind(StrEnum):
    """What was done, from the weakest to the strongest.

    VERIFIED: every stored byte authenticated. UNPACKED: every chunk also decompressed and its name
    compared. RESTORED: restored, replayed, its pages checked. RECOVERED: a run restored it and
    every check of the recovered data passed.
    """

    VERIFIED = "verified"
    UNPACKED = "verified deep"
    RESTORED = "restored"
    RECOVERED = "recovered"


BROUGHT_BACK = frozenset({ProofKind.RESTORED, ProofKind.RECOVERED})


@dataclass(frozen=True, slots=True)
class Proof:
    """One proof of some backups; `run_id` names the run that gave it, if one did."""

    kind: ProofKind
    at: datetime
    backups: tuple[BackupId, ...]
    run_id: str | None = None


def record_proof(repository: Repository, proof: Proof, tag: int) -> None:
    """Remember a proof under its moment and 32 random bits; durable on return."""
    document = {
        "at": proof.at.isoformat(),
        "backups": [str(backup) for backup in proof.backups],
        "kind": str(proof.kind),
        "run": proof.run_id,
    }
    name = f"{PROOFS}{BackupId.new(proof.at, tag)}"
    repository.put_object(name, json.dumps(document, sort_keys=True).encode())


def remember(repository: Repository, proof: Proof, tag: int) -> str | None:
    """Remember a proof where the store allows it; return why it did not, or None.

    What was proven stays true when nobody could write it down: no caller fails for that.
    """
    try:
        record_proof(repository, proof, tag)
    except ProcessPilotError as error:
        return error.message
    return None


def read_proofs(repository: Repository) -> Mapping[str, Proof]:
    """Return every proof by its object's name, oldest first; kinds of later versions are left out.

    ChecksumError when one was not written with the repository's key.
    """
    found = {}
    for info in objects(repository.store, PROOFS):
        try:
            document = json.loads(repository.get_object(info.name))
        except NotFoundError:
            continue
        if document["kind"] not in list(ProofKind):
            continue
        found[info.name] = Proof(
            ProofKind(document["kind"]),
            datetime.fromisoformat(document["at"]),
            tuple(BackupId.parse(text) for text in document["backups"]),
            document["run"],
        )
    return found


def newest_brought_back(proofs: Iterable[Proof], present: Collection[BackupId]) -> BackupId | None:
    """Return the newest of the `present` backups that was restored or recovered once."""
    proven = {backup for proof in proofs if proof.kind in BROUGHT_BACK for backup in proof.backups}
    return max(proven & set(present), default=None)


def last_proofs(proofs: Iterable[Proof]) -> Mapping[BackupId, Mapping[ProofKind, datetime]]:
    """Return when each backup was last proven, and how."""
    found: dict[BackupId, dict[ProofKind, datetime]] = {}
    for proof in proofs:
        for backup in proof.backups:
            times = found.setdefault(backup, {})
            times[proof.kind] = max(proof.at, times.get(proof.kind, proof.at))
    return found


def outlived(proofs: Mapping[str, Proof], present: Collection[BackupId]) -> tuple[str, ...]:
    """Return the objects of proofs that say nothing newer proofs of `present` do not say."""
    last = last_proofs(proofs.values())
    return tuple(
        name
        for name, proof in proofs.items()
        if not any(
            last[backup][proof.kind] == proof.at for backup in proof.backups if backup in present
        )
    )
