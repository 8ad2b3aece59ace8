"""The analytics worker: keeps the rollups up to date.

    python -m processpilot.demo.application.analytics [--rebuild | --verify | --status]

After a recovery it goes on from the watermark that was recovered with the rows it stands for.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Final

from sqlalchemy import text

from processpilot.demo.application.database import Database
from processpilot.demo.application.errors import ApplicationError
from processpilot.demo.application.rollups import advance, differences, rebuild
from processpilot.demo.application.settings import read_settings
from processpilot.demo.application.worker import go_round, stop_on_signals, tell_status

NAME: Final = "analytics"
PAUSE_S: Final = 2.0
LARGEST_LAG_S: Final = 30

# The rows beyond the watermark are few, unless the worker is behind.
_LAG: Final = text(
    "SELECT extract(epoch FROM clock_timestamp() - min(h.created_at)) FROM history h"
    " WHERE h.written_by >= (SELECT watermark FROM rollup_progress)"
)


def bring_up_to_date(database: Database) -> None:
    """Advance the rollups by what was committed before."""
    with database.transaction() as session:
        advance(session)


def backlog(database: Database) -> str | None:
    """Return how far the rollups are behind, or None when that is little."""
    with database.transaction() as session:
        lag_s = session.scalar(_LAG)
    if lag_s is None or lag_s <= LARGEST_LAG_S:
        return None
    return f"the rollups are {lag_s:.0f} s behind, allowed {LARGEST_LAG_S}"


def verify(database: Database) -> int:
    """Compare the rollups with the requests themselves; return 0 when they are equal."""
    bring_up_to_date(database)
    with database.transaction() as session:
        count = differences(session)
    sys.stdout.write(f"{NAME}: {count} figures differ\n")
    return 0 if count == 0 else 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Keep the rollups until SIGTERM, or do what was asked for; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        database = Database(read_settings(os.environ).database_url)
        if options.status:
            return tell_status(NAME, database, lambda: backlog(database))
        if options.verify:
            return verify(database)
        if options.rebuild:
            with database.transaction() as session:
                rebuild(session)
            return 0
    except ApplicationError as error:
        sys.stderr.write(f"{error}\n")
        return 1

    def work() -> bool:
        bring_up_to_date(database)
        return False

    go_round(NAME, database, work, PAUSE_S, stop_on_signals())
    database.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m processpilot.demo.application.analytics")
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--rebuild", action="store_true", help="count everything anew, end")
    chosen.add_argument("--verify", action="store_true", help="0 if equal to the requests, else 1")
    chosen.add_argument("--status", action="store_true", help="0 if it keeps up, else 1")
    return parser


if __name__ == "__main__":
    sys.exit(main())
