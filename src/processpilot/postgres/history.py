"""Timeline histories: how a cluster's log branched.

A history file has one line per ancestor: its id, the position of the switch away from it, and why
(src/backend/access/transam/timeline.c, readTimeLineHistory, PostgreSQL 15 to 18).
"""

from __future__ import annotations

from dataclasses import dataclass

from processpilot.errors import IntegrityError, UsageError
from processpilot.postgres.lsn import Lsn
from processpilot.postgres.wal import Segment


@dataclass(frozen=True, slots=True)
class Switch:
    """An ancestor `timeline`, which ends at `lsn` (exclusive)."""

    timeline: int
    lsn: Lsn
    reason: str


@dataclass(frozen=True, slots=True)
class TimelineHistory:
    """A timeline and its ancestors, oldest first. Timeline 1 has none."""

    timeline: int
    switches: tuple[Switch, ...]

    @classmethod
    def parse(cls, timeline: int, text: str) -> TimelineHistory:
        """Return the history in a file's `text`; IntegrityError when it is malformed."""
        switches: list[Switch] = []
        for line in text.splitlines():
            content = line.strip()
            if not content or content.startswith("#"):
                continue
            parts = content.split(None, 2)
            try:
                ancestor, lsn = int(parts[0]), Lsn.parse(parts[1])
            except (ValueError, IndexError, UsageError) as error:
                raise IntegrityError(
                    f'timeline {timeline} has a malformed history line "{content}"'
                ) from error
            if switches and ancestor <= switches[-1].timeline:
                raise IntegrityError(f"the history of timeline {timeline} is out of order")
            switches.append(Switch(ancestor, lsn, parts[2] if len(parts) > 2 else ""))
        if switches and switches[-1].timeline >= timeline:
            raise IntegrityError(f"the history of timeline {timeline} names a younger one")
        return cls(timeline, tuple(switches))

    def format(self) -> str:
        """Return the text of the history file."""
        return "".join(f"{s.timeline}\t{s.lsn}\t{s.reason}\n" for s in self.switches)

    def timelines(self) -> tuple[int, ...]:
        """Return the ancestors' ids and its own, oldest first."""
        return (*(switch.timeline for switch in self.switches), self.timeline)

    def begin_of(self, timeline: int) -> Lsn:
        """Return where an ancestor, or the timeline itself, begins."""
        previous = Lsn(0)
        for switch in self.switches:
            if switch.timeline == timeline:
                return previous
            previous = switch.lsn
        if timeline != self.timeline:
            raise IntegrityError(f"timeline {timeline} is not an ancestor of {self.timeline}")
        return previous

    def end_of(self, timeline: int) -> Lsn | None:
        """Return where an ancestor ends (exclusive); None for the timeline itself."""
        for switch in self.switches:
            if switch.timeline == timeline:
                return switch.lsn
        return None

    def contains(self, timeline: int, lsn: Lsn) -> bool:
        """Whether the point `lsn` of `timeline` lies on the way to this timeline's end."""
        if timeline not in self.timelines():
            return False
        end = self.end_of(timeline)
        return end is None or lsn <= end

    def segment_at(self, number: int, size_bytes: int) -> Segment:
        """Return the file that recovery asks for first for segment `number`.

        That is the newest timeline that begins in or before the segment: its file repeats what
        the ancestor wrote before the switch (xlogrecovery.c, XLogFileReadAnyTLI).
        """
        for timeline in reversed(self.timelines()):
            if self.begin_of(timeline) // size_bytes <= number:
                return Segment(timeline, number, size_bytes)
        return Segment(self.timelines()[0], number, size_bytes)
