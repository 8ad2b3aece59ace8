"""What `up` does besides protecting and recovering: people are told, drills are walked.

A thread of its own looks about once a second at what is due; whatever goes wrong there is told and
keeps nothing else from being done.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from processpilot.errors import ProcessPilotError
from processpilot.evidence.report import Report, build_report
from processpilot.evidence.versions import versions
from processpilot.incident.duty import Duty, DutyGround, LinkFor
from processpilot.journal.event import JsonValue
from processpilot.runbook.history import read_run
from processpilot.wiring.drilling import scheduled_drills
from processpilot.wiring.wired import Wired

_TICK_S = 1.0


class Attendance:
    """Ticks the duty and the drills until it is stopped."""

    def __init__(self, wired: Wired, link_for: LinkFor) -> None:
        self._duty = Duty(
            DutyGround(
                wired.journal,
                wired.loaded,
                wired.clock,
                wired.new_id,
                link_for,
                lambda run_id: _report(wired, run_id),
            )
        )
        self._drills = scheduled_drills(wired)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._attend, name="attendance")
        self._trouble: str | None = None

    @property
    def trouble(self) -> str | None:
        """What could not be done at the last look, None when all could."""
        return self._trouble or self._duty.trouble

    def status(self) -> Mapping[str, JsonValue]:
        """Return what only this process knows."""
        return {"trouble": self.trouble, "drill_under_way": self._drills.under_way}

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End; returns when deliveries are written down and a drill under way is cleaned up."""
        self._stopping.set()
        self._thread.join()
        self._duty.close()
        self._drills.stop()

    def _attend(self) -> None:
        while not self._stopping.wait(_TICK_S):
            self._trouble = None
            for look in (self._duty.tick, self._drills.tick):
                self._tried(look)

    def _tried(self, look: Callable[[], object]) -> None:
        try:
            look()
        except ProcessPilotError as error:
            self._trouble = error.message
        except Exception as error:  # noqa: BLE001 - the edge of a thread that must go on
            self._trouble = f"{type(error).__name__}: {error}"


def _report(wired: Wired, run_id: str) -> Report | None:
    run = read_run(wired.journal, run_id)
    return build_report(run, versions(None)) if run.is_finished else None
