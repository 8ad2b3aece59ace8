"""Listening for signs of life: a missed one opens an incident, its return is noted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from processpilot.clock import Clock
from processpilot.incident.heartbeat import last_beats, overdue_heartbeats
from processpilot.incident.intake import FIRING, heartbeat_key, receive_overdue, receive_return
from processpilot.incident.record import open_incidents
from processpilot.journal.journal import Journal
from processpilot.plan.load import LoadedPlan


class Pulse:
    """Listens from the moment it is made."""

    def __init__(
        self, journal: Journal, loaded: LoadedPlan, clock: Clock, new_id: Callable[[], str]
    ) -> None:
        self._journal = journal
        self._loaded = loaded
        self._clock = clock
        self._new_id = new_id
        self._listening_since = clock.now()
        self._missed: dict[str, datetime] | None = None

    def check(self) -> bool:
        """Open incidents for what did not come and note what came again; return if any opened."""
        plan = self._loaded.plan
        if not plan.heartbeats:
            return False
        now = self._clock.now()
        beats = last_beats(self._loaded.state_dir, plan)
        if self._missed is None:
            self._missed = dict(self._known_missed())
        for one in plan.heartbeats:
            missed_at = self._missed.get(one.id)
            if missed_at is not None and one.id in beats and beats[one.id] > missed_at:
                receive_return(self._journal, self._clock, self._new_id, one)
                del self._missed[one.id]
        overdue = overdue_heartbeats(plan, beats, now, self._listening_since)
        new = [one for one in overdue if one.heartbeat.id not in self._missed]
        receive_overdue(self._journal, self._clock, self._new_id, new)
        self._missed |= {one.heartbeat.id: now for one in new}
        return bool(new)

    def _known_missed(self) -> Iterator[tuple[str, datetime]]:
        """Yield what was missed before this process began, as the open incidents tell it."""
        for incident in open_incidents(self._journal):
            for one in self._loaded.plan.heartbeats:
                if incident.alerts.get(heartbeat_key(one.id)) == FIRING:
                    yield one.id, incident.declared_at
