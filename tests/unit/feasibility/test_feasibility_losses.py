"""Data loss: what the stream, the schedule and dumps can lose."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from feasibility_plans import API, findings, of_code, small

from processpilot.feasibility.losses import longest_interval_s

STEP = "- {id: all, title: All, action: manual, timebox: 1m}"
HOUR_S = 3600


@pytest.mark.parametrize(
    ("schedule", "hours"),
    [
        ("0 3 * * *", 24),
        ("0 */6 * * *", 6),
        ("0 3 * * 1-5", 72),
        ("0 3 1 * *", 31 * 24),
        ("*/5 9-17 * * 1-5", 63 + 5 / 60),
        ("0 0 29 2 *", (4 * 365 + 1) * 24),
    ],
)
def test_the_longest_interval_of_a_schedule(schedule: str, hours: float) -> None:
    """Weekends, long months and leap years are looked at, not the average."""
    interval_s = longest_interval_s(schedule, datetime(2026, 3, 1, tzinfo=UTC))
    assert interval_s == pytest.approx(hours * HOUR_S)


def test_an_asynchronous_stream_loses_up_to_its_interval() -> None:
    """Two seconds are too much for an objective of none, and fine for an hour."""
    text = small(STEP, components=API.replace("rpo: 1h", "rpo: 0"))
    assert not of_code(findings(text), "loss-bound")
    (found,) = of_code(findings(text.replace("synchronous", "asynchronous")), "loss-bound")
    assert "2 s - 0 min = 2 s too much" in found.arithmetic
    assert found.place == "components[1].rpo"


DUMP = """
- {id: list, title: List, action: command, argv: [ls, /var/backups/daily/], timebox: 1m}
- {id: load, title: Load, action: command, argv: [pg_restore, -d, x, last.dump], timebox: 1m}
"""


def test_daily_dumps_against_an_hour() -> None:
    """A scenario that restores dumps loses what came after the last one."""
    (found,) = of_code(findings(small(DUMP)), "dump-cadence")
    assert found.message == "daily dumps against an objective of 1 h for database"
    assert "database 24 h - 1 h = 23 h too much" in found.arithmetic
    assert found.severity == "error"


def test_a_dump_of_unknown_cadence_is_as_old_as_backups_are() -> None:
    """The schedule is the best that is known; listing dumps restores none."""
    text = small("- {id: a, title: A, action: command, argv: [./restore.sh, x.dump], timebox: 1m}")
    assert of_code(findings(text), "dump-cadence")[0].message.startswith("daily dumps against")
    often = text.replace("components:", 'backup: {schedule: "0 */6 * * *"}\ncomponents:')
    assert of_code(findings(often), "dump-cadence")[0].message.startswith("every 6 h, dumps")
    assert not of_code(findings(text.replace("x.dump", "--list")), "dump-cadence")


def test_hourly_dumps_against_an_hour_are_enough() -> None:
    """The cadence is read from the words, not assumed."""
    assert not of_code(findings(small(DUMP.replace("daily", "hourly"))), "dump-cadence")


def test_a_daily_something_else_is_no_dump() -> None:
    """Only where dumps are restored does a cadence count."""
    assert not of_code(
        findings(small("- {id: a, title: Daily report, action: manual, timebox: 1m}")),
        "dump-cadence",
    )


def test_objectives_may_not_be_stricter_than_what_they_depend_on() -> None:
    """Both ways; equal is fine."""
    found = findings(small(STEP, components=API.replace("rpo: 1h", "rpo: 0")))
    (rto,) = of_code(found, "rto-contradiction")
    (rpo,) = of_code(found, "rpo-contradiction")
    assert rto.arithmetic == "4 h - 2 h = 2 h too strict"
    assert rpo.message == "api may lose 0 min, but its data are in database, which may lose 1 h"
    assert not of_code(
        findings(small(STEP, components=API.replace("rto: 2h", "rto: 4h"))), "rto-contradiction"
    )
