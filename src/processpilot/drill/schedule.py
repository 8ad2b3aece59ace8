"""When a drill is due, and having it walked then by a process of its own.

A drill with a schedule is due at its next moment after it was last begun; one without, once it is
as old as it may become. A drill that never ran waits a day from the first backup on. None is begun
while a run is open, and one that is under way is ended when a run begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from croniter import croniter

from processpilot.clock import Clock
from processpilot.drill.history import history, of_drill
from processpilot.drill.state import Rehearsal
from processpilot.journal.journal import Journal
from processpilot.plan.outside import Drill, DrillKind
from processpilot.runbook.history import open_runs
from processpilot.runbook.state import Verdict

BACKUPS = "backups"
STREAM = "drills"
NOT_WALKED = "drill-not-walked"
_FIRST = timedelta(days=1)
# A drill that gave way to a run is tried again, but not at once.
_AGAIN = timedelta(hours=1)
_GAVE_WAY = (Verdict.ABORTED, Verdict.NOT_RUN)
_LOOK_S = 15.0
# How a process ends that walked a drill to a verdict, good or not.
_VERDICTS = (0, 1)


@dataclass(frozen=True, slots=True)
class Due:
    """When a drill is due next, and why then; `at` None: not before there is a backup."""

    drill: Drill
    at: datetime | None
    why: str


def next_due(drill: Drill, rehearsals: Iterable[Rehearsal], first_at: datetime | None) -> Due:
    """Return when a drill is due, from its rehearsals, newest first. Pure.

    `first_at` is when backups began. Tabletop drills are begun by people only.
    """
    if drill.kind is DrillKind.TABLETOP:
        return Due(drill, None, "people begin a tabletop drill")
    if first_at is None:
        return Due(drill, None, "there is no backup yet")
    own = of_drill(rehearsals, drill.id)
    counted = [r for r in own if r.verdict not in _GAVE_WAY]
    since = counted[0].begun_at if counted else first_at
    if drill.schedule is not None:
        at: datetime = croniter(drill.schedule, since).get_next(datetime)
        why = f"schedule {drill.schedule}"
    elif counted:
        at, why = since + timedelta(seconds=drill.every_s), "as old as it may become"
    else:
        at, why = since + min(_FIRST, timedelta(seconds=drill.every_s)), "it never ran"
    if own and own[0].verdict in _GAVE_WAY and own[0].begun_at + _AGAIN > at:
        at, why = own[0].begun_at + _AGAIN, "it gave way"
    return Due(drill, at, why)


class Begun(Protocol):
    """A process that walks a drill; `subprocess.Popen` keeps this."""

    def poll(self) -> int | None:
        """Return its exit status once it ended."""
        ...

    def terminate(self) -> None:
        """Ask it to end; it cleans up first."""
        ...

    def wait(self) -> int:
        """Return its exit status when it ends."""
        ...


class Drills:
    """Has drills walked when they are due. `begin` starts the process that walks one."""

    def __init__(
        self,
        drills: Callable[[], Sequence[Drill]],
        journal: Journal,
        clock: Clock,
        begin: Callable[[str], Begun],
    ) -> None:
        self._drills = drills
        self._journal = journal
        self._clock = clock
        self._begin = begin
        self._under_way: Begun | None = None
        self._drill_id = ""
        self._tried_at: dict[str, datetime] = {}
        self._looked_s: float | None = None

    @property
    def under_way(self) -> bool:
        """Whether a process of ours walks a drill now."""
        return self._under_way is not None and self._under_way.poll() is None

    def due(self) -> tuple[Due, ...]:
        """Return when each drill is due, in the order of the plan."""
        return tuple(due_drills(self._drills(), self._journal))

    def tick(self) -> str | None:
        """Begin a drill that is due, or end one that must give way; return the id of the one begun.

        Returns at once. Call it about once a second; it looks into the journal four times a minute.
        """
        if not self._is_time():
            return None
        runs = open_runs(self._journal)
        if self._under_way is not None and self.under_way:
            if runs:
                self._under_way.terminate()
            return None
        self._note_end()
        return None if runs else self._begin_due()

    def _begin_due(self) -> str | None:
        now = self._clock.now()
        for due in self.due():
            drill_id = due.drill.id
            tried_at = self._tried_at.get(drill_id)
            if due.at is None or due.at > now or (tried_at is not None and now < tried_at + _AGAIN):
                continue
            self._tried_at[drill_id] = now
            self._drill_id = drill_id
            self._under_way = self._begin(drill_id)
            return drill_id
        return None

    def _note_end(self) -> None:
        """Write down a process that came to no verdict: a drill that cannot begin is not silent."""
        if self._under_way is None:
            return
        status = self._under_way.poll()
        self._under_way = None
        if status not in _VERDICTS:
            self._journal.append(
                STREAM, NOT_WALKED, {"drill": self._drill_id, "exit_status": status}
            )

    def stop(self) -> None:
        """End the drill under way, its cleanup included, and return then."""
        if self._under_way is not None and self._under_way.poll() is None:
            self._under_way.terminate()
            self._under_way.wait()

    def _is_time(self) -> bool:
        now_s = self._clock.monotonic()
        if self._looked_s is not None and now_s - self._looked_s < _LOOK_S:
            return False
        self._looked_s = now_s
        return True


def due_drills(drills: Iterable[Drill], journal: Journal) -> Iterator[Due]:
    """Yield when each drill is due, read from the journal."""
    ends = journal.first_and_last([BACKUPS])
    first_at = ends[BACKUPS][0].at if BACKUPS in ends else None
    rehearsals = history(journal)
    for drill in drills:
        yield next_due(drill, rehearsals, first_at)
