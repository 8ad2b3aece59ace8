"""Crews: every task is answered once, failures arrive whole, and no worker outlives its crew."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import crew_work
import pytest

from processpilot.crew import open_crew
from processpilot.errors import ChecksumError, UnavailableError

TESTS = Path(crew_work.__file__).parent


@pytest.fixture(params=[False, True], ids=["threads", "processes"])
def processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both kinds of workers have to behave the same."""
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    return bool(request.param)


def test_every_task_is_answered_once(processes: bool) -> None:
    """Each task comes back with its own result, and the ends add up."""
    with open_crew(crew_work.start, 3, processes=processes) as crew:
        found = {task: result[0] for task, result in crew.results(range(200))}
        found |= {task: result[0] for task, result in crew.results([1000])}
        assert sum(crew.finish()) == 201
    assert found == {number: number * number for number in [*range(200), 1000]}


def test_processes_are_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `processes` the work is not done here, and the workers are gone afterwards."""
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    with open_crew(crew_work.start, 2, processes=True) as crew:
        pids = {result[1] for _, result in crew.results(range(50))}
    assert os.getpid() not in pids
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_work_that_cannot_travel_is_done_by_threads() -> None:
    """A store in memory cannot be sent to another process; the work is done here all the same."""
    local = crew_work.Squares(0)
    with open_crew(lambda _number: local, 2, processes=True) as crew:
        assert {result[1] for _, result in crew.results(range(5))} == {os.getpid()}


def test_a_failure_arrives_with_its_fields(processes: bool) -> None:
    """An error of ours is raised in the caller with message, hint and place."""
    with (
        pytest.raises(ChecksumError) as caught,
        open_crew(crew_work.start, 2, processes=processes) as crew,
    ):
        list(crew.results([1, 2, -1, 3]))
    assert caught.value.message == "bytes differ"
    assert str(caught.value) == "bytes differ"
    assert caught.value.hint == "Look."
    assert caught.value.place == "packs/1"


def test_a_bug_is_no_error_of_ours(processes: bool) -> None:
    """What nobody foresaw ends the work with its traceback."""
    expected = AssertionError if processes else ZeroDivisionError
    with (
        pytest.raises(expected, match="a bug"),
        open_crew(crew_work.start, 2, processes=processes) as crew,
    ):
        list(crew.results([-2]))


def test_a_killed_worker_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel may end a worker for want of memory; that is no success."""
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    with (
        pytest.raises(UnavailableError, match="status -9"),
        open_crew(crew_work.start, 2, processes=True) as crew,
    ):
        list(crew.results([1, -3, 2]))


def test_a_worker_that_cannot_begin_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own failure is told, not that nobody listens."""
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    with (
        pytest.raises(ChecksumError, match="no beginning"),
        open_crew(crew_work.fail, 2, processes=True) as crew,
    ):
        time.sleep(1)
        list(crew.results([1] * 100_000))


def test_tasks_are_taken_only_when_there_is_room(processes: bool) -> None:
    """A long sequence of tasks is never held in memory."""
    taken = 0

    def tasks() -> Iterator[int]:
        nonlocal taken
        for number in range(10_000):
            taken += 1
            yield number

    with open_crew(crew_work.start, 2, processes=processes) as crew:
        for count, _ in enumerate(crew.results(tasks()), start=1):
            if count == 5:
                break
        if processes:
            assert taken <= 5 + 2 * 2


def test_workers_die_with_a_killed_parent() -> None:
    """Nobody goes on writing for a process that is gone."""
    script = (
        "import crew_work, os, sys\n"
        "from processpilot.crew import open_crew\n"
        "with open_crew(crew_work.start, 2, processes=True) as crew:\n"
        "    for _, result in crew.results([1, 2, 3, -4, -4]):\n"
        "        print(result[1], flush=True)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    pids = {int(parent.stdout.readline()) for _ in range(3)}
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 20
    while _alive(pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(pids)


def _alive(pids: set[int]) -> list[int]:
    alive = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            continue
        if state != "Z":
            alive.append(pid)
    return alive
