"""What a verification finds: which object, what is wrong with it, and which backups that harms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from processpilot.errors import IntegrityError, NotFoundError
from processpilot.progress import Progress
from processpilot.repository.blob import BackupId

STRANGER = "is no object of this format; nothing reads it, remove it if nobody needs it"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong: which object, what, and the backups it harms."""

    place: str
    message: str
    backups: tuple[BackupId, ...]


class Ledger:
    """Collects findings and figures."""

    def __init__(self, progress: Progress, total_bytes: int) -> None:
        self.findings: list[Finding] = []
        self.bytes = 0
        self._progress = progress
        self._total = total_bytes

    def count(self, size: int) -> None:
        """Note that so many bytes were read."""
        self.bytes += size
        self._progress("verify", self.bytes, self._total)

    def count_read(self, read: Callable[[], bytes]) -> None:
        """Read, and note how much it was."""
        self.count(len(read()))

    def guard(self, place: str, backups: Sequence[BackupId], look: Callable[[], None]) -> None:
        """Run `look`; what it raises about stored bytes becomes a finding."""
        try:
            look()
        except (IntegrityError, NotFoundError) as error:
            self.findings.append(Finding(place, error.message, tuple(backups)))
