"""The moment a drill recovers to: any moment of the window, chosen by a seed that is kept."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from processpilot.restore.plan import Window
from processpilot.restore.target import RecoveryTarget, TargetKind


def choose_moment(window: Window, seed: int) -> datetime | None:
    """Return a moment after the window's begin and up to its end, the same for the same seed.

    None where the log holds no later commit: there is one state only, the latest.
    """
    if window.end_at is None or window.end_at <= window.begin_at:
        return None
    span_us = round((window.end_at - window.begin_at) / timedelta(microseconds=1))
    chosen_us = random.Random(seed).randint(1, span_us)  # noqa: S311 - any moment, not a secret
    return (window.begin_at + timedelta(microseconds=chosen_us)).astimezone(UTC)


def target_of(moment: datetime | None, timeline: int) -> RecoveryTarget:
    """Return the recovery target for a moment chosen on a timeline."""
    if moment is None:
        return RecoveryTarget(TargetKind.LATEST, timeline=timeline)
    return RecoveryTarget(TargetKind.TIME, moment.isoformat(), timeline=timeline)
