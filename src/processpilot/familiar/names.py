"""The familiar names: how each is written, and what it does here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from processpilot.errors import NotFoundError


class Name(StrEnum):
    """Every familiar name, as people type it."""

    BACKUP = "backup.sh"
    RESTORE = "restore.sh"
    DISASTER = "disaster-recovery.sh"
    EMERGENCY = "emergency-recovery.sh"
    VERIFY = "verify-recovery.sh"
    HEALTH = "db:health-check"
    INTEGRITY = "db:verify-integrity"
    INTEGRITY_TOO = "db:integrity-check"
    MIGRATE = "db:migrate"
    RESTART = "restart-production"
    SMOKE = "test:smoke"
    AUTHENTICATION = "test:auth"
    CRITICAL = "test:integration:critical"
    DATA = "test:data-integrity"

    @property
    def is_script(self) -> bool:
        """Whether it is a shell script's name; the others are npm's."""
        return self.endswith(".sh")


@dataclass(frozen=True, slots=True)
class Use:
    """How a name is written, and what it does."""

    arguments: str
    does: str


USES = {
    Name.BACKUP: Use(
        "postgresql [--type full] | --list [postgresql]",
        "Take a base backup, or list the backups and the window of recovery.",
    ),
    Name.RESTORE: Use(
        "postgresql|auto latest|BACKUP [--target staging|DIR] [--to-time T] [--dry-run] | --list",
        "Recover the database, or with --target restore beside it.",
    ),
    Name.DISASTER: Use(
        "--scenario=complete-failure|database-failure|application-failure|ID [--dry-run]",
        "Recover from a scenario of the plan.",
    ),
    Name.EMERGENCY: Use(
        "database|application|complete [--dry-run]", "Recover from one of the three."
    ),
    Name.VERIFY: Use("", "Ask the database, every probe and every validation check."),
    Name.HEALTH: Use("", "Ask the database how it is."),
    Name.INTEGRITY: Use("", "Read every table and index of the running database."),
    Name.INTEGRITY_TOO: Use("", "The same as db:verify-integrity."),
    Name.MIGRATE: Use("", "Let the release in place migrate its data."),
    Name.RESTART: Use("", "Restart everything that is not the database."),
    Name.SMOKE: Use("", "Ask every probe and every validation check of the plan once."),
    Name.AUTHENTICATION: Use("", "Ask those that are about signing in."),
    Name.CRITICAL: Use("", "Ask those of critical components, and read all data."),
    Name.DATA: Use(
        "[--env production|staging]", "Read all data, of production or of the newest staging copy."
    ),
}


def find_name(text: str) -> Name:
    """Return the familiar name written as `text`, with or without a folder before it."""
    try:
        return Name(text.rpartition("/")[2])
    except ValueError as error:
        raise NotFoundError(
            f'"{text}" is no name we know',
            hint="Run `processpilot names list` to see those we do.",
        ) from error


def usage_of(name: Name) -> str:
    """Return how a name is written, whole."""
    return f"{name} {USES[name].arguments}".rstrip()
