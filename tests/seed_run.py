"""A run led to its end by controllers that are killed at every boundary, and by one person.

The boundaries are the events that controllers write down. The first controller that reaches one is
killed right there: behind the event, before anything else. Once more each step is killed in the
middle, if it lasts long enough. What the next controller does with it is its own business. The
person does what the run asks for, with the program's own words.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from seed_pilot import KILLED, Ended, Pilot, Terminal

from processpilot.clock import SystemClock
from processpilot.journal.event import Event
from processpilot.journal.journal import Journal
from processpilot.plan.load import load_plan
from processpilot.runbook.decide import AwaitPeople, Need, waits_of
from processpilot.runbook.history import open_runs, read_run
from processpilot.runbook.state import Kind, RunState, stream_of

_INSIDE_S = 0.6
_SILENT_S = 60.0
_RETRIES = 3
_STUCK_S = 180.0
_BY_PEOPLE = frozenset(
    {Kind.RUN_BEGUN, Kind.APPROVAL_GIVEN, Kind.STEP_CONFIRMED, Kind.RETRY_REQUESTED}
)


@dataclass
class Ordeal:
    """One run, its controllers and its person; what was done to it and by whom is kept."""

    pilot: Pilot
    journal: Journal
    folder: Path
    seed: int
    run_id: str = ""
    killed: list[str] = field(default_factory=list)
    acts: list[str] = field(default_factory=list)

    def lead(self, *first: str) -> RunState:
        """Begin the run with a command and bring it to its end; return its state then."""
        source = random.Random(self.seed)
        ended = _Watched(self, source).end(first)
        while not (state := self.state()).is_finished:
            waits = waits_of(state)
            assert waits or ended.status == KILLED, f"{ended.status}: {ended.said}"
            for wait in waits:
                self._decide(wait)
            ended = _Watched(self, source).end(("run", "resume", self.run_id))
        if ended.status == KILLED:
            # Its verdict is written down, its report is not stored yet.
            self.pilot.run("run", "resume", self.run_id)
        return state

    def state(self) -> RunState:
        """Return the run as it is now."""
        return read_run(self.journal, self.run_id)

    def events(self, after: int = 0) -> list[Event]:
        """Return what controllers wrote down."""
        if not self.run_id:
            self.run_id = next(iter(open_runs(self.journal)), "")
        if not self.run_id:
            return []
        found = self.journal.read(stream_of(self.run_id), after=after)
        return [event for event in found if event.kind not in _BY_PEOPLE]

    def _decide(self, wait: AwaitPeople) -> None:
        """Do what the run asks a person for, through the command line."""
        act = {
            Need.APPROVAL: ("approve", "--yes"),
            Need.CONFIRMATION: ("confirm", "--comment", "done, looked at it"),
            Need.DECISION: ("retry",),
            Need.CONTINUATION: ("continue",),
        }[wait.need]
        step = () if wait.step_id is None else ("--step", wait.step_id)
        assert self.acts.count(f"retry {wait.step_id}") < _RETRIES, wait.text
        done = self.pilot.run("run", *act, self.run_id, *step, "--as", "on duty")
        assert done.status == 0, done.said
        self.acts.append(f"{act[0]} {wait.step_id}")


def boundary(event: Event) -> str:
    """Return what the boundary behind an event is called."""
    return f"{event.kind} {event.data.get('step', '')}".strip()


class _Watched:
    """One controller, followed event by event."""

    def __init__(self, ordeal: Ordeal, source: random.Random) -> None:
        self._ordeal = ordeal
        self._source = source
        self._terminal = Terminal(ordeal.folder / "terminal")
        self._taken = 0
        self._judged = (-1, False)

    def end(self, words: tuple[str, ...]) -> Ended:
        """Let the controller go on until it ends, or reaches what none reached before."""
        ordeal = self._ordeal
        before = ordeal.state().sequence if ordeal.run_id else 0
        pid = ordeal.pilot.start(*words, terminal=self._terminal)
        try:
            return self._followed(pid, before)
        finally:
            self._terminal.close()

    def _followed(self, pid: int, before: int) -> Ended:
        ordeal = self._ordeal
        deadline = time.monotonic() + _STUCK_S
        moved_at = time.monotonic()
        while (ended := ordeal.pilot.ended(0.01)) is None:
            assert time.monotonic() < deadline, f"stuck: {self._terminal.lines}"
            written = ordeal.events(before)
            if len(written) > self._taken:
                moved_at = time.monotonic()
                event = written[self._taken]
                if (place := self._place(event)) is not None:
                    return self._kill(pid, place)
                self._terminal.take()
                self._taken += 1
                inside = self._killed_inside(pid, event) if self._is_inside(event) else None
                if inside is not None:
                    return inside
            elif self._has_nothing_to_do(len(written)) or time.monotonic() - moved_at > _SILENT_S:
                self._terminal.take()
        return ended

    def _has_nothing_to_do(self, written: int) -> bool:
        """Whether it only says what it waits for, and no event is to come."""
        ordeal = self._ordeal
        if ordeal.run_id and self._judged[0] != written:
            state = ordeal.state()
            self._judged = (written, state.is_finished or bool(waits_of(state)))
        return self._judged[1]

    def _place(self, event: Event) -> str | None:
        """Return the boundary's name when no controller was killed there yet."""
        name = boundary(event)
        return None if name in self._ordeal.killed else name

    def _is_inside(self, event: Event) -> bool:
        name = f"inside {event.data.get('step')}"
        return event.kind == Kind.STEP_STARTED and name not in self._ordeal.killed

    def _killed_inside(self, pid: int, event: Event) -> Ended | None:
        """Kill the controller somewhere in a step; None when the step was over before."""
        deadline = time.monotonic() + self._source.uniform(0, _INSIDE_S)
        while time.monotonic() < deadline:
            if self._ordeal.events(event.sequence):
                return None
            time.sleep(0.002)
        ended = self._kill(pid, f"inside {event.data['step']}")
        # It may have come to the next event, and no further, in the moment of its death.
        self._ordeal.killed += map(boundary, self._ordeal.events(event.sequence))
        return ended

    def _kill(self, pid: int, place: str) -> Ended:
        os.kill(pid, signal.SIGKILL)
        self._ordeal.killed.append(place)
        ended = self._ordeal.pilot.ended()
        assert ended is not None
        return ended


@contextmanager
def journal_of(plan: Path) -> Iterator[Journal]:
    """Give the site's journal."""
    path = load_plan(plan).state_dir / "journal.sqlite"
    with closing(Journal.open(path, SystemClock())) as journal:
        yield journal
