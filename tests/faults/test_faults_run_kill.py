"""A controller killed at any point of a run: its successor ends the run, and repeats nothing."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from file_steps import LEASE, RUN, begin, control, open_journal, times
from run_nursery import NEVER, STEPS, Nursery, controllers, nursery, require_whole

from processpilot.errors import LockedError
from processpilot.journal.lease import holder
from processpilot.runbook.state import Kind, Verdict

__all__ = ["controllers"]

ROUNDS = 20


def test_killed_once_at_every_point_the_run_is_ended_by_its_successor(
    controllers: Nursery, tmp_path: Path
) -> None:
    """At the first point, then at the second, until the run survives: nothing lost or repeated."""
    seen: list[str] = []
    while True:
        folder = tmp_path / str(len(seen))
        folder.mkdir()
        begin(folder, len(STEPS))
        said = controllers.control(folder, len(seen) + 1)
        if said == "verdict passed":
            break
        assert said.startswith("at ")
        controllers.kill(said)
        seen.append(said.split(maxsplit=2)[2])
        assert controllers.finish(folder) == "verdict passed", said
        require_whole(folder)
    require_whole(folder)
    for step in STEPS:
        assert {f"before {step}", f"after {step}"} <= set(seen)
    assert len(seen) == 1 + 4 * len(STEPS) + 1


def test_killed_again_and_again_the_run_is_ended_all_the_same(
    controllers: Nursery, tmp_path: Path
) -> None:
    """Twenty kills at random points, of the resumption and of the probes too."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    source = random.Random(seed)
    kills = 0
    for run in range(ROUNDS):
        folder = tmp_path / str(run)
        folder.mkdir()
        begin(folder, len(STEPS))
        while kills < ROUNDS:
            said = controllers.control(folder, source.randint(1, 9))
            if not said.startswith("at "):
                assert said == "verdict passed", f"seed {seed}"
                break
            controllers.kill(said)
            kills += 1
        else:
            assert controllers.finish(folder) == "verdict passed", f"seed {seed}"
        require_whole(folder)
        if kills == ROUNDS:
            return
    raise AssertionError(f"only {kills} kills with seed {seed}")


def test_what_the_probe_saw_done_is_not_repeated(controllers: Nursery, tmp_path: Path) -> None:
    """Killed between the effect and its record, the successor asks and writes down `found done`."""
    begin(tmp_path, len(STEPS))
    said = controllers.control(tmp_path, 4)
    assert said.endswith("after a")
    controllers.kill(said)
    assert controllers.finish(tmp_path) == "verdict passed"
    assert times(tmp_path, "probed", "a") == 1
    with open_journal(tmp_path) as journal:
        ends = [e.data["seen"] for e in journal.read(f"run/{RUN}") if e.kind == Kind.STEP_FINISHED]
    assert ends == ["found done", *["carried out"] * 4]


def test_a_second_controller_is_refused_while_the_first_lives(
    controllers: Nursery, tmp_path: Path
) -> None:
    """In this process and in another; the holder is named, and dead it is in nobody's way."""
    begin(tmp_path, len(STEPS))
    said = controllers.control(tmp_path, 3)
    first = int(said.split()[1])
    found = holder(LEASE, tmp_path)
    assert found is not None and found.pid == first
    with pytest.raises(LockedError, match=str(first)):
        control(tmp_path, lambda name: None)
    with nursery() as others:
        assert others.control(tmp_path, NEVER).startswith("locked ")
    assert [times(tmp_path, "effects", step) for step in STEPS] == [0] * len(STEPS)
    controllers.kill(said)
    assert control(tmp_path, lambda name: None).verdict is Verdict.PASSED
    require_whole(tmp_path)
