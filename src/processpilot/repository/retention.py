"""Which backups a policy keeps. Pure; time is an argument.

The policy names how many of the last backups to keep, and for how many hours, days, weeks, months
and years to keep one each. The newest backup of an hour, day, ISO week, month or year (UTC) stands
for it. The newest backup of all is always kept, and so is whatever `held` names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from processpilot.repository.blob import BackupId


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """How many to keep of each kind; `last` also bounds continuous point-in-time recovery."""

    last: int = 7
    daily: int = 14
    weekly: int = 8
    monthly: int = 12
    hourly: int = 0
    yearly: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """A kept backup and why, such as ("last", "daily 2026-11-23")."""

    backup: BackupId
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RetentionDecision:
    """What is kept with reasons, what may go, and the oldest backup with a continuous window."""

    kept: tuple[Kept, ...]
    expired: tuple[BackupId, ...]
    window_begins: BackupId | None


def decide_retention(
    backups: Sequence[BackupId],
    policy: RetentionPolicy,
    held: Mapping[BackupId, Sequence[str]] | None = None,
) -> RetentionDecision:
    """Return which of `backups` the policy keeps; any order in, oldest first out.

    What `held` names is kept whatever the policy says, for the reasons given.
    """
    ordered = sorted(backups)
    reasons: dict[BackupId, list[str]] = {backup: [] for backup in ordered}
    last = ordered[-max(policy.last, 1) :]
    for backup in last:
        reasons[backup].append("last")
    periods: tuple[tuple[str, int, Callable[[datetime], str]], ...] = (
        ("hourly", policy.hourly, lambda at: f"{at:%Y-%m-%dT%H}"),
        ("daily", policy.daily, lambda at: f"{at:%Y-%m-%d}"),
        ("weekly", policy.weekly, lambda at: f"{at:%G-W%V}"),
        ("monthly", policy.monthly, lambda at: f"{at:%Y-%m}"),
        ("yearly", policy.yearly, lambda at: f"{at:%Y}"),
    )
    for label, count, period_of in periods:
        newest: dict[str, BackupId] = {}
        for backup in ordered:
            newest[period_of(backup.began_at)] = backup
        for period in sorted(newest)[-count:] if count else []:
            reasons[newest[period]].append(f"{label} {period}")
    for backup, why in (held or {}).items():
        if backup in reasons:
            reasons[backup].extend(why)
    kept = tuple(Kept(backup, tuple(why)) for backup, why in reasons.items() if why)
    expired = tuple(backup for backup, why in reasons.items() if not why)
    return RetentionDecision(kept, expired, last[0] if last else None)
