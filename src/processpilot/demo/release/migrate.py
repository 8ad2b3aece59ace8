"""Brings the database's tables to what this release needs: python migrate.py DATABASE_URL_FILE."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from processpilot.demo.application.main import main

RELEASE = (Path(__file__).parent / "VERSION").read_text().strip()


def migrate() -> int:
    """Migrate and say so; return the exit status."""
    os.environ["DATABASE_URL_FILE"] = sys.argv[1]
    status = main(["--migrate"])
    if status == 0:
        sys.stdout.write(f"the tables are as {RELEASE} needs them\n")
    return status


if __name__ == "__main__":
    sys.exit(migrate())
