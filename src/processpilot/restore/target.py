"""Recovery targets: where replay is to stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from processpilot.errors import UsageError
from processpilot.postgres.lsn import Lsn

# Smaller numbers are PostgreSQL's own (src/include/access/transam.h, 15 to 18).
_FIRST_XID = 3


class TargetKind(StrEnum):
    """The kinds of target PostgreSQL knows (manual, "Recovery Target"), and the end of the log."""

    LATEST = "latest"
    IMMEDIATE = "immediate"
    TIME = "time"
    LSN = "lsn"
    XID = "xid"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class RecoveryTarget:
    """Where to stop: `value` is None for latest and immediate, otherwise its text.

    `timeline` None means the newest timeline that the repository knows.
    """

    kind: TargetKind
    value: str | None = None
    inclusive: bool = True
    timeline: int | None = None

    @property
    def time(self) -> datetime | None:
        """The moment aimed at, for a time target."""
        if self.kind is not TargetKind.TIME or self.value is None:
            return None
        return datetime.fromisoformat(self.value)

    @property
    def lsn(self) -> Lsn | None:
        """The position aimed at, for an LSN target."""
        return Lsn.parse(self.value) if self.kind is TargetKind.LSN and self.value else None

    def settings(self) -> Mapping[str, str]:
        """Return the recovery_target settings for a server that is to stop here."""
        if self.kind is TargetKind.LATEST:
            return {}
        if self.kind is TargetKind.IMMEDIATE:
            return {"recovery_target": "immediate", "recovery_target_action": "pause"}
        assert self.value is not None
        return {
            f"recovery_target_{self.kind}": self.value,
            "recovery_target_inclusive": "on" if self.inclusive else "off",
            "recovery_target_action": "pause",
        }

    def __str__(self) -> str:
        return self.kind.value if self.value is None else f"{self.kind} {self.value}"


def time_target(text: str) -> RecoveryTarget:
    """Return a target for an ISO 8601 moment; UsageError without a time zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f'"{text}" is not a moment', hint="Write it as 2026-11-23T03:15:00+00:00 or ...Z."
        ) from error
    if moment.tzinfo is None:
        raise UsageError(
            f'"{text}" has no time zone', hint="Add Z for UTC, or an offset such as +01:00."
        )
    return RecoveryTarget(TargetKind.TIME, moment.isoformat())


def lsn_target(text: str) -> RecoveryTarget:
    """Return a target for a log position such as 0/3000060."""
    return RecoveryTarget(TargetKind.LSN, str(Lsn.parse(text)))


def xid_target(text: str) -> RecoveryTarget:
    """Return a target for a transaction id."""
    if not text.isascii() or not text.isdigit() or not _FIRST_XID <= int(text) < 1 << 64:
        raise UsageError(f'"{text}" is not a transaction id')
    return RecoveryTarget(TargetKind.XID, text)


def name_target(text: str) -> RecoveryTarget:
    """Return a target for a restore point made with pg_create_restore_point."""
    if not text or len(text.encode()) > 63:
        raise UsageError("a restore point's name has 1 to 63 bytes")
    return RecoveryTarget(TargetKind.NAME, text)
