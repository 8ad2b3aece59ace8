"""What the workers share: going round until told to stop, a sign of life, and telling how it is.

A worker lives through outages: it says once what the trouble is and tries again.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from threading import Event
from typing import Final

from sqlalchemy import text

from processpilot.demo.application.database import Database
from processpilot.demo.application.errors import ApplicationError

BEAT_S: Final = 2.0
OLDEST_BEAT_S: Final = 15

_BEAT = text(
    "INSERT INTO workers (name, beat_at) VALUES (:name, clock_timestamp())"
    " ON CONFLICT (name) DO UPDATE SET beat_at = excluded.beat_at"
)
_AGE = text("SELECT extract(epoch FROM clock_timestamp() - beat_at) FROM workers WHERE name = :n")


def stop_on_signals() -> Event:
    """Return what SIGTERM and SIGINT set."""
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    return stop


def go_round(
    name: str, database: Database, work: Callable[[], bool], pause_s: float, stop: Event
) -> None:
    """Do the work again and again, at once while it says that there is more, until told to stop."""
    trouble: str | None = None
    beaten_at = -BEAT_S
    while not stop.is_set():
        more = False
        try:
            if time.monotonic() - beaten_at >= BEAT_S:
                _beat(database, name)
                beaten_at = time.monotonic()
            more = work()
            trouble = None
        except ApplicationError as error:
            if str(error) != trouble:
                trouble = str(error)
                sys.stderr.write(f"{name}: {trouble}\n")
        if not more:
            stop.wait(pause_s)


def tell_status(name: str, database: Database, backlog: Callable[[], str | None]) -> int:
    """Say how the worker is; return 0 if it came round lately and is not behind, otherwise 1."""
    try:
        with database.transaction() as session:
            age_s = session.scalar(_AGE, {"n": name})
        complaint = backlog()
    except ApplicationError as error:
        complaint, age_s = str(error), None
    else:
        if age_s is None:
            complaint = "it has never run"
        elif age_s > OLDEST_BEAT_S:
            complaint = f"last seen {age_s:.0f} s ago, allowed {OLDEST_BEAT_S}"
    sys.stdout.write(f"{name}: {complaint or 'well'}\n")
    return 0 if complaint is None else 1


def _beat(database: Database, name: str) -> None:
    with database.transaction() as session:
        session.execute(_BEAT, {"name": name})
