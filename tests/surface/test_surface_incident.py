"""`processpilot incident | oncall | page` as people and programs meet them, without an agent."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import icalendar
import pytest
from incident_plans import point, staffed_text
from message_receivers import HttpReceiver, http_receiver
from plain_server import closed_port

from processpilot.clock import SystemClock
from processpilot.journal.journal import Journal

UPDATES = "updates: {channels: [word], approval: press}\n"
VENDORS = """\
vendors: [{id: host, title: Hosting, phone: "+1 800 555"}]
support: [{severity: high, response: 4h}]
"""
ROTATION = """\
team:
  people: [{name: Ada, channels: [ada-hook]}, {name: Ben, channels: [ben-hook]}]
  rotations:
    - {id: days, kind: weekly, people: [Ada, Ben], begin: 2026-01-05, timezone: Europe/Berlin}
  roles:
    - {id: dba, title: Database Administrator, rotation: days}
    - {id: commander, title: Commander, primary: Ben}
  escalation: [{after: 0, page: [primary]}]
"""


def pilot(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "processpilot", *words],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "200", "HOME": str(folder), "USER": "ada"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def good(folder: Path, *words: str) -> str:
    """Run a command that must succeed; return what it prints."""
    done = pilot(folder, *words)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


def document(folder: Path, *words: str) -> Any:
    """Run a command with --json; return what it prints."""
    return json.loads(good(folder, *words, "--json"))


@pytest.fixture
def hook() -> Iterator[HttpReceiver]:
    """Give a receiver of everything."""
    with http_receiver() as receiver:
        yield receiver


@pytest.fixture
def site(tmp_path: Path, hook: HttpReceiver) -> Path:
    """Give a folder with a plan whose channels all lead to the receiver."""
    (tmp_path / "processpilot.yaml").write_text(staffed_text(UPDATES + VENDORS))
    for name in ("ada-mail", "ada-hook", "ben-hook", "cleo-hook", "word"):
        point(tmp_path, name, f"json://127.0.0.1:{hook.port}/{name}")
    return tmp_path


def test_an_incident_from_the_first_word_to_the_last(site: Path, hook: HttpReceiver) -> None:
    """Opened, paged, acknowledged, told, mitigated, resolved, listed; without an agent."""
    opened = pilot(site, "incident", "open", "Nobody can log in", "--reason", "tickets")
    assert opened.returncode == 0, opened.stderr
    assert "No agent runs" in opened.stderr
    assert sorted(b["title"] for b in hook.bodies) == [
        "SEV-1 shop: Nobody can log in",
        "SEV-1 shop: Nobody can log in",
        "shop: an update waits for you",
    ]
    shown = good(site, "incident", "show")
    assert "nobody has acknowledged" in shown
    assert "paged Ada over ada-mail (level 1): delivered" in shown
    assert "level 2 wakes Ben" in shown and "(in 29 min" in shown
    assert "update u1 waits for approval" in shown
    good(site, "incident", "acknowledge")
    again = pilot(site, "incident", "acknowledge")
    assert again.returncode == 3 and "ada has acknowledged" in again.stderr
    good(site, "incident", "assign", "commander", "--to", "Ben")
    good(site, "incident", "note", "the login service answers 500")
    good(site, "incident", "severity", "SEV-2")
    good(site, "incident", "update", "--approve", "u1", "--text", "Login does not work.")
    assert hook.bodies[-1]["message"] == "Login does not work."
    good(site, "incident", "vendor", "host", "--ask", "Is it you?")
    good(site, "incident", "vendor", "host", "--answered", "it was")
    good(site, "incident", "mitigate", "--reason", "old version is back")
    assert pilot(site, "incident", "resolve").returncode == 2
    good(site, "incident", "resolve", "--reason", "fixed")
    good(site, "incident", "update", "--approve", "u2", "--incident", the_only(site)["incident_id"])
    assert "It has worked again since" in hook.bodies[-1]["message"]
    found = the_only(site)
    assert (found["severity"], found["acknowledged_by"]) == ("SEV-2", "ada")
    assert (found["resolution"], found["roles"]) == ("fixed", {"commander": "Ben"})
    shown = good(site, "incident", "show")
    assert "resolved: fixed" in shown and "level 2 wakes" not in shown
    assert "Nobody can log in" in good(site, "incident", "list")


def the_only(folder: Path) -> Any:
    """Return the only incident as JSON."""
    (found,) = document(folder, "incident", "list")["incidents"]
    return found


def test_show_as_json_has_log_and_what_comes(site: Path) -> None:
    """The same events and the same next things as the text."""
    good(site, "incident", "open", "Slow", "--severity", "SEV-3")
    shown = document(site, "incident", "show")
    assert shown["incident"]["severity"] == "SEV-3"
    assert {event["kind"] for event in shown["events"]} >= {"incident-declared", "incident-paged"}
    assert "level 2 wakes Ben" in [one["text"] for one in shown["upcoming"]]
    assert all(page["delivered"] for page in shown["incident"]["pages"])


def test_what_cannot_be_is_told(site: Path) -> None:
    """No incident, unknown roles, updates, vendors, scenarios: status and the next command."""
    assert pilot(site, "incident", "show").returncode == 4
    assert pilot(site, "incident", "acknowledge").returncode == 4
    assert "it has: failure" in pilot(site, "incident", "open", "x", "--scenario", "y").stderr
    assert pilot(site, "incident", "open", "  ").returncode == 2
    good(site, "incident", "open", "Slow")
    for words, status in (
        (("assign", "nobody", "--to", "Ben"), 4),
        (("update",), 2),
        (("update", "--approve", "u9"), 4),
        (("update", "--approve", "u1", "--refuse", "u1"), 2),
        (("vendor", "nobody", "--ask", "x"), 4),
        (("vendor", "host", "--answered", "x"), 4),
        (("vendor", "host"), 2),
        (("note", " "), 2),
    ):
        done = pilot(site, "incident", *words)
        assert done.returncode == status, (words, done.stderr)
        assert "Traceback" not in done.stderr


def test_page_test_goes_the_real_way_and_is_remembered(site: Path, hook: HttpReceiver) -> None:
    """Over every channel of those meant, marked as a test; one in vain is status 1."""
    out = good(site, "page", "test", "--who", "Ada")
    assert out.splitlines() == ["Ada over ada-mail: delivered", "Ada over ada-hook: delivered"]
    assert all(body["title"].startswith("TEST, no incident") for body in hook.bodies)
    assert all("This is a test" in body["message"] for body in hook.bodies)
    point(site, "ben-hook", f"json://127.0.0.1:{closed_port()}/t0ken")
    failed = pilot(site, "page", "test", "--json")
    assert failed.returncode == 1
    rows = json.loads(failed.stdout)["deliveries"]
    assert [(r["who"], r["delivery"]["delivered"]) for r in rows] == [
        ("Ada", True),
        ("Ada", True),
        ("Ben", False),
    ]
    unreachable = pilot(site, "page", "test", "--who", "Dan")
    assert (unreachable.returncode, "names no channel" in unreachable.stdout) == (1, True)
    assert pilot(site, "page", "test", "--who", "Zoe").returncode == 4
    assert pilot(site, "page", "test", "--role", "zoe").returncode == 4
    assert pilot(site, "page", "test", "--level", "9").returncode == 2
    assert "Cleo" in good(site, "page", "test", "--level", "3")
    assert "Cleo" in good(site, "page", "test", "--role", "commander")
    path = site / ".processpilot" / "journal.sqlite"
    with closing(Journal.open(path, SystemClock())) as journal:
        events = journal.read("paging")
    assert [event.kind for event in events] == ["page-tested"] * 5
    assert [event.data["all_delivered"] for event in events][:2] == [True, False]
    assert "t0ken" not in path.read_bytes().decode(errors="ignore")


def test_who_is_on_call_is_shown_and_exported(site: Path) -> None:
    """Now, at a moment, next, and as a calendar that reads back."""
    (site / "processpilot.yaml").write_text(staffed_text(team=ROTATION))
    at = document(site, "oncall", "show", "--at", "2026-03-30T06:59:59")["on_call"][0]
    assert (at["primary"], at["secondary"]) == ("Ben", "Ada")
    at = document(site, "oncall", "show", "--at", "2026-03-30T09:00+02:00")["on_call"][0]
    assert (at["primary"], at["until"]) == ("Ada", "2026-04-06T07:00:00+00:00")
    assert "rotation days" in good(site, "oncall", "show")
    assert good(site, "oncall", "next").startswith("dba: ")
    assert pilot(site, "oncall", "show", "--at", "tomorrow").returncode == 2
    assert pilot(site, "oncall", "export", "--role", "zoe").returncode == 4
    text = good(site, "oncall", "export", "--role", "dba", "--weeks", "4")
    events = icalendar.Calendar.from_ical(text).walk("VEVENT")
    assert len(events) in (4, 5)
    assert {str(event["SUMMARY"]) for event in events} == {"Ada", "Ben"}
    assert len({str(event["UID"]) for event in events}) == len(events)


def test_a_role_that_was_handed_over_is_with_its_holder(site: Path) -> None:
    """While the incident is open; for other moments the plan counts."""
    good(site, "incident", "open", "Slow")
    good(site, "incident", "assign", "dba", "--to", "Cleo")
    rows = {one["role"]: one for one in document(site, "oncall", "show")["on_call"]}
    assert (rows["dba"]["primary"], rows["dba"]["source"]) == ("Cleo", "handed over")
    assert rows["dba"]["secondary"] == "Ada"
    later = document(site, "oncall", "show", "--at", "2030-01-01T00:00")["on_call"]
    assert {one["role"]: one["primary"] for one in later}["dba"] == "Ada"
