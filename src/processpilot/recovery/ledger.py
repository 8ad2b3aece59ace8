"""Counting acknowledged writes that a recovered database does not hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from processpilot.errors import UnavailableError
from processpilot.plan.load import LoadedPlan
from processpilot.plan.model import Ledger
from processpilot.postgres.connection import ServerAddress

_BATCH = 10_000


@dataclass(frozen=True, slots=True)
class LossCount:
    """How many writes were acknowledged, and how many of those are not there."""

    acknowledged: int
    lost: int


def count_lost(ledger: Ledger, loaded: LoadedPlan, address: ServerAddress) -> LossCount:
    """Ask the database for every key in the ledger. A last line cut short does not count."""
    keys = _keys(loaded.resolve(ledger.file))
    acknowledged = lost = 0
    with address.session(limit_s=None) as connection:
        while batch := list(islice(keys, _BATCH)):
            wanted = set(batch)
            rows = connection.execute(ledger.query.encode(), {"keys": list(wanted)}).fetchall()
            acknowledged += len(wanted)
            lost += len(wanted - {str(row[0]) for row in rows})
    return LossCount(acknowledged, lost)


def _keys(path: Path) -> Iterator[str]:
    try:
        with path.open() as lines:
            for line in lines:
                if line.endswith("\n") and line.strip():
                    yield line.strip()
    except OSError as error:
        raise UnavailableError(
            f"cannot read the ledger {path}: {error.strerror}",
            hint="Correct ledger.file in the plan.",
        ) from error
