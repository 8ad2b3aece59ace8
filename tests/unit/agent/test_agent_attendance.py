"""Attendance: the thread that has people told and drills walked goes on, whatever happens."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from incident_plans import SetClock, staffed
from protected_site import wait_until

from processpilot.agent.attendance import Attendance
from processpilot.incident.duty import no_link
from processpilot.journal.journal import Journal
from processpilot.wiring.wired import Wired


class BrokenClock(SetClock):
    """A clock that cannot say how much time has passed until it is mended."""

    is_broken = True

    def monotonic(self) -> float:
        if self.is_broken:
            raise OverflowError("no time")
        return super().monotonic()


def test_what_breaks_is_told_and_the_next_look_is_made(tmp_path: Path) -> None:
    """A thread that died without a word would leave everybody asleep, and the status well."""
    clock = BrokenClock()
    loaded = staffed(tmp_path)
    with closing(Journal.open(tmp_path / "journal.sqlite", clock)) as journal:
        attendance = Attendance(Wired(loaded, clock, journal, lambda: 1), no_link)
        attendance.start()
        try:
            wait_until(lambda: "no time" in str(attendance.trouble), "the trouble")
            clock.is_broken = False
            wait_until(lambda: attendance.trouble is None, "the end of the trouble")
        finally:
            attendance.stop()
