"""What a load run leaves on disk: acknowledged keys, and a status to look at while it runs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID


class Ledger:
    """The keys whose requests the application acknowledged, one per line, in that order.

    A key is handed to the operating system before `record` returns: it survives the end of this
    process, not of the machine.
    """

    def __init__(self, path: Path) -> None:
        self._file: TextIOWrapper = path.open("a", encoding="ascii")

    def record(self, key: UUID) -> None:
        """Append one key."""
        self._file.write(f"{key}\n")
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


def read_ledger(path: Path) -> frozenset[UUID]:
    """Return the keys of a ledger; a last line cut short by a crash is left out."""
    lines = path.read_text(encoding="ascii").splitlines(keepends=True)
    return frozenset(UUID(line.strip()) for line in lines if line.endswith("\n"))


@dataclass(frozen=True, slots=True)
class LoadStatus:
    """Counts of requests sent, acknowledged and failed since the run began.

    `approved` counts acknowledged approvals, which are in none of the others. `turned_away` counts
    the failed ones that a gateway or the application answered with 502, 503 or 504.
    `failing_since` is the first failure after the last success, None while all is well.
    """

    since: datetime
    sent: int = 0
    acknowledged: int = 0
    failed: int = 0
    turned_away: int = 0
    approved: int = 0
    failing_since: datetime | None = None


def read_status(path: Path) -> LoadStatus:
    """Return what `write_status` wrote."""
    fields = json.loads(path.read_text(encoding="ascii"))
    since, failing = fields.pop("since"), fields.pop("failing_since")
    return LoadStatus(
        datetime.fromisoformat(since),
        failing_since=None if failing is None else datetime.fromisoformat(failing),
        **fields,
    )


def write_status(path: Path, status: LoadStatus) -> None:
    """Replace the status file in one step, so that a reader never sees half of it."""
    beside = path.with_name(f".{path.name}.new")
    text = json.dumps(asdict(status), default=lambda moment: moment.isoformat())
    beside.write_text(text + "\n", encoding="ascii")
    beside.replace(path)
