"""The clock of the night: it stands, or runs as fast as the real one up to where it is to hold.

The heartbeats in the protected database tell the same time: a trigger adds what the night is ahead
of the server's own clock. So they can be compared with what the agent saw, as in a real night.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from psycopg import sql

from processpilot.clock import SystemClock
from processpilot.postgres.connection import ServerAddress

_AHEAD = """\
create function public.night_is_ahead() returns trigger language plpgsql as $$
begin
    new.beat_at := new.beat_at + pg_read_file({file})::interval;
    return new;
end $$;
create trigger night_is_ahead before insert on processpilot.heartbeat
    for each row execute function public.night_is_ahead();
"""


class NightClock(SystemClock):
    """Shows what the test sets; `monotonic` and pauses of programs are real."""

    def __init__(self, ahead: Path) -> None:
        self._lock = threading.Lock()
        self._ahead = ahead
        self._shown = datetime.now(UTC)
        self._since: float | None = time.monotonic()
        self._until: datetime | None = None
        self._tell(timedelta())

    def now(self) -> datetime:
        """Return the moment that it shows."""
        with self._lock:
            return self._now()

    def run(self, at: datetime, until: datetime | None = None) -> None:
        """Show `at` and go on from there, the server too; hold when it is `until`."""
        with self._lock:
            self._shown, self._since, self._until = at, time.monotonic(), until
            self._tell(at - datetime.now(UTC))

    def stand(self, at: datetime | None = None) -> datetime:
        """Show `at`, or what it shows now, and stay there; return it."""
        with self._lock:
            at = self._now() if at is None else at
            assert at >= self._shown, "no night goes backwards"
            self._shown, self._since, self._until = at, None, None
            return at

    def set_heartbeat(self, server: ServerAddress) -> None:
        """Have the server's heartbeats show the same from now on."""
        with server.session() as connection:
            connection.execute(sql.SQL(_AHEAD).format(file=sql.Literal(str(self._ahead))))

    def _now(self) -> datetime:
        if self._since is None:
            return self._shown
        at = self._shown + timedelta(seconds=time.monotonic() - self._since)
        return at if self._until is None else min(at, self._until)

    def _tell(self, ahead: timedelta) -> None:
        """Leave for the server how far the night is ahead of its own clock."""
        temporary = self._ahead.with_name(f".{self._ahead.name}.new")
        temporary.write_text(f"{ahead.total_seconds():.6f} seconds")
        temporary.replace(self._ahead)
