"""The roster as an iCal file, for people's own calendars."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import icalendar

from processpilot.oncall.roster import Roster


def calendar_text(roster: Roster, roles: Sequence[str], begin: datetime, end: datetime) -> bytes:
    """Return the turns of those roles between two moments; stamps are those of `begin`.

    An event keeps its UID from one export to the next, so that calendars update it.
    """
    calendar = icalendar.Calendar()
    calendar.add("prodid", "-//ProcessPilot//on call//EN")
    calendar.add("version", "2.0")
    for role_id in roles:
        title = roster.role(role_id).title
        for turn in roster.turns(role_id, begin, end):
            event = icalendar.Event()
            event.add("uid", f"{role_id}-{turn.begin_at:%Y%m%dT%H%M%SZ}@processpilot")
            event.add("dtstamp", begin)
            event.add("dtstart", turn.begin_at)
            event.add("dtend", turn.end_at)
            event.add("summary", turn.person)
            event.add("description", f"On call: {title}")
            calendar.add_component(event)
    return bytes(calendar.to_ical())
