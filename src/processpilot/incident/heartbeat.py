"""Signs of life of other programs: the last one of each, and which are overdue.

The last beat is a small file for each heartbeat in the state folder, replaced whenever one comes: a
beat a minute would be half a million events a year. What is missed becomes an incident, and that is
in the journal.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from processpilot.clock import Clock
from processpilot.errors import NotFoundError, UnavailableError
from processpilot.plan.alarm import Heartbeat
from processpilot.plan.model import Plan

FOLDER = "heartbeats"


@dataclass(frozen=True, slots=True)
class Overdue:
    """A heartbeat that did not come in time; `last_at` None: none ever came."""

    heartbeat: Heartbeat
    last_at: datetime | None
    due_at: datetime


def receive_heartbeat(state_dir: Path, plan: Plan, clock: Clock, heartbeat_id: str) -> datetime:
    """Keep that a heartbeat came, and return when; NotFoundError for one the plan does not have."""
    if heartbeat_id not in {one.id for one in plan.heartbeats}:
        raise NotFoundError(f'the plan has no heartbeat "{heartbeat_id}"')
    now = clock.now().astimezone(UTC)
    folder = state_dir / FOLDER
    temporary = folder / f".{heartbeat_id}.{os.getpid()}.{threading.get_ident()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary.write_text(now.isoformat())
        temporary.replace(folder / heartbeat_id)
    except OSError as error:
        raise UnavailableError(f"cannot keep the heartbeat {heartbeat_id}: {error}") from error
    return now


def last_beats(state_dir: Path, plan: Plan) -> Mapping[str, datetime]:
    """Return when each heartbeat last came; those that never did are left out."""
    found: dict[str, datetime] = {}
    for one in plan.heartbeats:
        with suppress(OSError, ValueError):
            at = datetime.fromisoformat((state_dir / FOLDER / one.id).read_text())
            if at.tzinfo is not None:  # Ours says so; what somebody wrote by hand may not.
                found[one.id] = at
    return found


def overdue_heartbeats(
    plan: Plan, beats: Mapping[str, datetime], now: datetime, listening_since: datetime
) -> tuple[Overdue, ...]:
    """Return the heartbeats that did not come in time while somebody listened.

    While nobody did, none could come: the time that one may take begins anew with the agent.
    """
    overdue: list[Overdue] = []
    for one in plan.heartbeats:
        last_at = beats.get(one.id)
        begin = listening_since if last_at is None else max(last_at, listening_since)
        due_at = begin + timedelta(seconds=one.every_s + one.grace_s)
        if due_at < now:
            overdue.append(Overdue(one, last_at, due_at))
    return tuple(overdue)
