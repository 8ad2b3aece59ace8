"""What became of the application's work while it was away: writes, mail, figures."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from processpilot.clock import Clock
from processpilot.demo.application.analytics import bring_up_to_date
from processpilot.demo.application.database import Database
from processpilot.demo.application.ledger import read_status
from processpilot.demo.application.rollups import differences
from processpilot.demo.places import Places
from processpilot.demo.sink import count_received
from processpilot.recovery.ledger import LossCount, count_lost
from processpilot.wiring.wired import open_plan

_MAIL_S = 30.0
_UNSENT = "select count(*) from outbox where sent_at is null"
_WRITTEN = "select count(*) from outbox"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was counted once the load had stopped and mail and rollups had caught up."""

    writes: LossCount
    turned_away: int
    failed: int
    mails_written: int
    mails_received: int
    mails_repeated: int
    figures_wrong: int

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing, doubled or wrong."""
        sent_once = self.mails_received == self.mails_written and self.mails_repeated == 0
        return self.writes.lost == 0 and sent_once and self.figures_wrong == 0


def count_outcome(places: Places, clock: Clock) -> Outcome:
    """Return what is found; the load has to have been stopped before."""
    with closing(open_plan(places.plan)) as wired:
        ledger = wired.loaded.plan.ledger
        assert ledger is not None, "the demo's plan has a ledger"
        writes = count_lost(ledger, wired.loaded, wired.address)
        deadline = clock.monotonic() + _MAIL_S
        with wired.address.session() as connection:
            while _count(connection.execute(_UNSENT.encode()).fetchone()):
                if clock.monotonic() > deadline:
                    break
                clock.sleep(0.2)
            written = _count(connection.execute(_WRITTEN.encode()).fetchone())
    received = count_received(places.mail)
    load = read_status(places.load_status)
    return Outcome(
        writes,
        load.turned_away,
        load.failed,
        written,
        received.messages,
        received.repeated,
        _figures_wrong(places),
    )


def _count(row: tuple[object, ...] | None) -> int:
    assert row is not None
    return int(str(row[0]))


def _figures_wrong(places: Places) -> int:
    database = Database(places.database_url.read_text().strip())
    try:
        bring_up_to_date(database)
        with database.transaction() as session:
            return differences(session)
    finally:
        database.close()
