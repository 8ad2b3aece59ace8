"""Brings a database's tables to this version, and tells how far a database is.

Alembic is configured here in code, so that the package needs no file beside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.engine import Connection

from processpilot.demo.application.database import Database

MIGRATIONS: Final = Path(__file__).with_name("migrations")

# Any fixed number does: two processes that migrate at once take turns on it.
LOCK_NUMBER: Final = 7_305_200_001


def migrate(database: Database, revision: str = "head") -> None:
    """Apply what is missing up to `revision`, in one transaction; repeating changes nothing."""
    with database.transaction() as session:
        connection = session.connection()
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": LOCK_NUMBER})
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def newest_revision() -> str:
    """Return the revision this version of the program needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None, "the package ships no migrations"
    return head


def revision_of(connection: Connection) -> str | None:
    """Return the revision the database is at, or None before the first."""
    return MigrationContext.configure(connection).get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
