"""Whether the application can do its work, asked of the database each time; nothing is cached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, text

from processpilot.demo.application.database import Database
from processpilot.demo.application.errors import DatabaseAwayError
from processpilot.demo.application.migrate import newest_revision, revision_of
from processpilot.demo.application.tables import HistoryEntry, Request, User


@dataclass(frozen=True, slots=True)
class DatabaseHealth:
    """Whether a query was answered, and in how many milliseconds."""

    reachable: bool
    latency_ms: float | None


@dataclass(frozen=True, slots=True)
class MigrationHealth:
    """The revision found (None: unknown or none) and the one needed."""

    current: str | None
    needed: str


@dataclass(frozen=True, slots=True)
class Counts:
    """How much is there; `newest_request_at` shows how recent the data is."""

    users: int
    requests: int
    history: int
    newest_request_at: datetime | None


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The verdict, `ok` or `failing`, and what it rests on; reasons are empty exactly when ok."""

    status: str
    database: DatabaseHealth
    migrations: MigrationHealth
    counts: Counts | None
    reasons: tuple[str, ...]


def check_database(database: Database) -> None:
    """Return once a query was answered; raises DatabaseAwayError."""
    with database.transaction() as session:
        session.execute(text("SELECT 1"))


def check_health(database: Database, monotonic: Callable[[], float]) -> HealthReport:
    """Return the full report; what cannot be learned is a reason, never an exception."""
    needed = newest_revision()
    begun = monotonic()
    try:
        check_database(database)
        latency = DatabaseHealth(True, round((monotonic() - begun) * 1000, 2))
        with database.transaction() as session:
            current = revision_of(session.connection())
    except DatabaseAwayError as error:
        return _failing(DatabaseHealth(False, None), MigrationHealth(None, needed), str(error))
    migrations = MigrationHealth(current, needed)
    if current != needed:
        reason = f"the tables are at revision {current or 'none'}, not {needed}"
        return _failing(latency, migrations, reason)
    try:
        counts = _counts(database)
    except DatabaseAwayError as error:
        return _failing(latency, migrations, str(error))
    reasons = () if counts.users else ("the database has no users",)
    return HealthReport("failing" if reasons else "ok", latency, migrations, counts, reasons)


def _failing(database: DatabaseHealth, migrations: MigrationHealth, reason: str) -> HealthReport:
    return HealthReport("failing", database, migrations, None, (reason,))


def _counts(database: Database) -> Counts:
    with database.transaction() as session:
        return Counts(
            users=session.scalar(select(func.count()).select_from(User)) or 0,
            requests=session.scalar(select(func.count()).select_from(Request)) or 0,
            history=session.scalar(select(func.count()).select_from(HistoryEntry)) or 0,
            newest_request_at=session.scalar(select(func.max(Request.created_at))),
        )
