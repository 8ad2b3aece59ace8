"""The pool of connections and the transaction; turns every way of being away into one error.

Time limits live here, so that no request waits long for a database that does not answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import create_engine
from sqlalchemy.engine import Engine
from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    InternalError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session, sessionmaker

from processpilot.demo.application.errors import DatabaseAwayError
from processpilot.demo.application.settings import parse_address

CONNECT_TIMEOUT_S: Final = 2
STATEMENT_TIMEOUT_MS: Final = 3000
LOCK_TIMEOUT_MS: Final = 2000
UNACKNOWLEDGED_TIMEOUT_MS: Final = 3000
POOL_SIZE: Final = 10
POOL_OVERFLOW: Final = 5

# SQLSTATEs of a database without our tables: an empty one, or one restored to before the first
# migration (PostgreSQL 18 manual, appendix A).
UNDEFINED_TABLE: Final = "42P01"
UNDEFINED_COLUMN: Final = "42703"


class Database:
    """The application's one door to PostgreSQL; safe to share between threads."""

    def __init__(self, address: str) -> None:
        self.engine: Engine = create_engine(
            parse_address(address).set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,
            pool_size=POOL_SIZE,
            max_overflow=POOL_OVERFLOW,
            pool_timeout=CONNECT_TIMEOUT_S,
            connect_args={
                "connect_timeout": CONNECT_TIMEOUT_S,
                "tcp_user_timeout": UNACKNOWLEDGED_TIMEOUT_MS,
                "application_name": "processpilot-application",
                "options": f"-c statement_timeout={STATEMENT_TIMEOUT_MS}"
                f" -c lock_timeout={LOCK_TIMEOUT_MS}",
            },
        )
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Give a session whose work is committed when the block ends without an exception.

        Raises DatabaseAwayError if the database cannot be reached or cannot do the work; when
        that happens during COMMIT, the work may or may not be there.
        """
        try:
            with self._sessions.begin() as session:
                yield session
        except SQLAlchemyError as error:
            reason = _reason_away(error)
            if reason is None:
                raise
            raise DatabaseAwayError(reason) from error

    def close(self) -> None:
        """Close the idle connections."""
        self.engine.dispose()


def _reason_away(error: SQLAlchemyError) -> str | None:
    """Return why the database could not do the work, or None if the fault is the program's."""
    if isinstance(error, PoolTimeoutError):
        return f"no free connection to the database within {CONNECT_TIMEOUT_S} s"
    if not isinstance(error, DBAPIError):
        return None
    if getattr(error.orig, "sqlstate", None) in (UNDEFINED_TABLE, UNDEFINED_COLUMN):
        return "the database has no tables of this version"
    if error.connection_invalidated or isinstance(
        error, OperationalError | InternalError | InterfaceError
    ):
        return f"the database is away: {str(error.orig).strip().splitlines()[0]}"
    return None
