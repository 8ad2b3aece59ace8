"""A journal of many runs: how long reading, following and verifying it take.

    python -m bench.journal [--runs 10000] [--folder DIR] [--rounds 5]

Builds DIR/.processpilot/journal.sqlite of about a hundred events a run, and a plan beside it,
unless they are there; prints the medians. Neither a database nor a repository is needed: `status`
says that they cannot be reached.
"""

from __future__ import annotations

import argparse
import resource
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from processpilot.clock import SystemClock
from processpilot.journal.chain import columns_of
from processpilot.journal.event import FIRST_PREVIOUS_HASH, Event, JsonValue, sealed
from processpilot.journal.journal import Journal
from processpilot.plan.builtin import ApplicationPlaces, Basics, application_plan

BEGINNING = datetime(2024, 1, 1, tzinfo=UTC)
STEPS = 44
SCENARIO = "database-failure"
COLUMNS = 9
Note = tuple[str, str, Mapping[str, JsonValue]]


def run_notes(number: int, plan: str, *, ends: bool) -> Iterator[Note]:
    """Yield what one incident and the run that answers it write, and the log stream beside them."""
    run, incident = f"run/{number:06d}", f"incident/{number:06d}"
    declared: dict[str, JsonValue] = {"title": "Complete database failure", "reasons": ["refused"]}
    yield incident, "incident-declared", {**declared, "scenario": SCENARIO, "last_passed_at": None}
    steps: list[JsonValue] = [
        {"id": f"step-{n}", "title": f"Step number {n} of the way out", "action": "command"}
        for n in range(STEPS)
    ]
    details: dict[str, JsonValue] = {"plan": plan, "title": "Complete database failure"}
    pinned: dict[str, JsonValue] = {"scenario": SCENARIO, "trigger": "bench", "plan_hash": "0" * 64}
    begun = {"run_id": f"{number:06d}", "steps": steps, "details": details}
    yield run, "run-begun", {**begun, **pinned}
    yield incident, "incident-answered", {"run_id": f"{number:06d}"}
    for n in range(STEPS):
        yield run, "step-started", {"step": f"step-{n}", "attempt": 1, "pid": 4711}
        result: dict[str, JsonValue] = {
            "output": f"line {n} of what a program said, wörtlich\n" * 8,
            "exit_code": 0,
            "took_s": 1.25 * n,
            "samples": [{"name": f"sample {c}", "outcome": "passed"} for c in range(4)],
        }
        yield run, "step-finished", {"step": f"step-{n}", "outcome": "passed", "result": result}
    for n in range(8):
        yield "protection", "stream-broken", {"error": "server closed the connection", "try": n}
    if ends:
        yield run, "run-finished", {"verdict": "passed"}
        yield incident, "incident-resolved", {"resolution": "passed", "stopped_by": None}


def chained(runs: int, plan: str) -> Iterator[dict[str, int | str]]:
    """Yield the rows of a sound journal in which the newest run is open."""
    sequences: dict[str, int] = {}
    position, previous = 0, FIRST_PREVIOUS_HASH
    for number in range(1, runs + 1):
        for stream, kind, data in run_notes(number, plan, ends=number < runs):
            position += 1
            sequences[stream] = sequences.get(stream, 0) + 1
            at = BEGINNING + timedelta(seconds=60 * position)
            place = (position, stream, sequences[stream], at, kind, data, 1, previous, "")
            event = sealed(Event(*place))
            previous = event.hash
            yield columns_of(event)


def build(path: Path, runs: int) -> None:
    """Write the journal in one transaction."""
    Journal.open(path, SystemClock()).close()
    plan = application_plan(
        Basics("processpilot", "postgresql://postgres@127.0.0.1:1/processpilot", "repository"),
        ApplicationPlaces("http://127.0.0.1:5000", "unix:///run/supervisor.sock", "file:password"),
    )
    (path.parents[1] / "processpilot.yaml").write_text(plan)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        marks = ", ".join("?" * COLUMNS)
        rows = (tuple(row.values()) for row in chained(runs, plan))
        connection.executemany(f"INSERT INTO events VALUES ({marks})", rows)
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def timed(name: str, rounds: int, work: Callable[[], object]) -> None:
    """Print the median of some rounds."""
    seconds, busy = [], []
    for _ in range(rounds):
        begun, worked = time.perf_counter(), time.process_time()
        work()
        seconds.append(time.perf_counter() - begun)
        busy.append(time.process_time() - worked)
    wall, cpu = (statistics.median(figures) * 1000 for figures in (seconds, busy))
    print(f"{name:<40} {wall:10.2f} ms, of this process {cpu:10.2f} ms", flush=True)


def main() -> None:
    """Build if needed, then measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    path = chosen.folder / ".processpilot" / "journal.sqlite"
    if not path.exists():
        timed("built", 1, lambda: build(path, chosen.runs))
    print(f"{path.stat().st_size / 1e6:.0f} MB")
    timed("opened for the first time", 1, lambda: Journal.open(path, SystemClock()).close())
    with closing(Journal.open(path, SystemClock())) as journal:
        measure(journal, chosen.rounds)
    for words in (("run", "list"), ("status",), ("--version",)):
        name = f"processpilot {' '.join(words)}"
        timed(name, chosen.rounds, lambda words=words: command(chosen.folder, *words))


def command(folder: Path, *words: str) -> None:
    """Run the command line in a folder, whatever it ends with."""
    argv = [sys.executable, "-m", "processpilot", *words]
    done = subprocess.run(argv, cwd=folder, capture_output=True, check=False, text=True)
    assert "Traceback" not in done.stderr, done.stderr


def measure(journal: Journal, rounds: int) -> None:
    """Print how long each question takes."""
    page = journal.newest_streams("run/", 50)
    end = journal.head().position
    timed("open runs", rounds, lambda: journal.open_streams("run-begun", "run-finished"))
    timed("the newest 50 runs", rounds, lambda: journal.newest_streams("run/", 50))
    timed("their first and last events", rounds, lambda: journal.first_and_last(page))
    timed("the 50 before", rounds, lambda: journal.newest_streams("run/", 50, end // 2))
    timed("all runs", rounds, lambda: journal.streams("run/"))
    timed("one run read", rounds, lambda: journal.read(page[-1]))
    timed("the last event of a kind", rounds, lambda: journal.latest("run-finished", "run/"))
    timed("end", rounds, journal.end_position)
    timed("100 events after a position", rounds, lambda: journal.since(end - 100, 100))
    timed("one event appended", rounds, lambda: journal.append("bench", "noted", {}))
    timed("verified", 1, journal.verify)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000:.0f} MB")


if __name__ == "__main__":
    main()
