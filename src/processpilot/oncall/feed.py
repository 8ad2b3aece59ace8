"""Calendars from a file or an address, and the last good copy of each.

The copy is what counts when the source does not answer or is no calendar any more; it is then said
to be stale. Addresses are often secrets themselves: none is shown.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx

from processpilot.clock import Clock
from processpilot.errors import ProcessPilotError, UnavailableError
from processpilot.oncall.calendar import Calendar, read_calendar
from processpilot.plan.load import LoadedPlan
from processpilot.plan.team import CalendarRotation

FOLDER = "calendars"
LIMIT_BYTES = 1 << 20
LIMIT_S = 10.0
STALE_S = 3600.0


@dataclass(frozen=True, slots=True)
class KeptCalendar:
    """A calendar as it is known here; `warning` says why it may be wrong, or is not there."""

    calendar: Calendar | None
    fetched_at: datetime | None
    warning: str | None


@dataclass(frozen=True, slots=True)
class Feeds:
    """The calendars of a plan."""

    loaded: LoadedPlan
    clock: Clock

    def fetched(self) -> Mapping[str, KeptCalendar]:
        """Return every calendar, asked for now; takes at most 10 s for each."""
        return {rotation.id: self._fetched(rotation) for rotation in self._rotations()}

    def kept(self) -> Mapping[str, KeptCalendar]:
        """Return every calendar without asking anybody: files, and the last copy of the others."""
        return {
            one.id: self._kept(one, None) if _is_remote(one.source) else self._fetched(one)
            for one in self._rotations()
        }

    def _rotations(self) -> list[CalendarRotation]:
        rotations = self.loaded.plan.team.rotations
        return [rotation for rotation in rotations if isinstance(rotation, CalendarRotation)]

    def _fetched(self, rotation: CalendarRotation) -> KeptCalendar:
        try:
            text = self._text(rotation.source)
            calendar = read_calendar(text, rotation.timezone)
        except ProcessPilotError as error:
            return self._kept(rotation, error.message)
        self._keep(rotation, text)
        return KeptCalendar(calendar, self.clock.now(), None)

    def _text(self, source: str) -> str:
        if not _is_remote(source):
            path = self.loaded.resolve(source)
            try:
                with path.open("rb") as file:
                    return _decoded(file.read(LIMIT_BYTES + 1))
            except OSError as error:
                raise UnavailableError(f"cannot read {path}: {error.strerror}") from error
        return _download(source, self.clock)

    def _kept(self, rotation: CalendarRotation, trouble: str | None) -> KeptCalendar:
        """Return the last good copy; `trouble` says why there is no newer one."""
        try:
            document = json.loads(self._path(rotation).read_text())
            fetched_at = datetime.fromisoformat(document["fetched_at"])
            if document["source"] != _digest(rotation.source):
                raise ValueError("it is of another source")
            calendar = read_calendar(str(document["text"]), rotation.timezone)
        except (OSError, ValueError, KeyError, TypeError, ProcessPilotError):
            why = trouble or "it was not fetched yet"
            return KeptCalendar(None, None, f"there is no copy of the calendar: {why}")
        age_s = (self.clock.now() - fetched_at).total_seconds()
        if trouble is None and age_s <= STALE_S:
            return KeptCalendar(calendar, fetched_at, None)
        why = "" if trouble is None else f": {trouble}"
        warning = f"stale: the calendar is of {fetched_at:%Y-%m-%d %H:%M} UTC{why}"
        return KeptCalendar(calendar, fetched_at, warning)

    def _keep(self, rotation: CalendarRotation, text: str) -> None:
        """Keep a copy; where that fails, the calendar still counts now."""
        path = self._path(rotation)
        document = {
            "fetched_at": self.clock.now().isoformat(),
            "source": _digest(rotation.source),
            "text": text,
        }
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        with suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary.touch(0o600)
            temporary.write_text(json.dumps(document))
            temporary.replace(path)

    def _path(self, rotation: CalendarRotation) -> Path:
        return self.loaded.state_dir / FOLDER / f"{rotation.id}.json"


def _is_remote(source: str) -> bool:
    return source.startswith(("http://", "https://"))


def _digest(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()


def _decoded(data: bytes) -> str:
    if len(data) > LIMIT_BYTES:
        raise UnavailableError(f"the calendar is longer than {LIMIT_BYTES} bytes")
    return data.decode(errors="replace")


def _download(address: str, clock: Clock) -> str:
    """Return what an address answers, within the limits for its length and for the time it takes.

    Redirections are not followed: they would lead where the plan does not.
    """
    deadline = clock.monotonic() + LIMIT_S
    data = bytearray()
    try:
        with httpx.stream("GET", address, timeout=LIMIT_S) as answer:
            if answer.status_code != 200:
                raise UnavailableError(f"its address answers with status {answer.status_code}")
            for part in answer.iter_bytes():
                data += part
                if len(data) > LIMIT_BYTES:
                    break
                if clock.monotonic() > deadline:
                    raise UnavailableError(f"its address took longer than {LIMIT_S:g} s")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UnavailableError(f"its address does not answer: {type(error).__name__}") from None
    return _decoded(bytes(data))
