"""A shift: somebody is on call from one moment to another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Shift:
    """The end is no longer part of it; both moments are aware and in UTC."""

    person: str
    begin_at: datetime
    end_at: datetime

    def covers(self, at: datetime) -> bool:
        """Whether the person is on call at that moment."""
        return self.begin_at <= at < self.end_at


# The shifts that touch the time between two moments, the earliest first.
Shifts = Callable[[datetime, datetime], tuple[Shift, ...]]
