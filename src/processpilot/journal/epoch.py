"""Leases as the journal knows them: a name and an epoch that only grows.

Owns the `leases` table and the rule that only the newest epoch of a name may append. Who holds a
lease at this moment is left to the operating system's lock in `lease`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from processpilot.errors import LockedError
from processpilot.journal.database import LEASES
from processpilot.journal.event import at_text


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to append on behalf of `name`, until a later epoch of it begins."""

    name: str
    epoch: int


def newest_epoch(connection: sa.Connection, name: str) -> int:
    """Return the last epoch begun for `name`, 0 when there was none."""
    found = connection.scalar(sa.select(sa.func.max(LEASES.c.epoch)).where(LEASES.c.name == name))
    return found or 0


def begin_epoch(connection: sa.Connection, name: str, since: datetime) -> Lease:
    """Return a lease of `name` that outdates every earlier one."""
    lease = Lease(name, newest_epoch(connection, name) + 1)
    connection.execute(sa.insert(LEASES).values(name=name, epoch=lease.epoch, since=at_text(since)))
    return lease


def require_newest(connection: sa.Connection, lease: Lease) -> None:
    """Raise LockedError unless `lease` has the newest epoch of its name."""
    newest = newest_epoch(connection, lease.name)
    if lease.epoch != newest:
        raise LockedError(
            f"lease {lease.name} has epoch {lease.epoch}, and the journal's newest is {newest}",
            hint="Another process took over; stop this one and follow the run there.",
        )
