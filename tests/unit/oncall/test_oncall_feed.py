"""Calendars fetched from a real server, and what is left when it does not answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from incident_plans import BEGIN, SetClock, staffed_text

from processpilot.oncall.feed import LIMIT_BYTES, Feeds, KeptCalendar
from processpilot.plan.load import LoadedPlan, parse_plan

CALENDAR = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nSUMMARY:Ada\r\n"
    "DTSTART:20261126T000000Z\r\nDTEND:20261127T000000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)
TEAM = """\
team:
  rotations: [{{id: cal, kind: calendar, source: "{source}"}}]
  roles: [{{id: commander, title: Commander, rotation: cal}}]
"""


@dataclass
class Source:
    """What the server answers."""

    port: int = 0
    status: int = 200
    body: bytes = CALENDAR.encode()
    endless: bool = False


@contextmanager
def served() -> Iterator[Source]:
    """Give a server of one calendar."""
    source = Source()

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802
            self.send_response(source.status)
            self.send_header("Location", f"http://127.0.0.1:{source.port}/else")
            self.end_headers()
            try:
                self.wfile.write(source.body)
                while source.endless:
                    self.wfile.write(b"x" * 65536)
            except OSError:
                pass

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    source.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield source
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def plan_of(folder: Path, source: str) -> LoadedPlan:
    """Return a plan whose only calendar is there."""
    text = staffed_text(team=TEAM.format(source=source))
    return parse_plan(text, folder / "processpilot.yaml")


def person(kept: KeptCalendar) -> str | None:
    """Return who is on call when it all begins."""
    if kept.calendar is None:
        return None
    shifts = kept.calendar.shifts(BEGIN, BEGIN + timedelta(seconds=1))
    return shifts[0].person if shifts else None


def test_a_calendar_is_fetched_and_kept(tmp_path: Path) -> None:
    """The copy is for our account only, and is there without the server."""
    clock = SetClock()
    with served() as source:
        feeds = Feeds(plan_of(tmp_path, f"http://127.0.0.1:{source.port}/t0ken"), clock)
        assert person(feeds.fetched()["cal"]) == "Ada"
    (copy,) = (tmp_path / ".processpilot" / "calendars").iterdir()
    assert copy.stat().st_mode & 0o77 == 0
    assert "t0ken" not in copy.read_text()
    assert feeds.kept()["cal"].warning is None
    clock.at += timedelta(hours=2)
    assert str(feeds.kept()["cal"].warning).startswith("stale: the calendar is of 2026-11-26 03:00")


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (500, b"", "status 500"),
        (302, b"", "status 302"),
        (200, b"<html>log in</html>", "no calendar"),
        (200, b"x" * (LIMIT_BYTES + 1), f"longer than {LIMIT_BYTES} bytes"),
    ],
)
def test_the_last_good_copy_counts(tmp_path: Path, status: int, body: bytes, why: str) -> None:
    """Whatever the source answers instead; it is then said to be stale."""
    with served() as source:
        address = f"http://127.0.0.1:{source.port}/t0ken"
        feeds = Feeds(plan_of(tmp_path, address), SetClock())
        feeds.fetched()
        source.status, source.body = status, body
        kept = feeds.fetched()["cal"]
    assert person(kept) == "Ada"
    assert kept.warning is not None and why in kept.warning and "stale" in kept.warning
    gone = feeds.fetched()["cal"]
    assert person(gone) == "Ada"
    assert "t0ken" not in str(gone.warning) and "does not answer" in str(gone.warning)


def test_a_copy_of_another_source_does_not_count(tmp_path: Path) -> None:
    """Whoever changes the plan gets the new calendar or none."""
    with served() as source:
        Feeds(plan_of(tmp_path, f"http://127.0.0.1:{source.port}/a"), SetClock()).fetched()
    other = Feeds(plan_of(tmp_path, "elsewhere.ics"), SetClock())
    assert other.kept()["cal"].calendar is None
    assert "no copy" in str(other.fetched()["cal"].warning)


def test_a_file_is_read_where_the_plan_says(tmp_path: Path) -> None:
    """From the plan's folder; one that is gone leaves its copy."""
    (tmp_path / "team.ics").write_text(CALENDAR)
    feeds = Feeds(plan_of(tmp_path, "team.ics"), SetClock())
    assert person(feeds.fetched()["cal"]) == "Ada"
    (tmp_path / "team.ics").unlink()
    kept = feeds.fetched()["cal"]
    assert person(kept) == "Ada" and "cannot read" in str(kept.warning)


def test_a_source_without_end_is_left(tmp_path: Path) -> None:
    """As soon as it is longer than any calendar may be."""
    with served() as source:
        source.endless = True
        feeds = Feeds(plan_of(tmp_path, f"http://127.0.0.1:{source.port}/"), SetClock())
        assert f"longer than {LIMIT_BYTES} bytes" in str(feeds.fetched()["cal"].warning)
