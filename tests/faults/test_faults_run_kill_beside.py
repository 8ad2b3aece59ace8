"""Controllers killed with steps side by side, inside an undo, while people act, and replaced."""

from __future__ import annotations

import random
import threading
from contextlib import suppress
from pathlib import Path

from file_steps import LEASE, NAMES, RUN, UNDO, begin, open_journal, order, times
from run_nursery import NEVER, Nursery, controllers, nursery, require_whole

from processpilot.errors import LockedError, RefusedError, UsageError
from processpilot.journal.journal import Journal
from processpilot.runbook import people
from processpilot.runbook.decide import AwaitPeople, Need, decide, waits_of
from processpilot.runbook.history import read_run
from processpilot.runbook.people import Person
from processpilot.runbook.state import RunState, Verdict
from processpilot.runbook.step import MANUAL, StepOutcome, StepSpec

__all__ = ["controllers"]

KILLS = 12


def step(name: str, *after: str, **more: object) -> StepSpec:
    """Return a step of a graph."""
    return StepSpec(name, name.upper(), name, after=after, groups=("all",), **more)  # type: ignore[arg-type]


def state_of(folder: Path) -> RunState:
    """Return the folder's run."""
    with open_journal(folder) as journal:
        return read_run(journal, RUN)


DIAMOND = [step("a"), step("b", "a"), step("c", "a"), step("d", "b", "c")]


def test_killed_at_every_point_with_two_steps_side_by_side_nothing_is_lost_or_repeated(
    controllers: Nursery, tmp_path: Path
) -> None:
    """At the first point, then at the second, until the run survives; both may be under way."""
    seen: list[str] = []
    both = 0
    while True:
        folder = tmp_path / str(len(seen))
        folder.mkdir()
        begin(folder, DIAMOND)
        said = controllers.control(folder, len(seen) + 1)
        if said == "verdict passed":
            break
        controllers.kill(said)
        seen.append(said.split(maxsplit=2)[2])
        both += len(state_of(folder).running) == 2
        assert controllers.finish(folder) == "verdict passed", said
        require_whole(folder, "abcd")
        done = [line for line in order(folder) if line.startswith("effects")]
        assert done[0] == "effects a" and done[3] == "effects d"
    require_whole(folder, "abcd")
    assert both > 0 and len(seen) > len(DIAMOND) * 4


def look_and_decide(folder: Path) -> None:
    """Decide as a person who looked: what is undone is skipped, what is not is undone again."""
    with open_journal(folder) as journal:
        who = Person(journal, RUN, "tester")
        for wait in waits_of(read_run(journal, RUN)):
            assert wait.step_id is not None
            if times(folder, "undone", wait.step_id):
                people.skip(who, wait.step_id, reason="looked: it is undone")
            else:
                people.retry(who, wait.step_id)


def test_killed_at_every_point_of_an_undo_all_is_undone_once_and_in_order(
    controllers: Nursery, tmp_path: Path
) -> None:
    """Between two undos the successor goes on; inside one a person says what became of it."""
    back = {"action": UNDO}
    specs = [step("a", undo=back), step("b", "a", undo=back), step("c", "b", undo=back)]
    specs.append(StepSpec("m", "M", MANUAL, after=("c",), groups=("all",)))
    point, asked = 1, 0
    while True:
        folder = tmp_path / str(point)
        folder.mkdir()
        begin(folder, specs)
        assert controllers.finish(folder) == "verdict None"
        with open_journal(folder) as journal:
            people.abort(Person(journal, RUN, "tester"), reason="enough", undo=True)
        said = controllers.control(folder, point)
        if said != "verdict aborted":
            controllers.kill(said)
            while controllers.finish(folder) != "verdict aborted":
                look_and_decide(folder)
                asked += 1
        undone = [line for line in order(folder) if line.startswith("undone")]
        assert undone == ["undone c", "undone b", "undone a"], said
        assert state_of(folder).verdict is Verdict.ABORTED
        if said == "verdict aborted":
            break
        point += 1
    assert point > 3 * 4 and asked >= 3 * 3


def act_for_everyone(journal: Journal, seed: int) -> None:
    """Do what a run waits for until it is finished, with pauses and a step more in between."""
    source = random.Random(seed)
    who = Person(journal, RUN, "tester")
    added = False
    while not (state := read_run(journal, RUN)).is_finished:
        with suppress(RefusedError, LockedError, UsageError):
            for wait in decide(state).waits:
                _answer(who, wait)
            if source.random() < 0.05:
                people.pause(who, reason="a moment")
            if not added and len(state.running) > 0:
                people.add_step(who, step("h", "a"))
                added = True


def _answer(who: Person, wait: AwaitPeople) -> None:
    match wait.need:
        case Need.APPROVAL:
            people.approve(who, wait.step_id, None)
        case Need.CONFIRMATION:
            people.confirm(who, wait.step_id, done=True, comment=None)
        case Need.CONTINUATION:
            people.go_on(who)
        case Need.DECISION:
            people.retry(who, wait.step_id)


def test_killed_while_people_act_the_run_is_ended_all_the_same(
    controllers: Nursery, tmp_path: Path
) -> None:
    """Approvals, confirmations, pauses and a new step come while controllers die."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    source = random.Random(seed)
    begin(
        tmp_path,
        [
            step("a", approval="commander"),
            step("b", "a"),
            step("c", "a", approval="commander"),
            StepSpec("m", "M", MANUAL, after=("a",), groups=("all",)),
            step("d", "b", "c", "m"),
            step("e", "d", approval="commander"),
        ],
    )
    (tmp_path / "patient").touch()
    with open_journal(tmp_path) as journal:
        acting = threading.Thread(target=act_for_everyone, args=(journal, seed))
        acting.start()
        try:
            for _ in range(KILLS):
                said = controllers.control(tmp_path, source.randint(1, 8))
                if not said.startswith("at "):
                    break
                controllers.kill(said)
            if not read_run(journal, RUN).is_finished:
                assert controllers.finish(tmp_path) == "verdict passed", f"seed {seed}"
        finally:
            if acting.is_alive() and not read_run(journal, RUN).is_finished:
                people.abort(Person(journal, RUN, "tester"), reason="the test failed")
                controllers.finish(tmp_path)
            acting.join()
    names = [s.spec.id for s in state_of(tmp_path).steps if s.spec.id in NAMES]
    require_whole(tmp_path, "".join(names))


def test_a_controller_whose_lock_was_taken_away_cannot_write(
    controllers: Nursery, tmp_path: Path
) -> None:
    """Another one ends the run; the first, asleep inside a step, learns that it is old."""
    begin(tmp_path, DIAMOND)
    said = controllers.control(tmp_path, 3)
    assert said.endswith("before a")
    (tmp_path / f"{LEASE}.lock").unlink()
    with nursery() as others:
        assert others.control(tmp_path, NEVER) == "verdict passed"
    before = state_of(tmp_path)
    (tmp_path / "go").touch()
    assert controllers.hear_end().startswith("locked ")
    assert state_of(tmp_path) == before
    assert before.verdict is Verdict.PASSED
    assert {one.outcome for one in before.steps} == {StepOutcome.PASSED}
