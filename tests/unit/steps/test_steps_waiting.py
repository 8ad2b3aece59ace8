"""Steps that ask and wait: until things hold, until a limit, until nobody waits any more."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from plain_server import SettableClock
from steps_ground import GivenUp, context_of, ground_at

from processpilot.runbook.action import GivenUpError, NotHappened, StepFailedError
from processpilot.steps.check import Check
from processpilot.steps.wait import Wait


class RunningClock(SettableClock):
    """Time that passes only by sleeping; `then` is called at its second."""

    def __init__(self, then: Callable[[], object] = lambda: None, at_s: float = 5.0) -> None:
        super().__init__()
        self._then, self._at_s = then, at_s

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        before, self.seconds = self.seconds, self.seconds + seconds
        if before < self._at_s <= self.seconds:
            self._then()


def flag(name: str = "flag") -> dict[str, Any]:
    """Return the condition that a file is there."""
    return {"kind": "file", "path": name}


def wait(folder: Path, clock: RunningClock, **settings: Any) -> dict[str, Any]:
    """Return what waiting gives."""
    given_up = settings.pop("given_up", GivenUp())
    context = context_of({"action": "wait", **settings}, given_up=given_up)
    return dict(Wait(ground_at(folder, clock=clock)).execute(context))


def check(folder: Path, clock: RunningClock, *conditions: object, **more: Any) -> dict[str, Any]:
    """Return what checking gives."""
    given_up = more.pop("given_up", GivenUp())
    settings = {"action": "check", "conditions": list(conditions), **more}
    return dict(
        Check(ground_at(folder, clock=clock)).execute(context_of(settings, given_up=given_up))
    )


class TestWait:
    def test_a_time_passes(self, tmp_path: Path) -> None:
        """In looks of at most a second."""
        clock = RunningClock()
        assert wait(tmp_path, clock, **{"for": "3.5s"}) == {"waited_s": 3.5}
        assert clock.slept == [1.0, 1.0, 1.0, 0.5]

    def test_a_condition_comes_true(self, tmp_path: Path) -> None:
        """It is asked as often as the plan says."""
        clock = RunningClock((tmp_path / "flag").touch)
        assert wait(tmp_path, clock, until=flag(), every="2s") == {"waited_s": 6.0}

    def test_what_holds_already_is_not_waited_for(self, tmp_path: Path) -> None:
        """Not even once."""
        (tmp_path / "flag").touch()
        clock = RunningClock()
        assert wait(tmp_path, clock, until=flag()) == {"waited_s": 0.0}
        assert clock.slept == []

    def test_past_the_limit_the_step_fails(self, tmp_path: Path) -> None:
        """With what was waited for and what there was instead; asked a last time at the limit."""
        clock = RunningClock((tmp_path / "flag").touch, at_s=99)
        with pytest.raises(StepFailedError) as caught:
            wait(tmp_path, clock, until=flag(), every="2s", limit="5s")
        path = tmp_path / "flag"
        assert caught.value.message == f"waited 5 s until flag exists: {path} does not exist"
        assert clock.seconds == 5.0
        in_time = RunningClock((tmp_path / "flag").touch, at_s=5.0)
        assert wait(tmp_path, in_time, until=flag(), every="2s", limit="5s") == {"waited_s": 5.0}

    @pytest.mark.parametrize("what", [{"for": "1h"}, {"until": flag(), "every": "10m"}])
    def test_who_gives_up_is_heard_within_a_second(
        self, tmp_path: Path, what: dict[str, Any]
    ) -> None:
        """However seldom the condition is asked."""
        clock = RunningClock()
        with pytest.raises(GivenUpError):
            wait(tmp_path, clock, given_up=GivenUp(after=3), **what)
        assert clock.seconds == 3.0

    def test_waiting_again_is_safe(self, tmp_path: Path) -> None:
        """It changes nothing."""
        action = Wait(ground_at(tmp_path))
        assert action.probe(context_of({"action": "wait", "for": "1s"})) == NotHappened()


class TestCheck:
    def test_all_that_holds_passes(self, tmp_path: Path) -> None:
        """Each condition is a line of the result."""
        (tmp_path / "flag").touch()
        gone = {"kind": "file", "path": "gone", "exists": False}
        result = check(tmp_path, RunningClock(), flag(), gone)
        lines = [(c["name"], c["outcome"], c["actual"]) for c in result["checks"]]
        assert lines == [
            ("flag exists", "passed", "holds"),
            ("gone does not exist", "passed", "holds"),
        ]

    def test_one_that_does_not_hold_fails_with_all_of_them(self, tmp_path: Path) -> None:
        """Without a time to come true it is asked once."""
        (tmp_path / "flag").touch()
        clock = RunningClock()
        with pytest.raises(StepFailedError) as caught:
            check(tmp_path, clock, flag(), flag("gone"))
        assert caught.value.message.startswith("Work: 1 of 2 checks did not pass; gone exists: ")
        checks: Any = caught.value.result["checks"]
        assert [c["outcome"] for c in checks] == ["passed", "failed"]
        assert clock.slept == []

    def test_conditions_may_take_their_time(self, tmp_path: Path) -> None:
        """As long as the plan gives them."""
        clock = RunningClock((tmp_path / "flag").touch)
        check(tmp_path, clock, flag(), within="10s")
        assert clock.seconds == 5.0
        late = RunningClock((tmp_path / "late").touch, at_s=11)
        with pytest.raises(StepFailedError):
            check(tmp_path, late, flag("late"), within="10s")

    def test_who_gives_up_is_heard(self, tmp_path: Path) -> None:
        """Within a second."""
        clock = RunningClock()
        with pytest.raises(GivenUpError):
            check(tmp_path, clock, flag(), within="1h", given_up=GivenUp(after=3))
        assert clock.seconds == 3.0

    def test_giving_up_from_another_thread_is_heard(self, tmp_path: Path) -> None:
        """As the run's own event is set."""
        stopped = threading.Event()
        stopped.set()
        with pytest.raises(GivenUpError):
            check(tmp_path, RunningClock(), flag(), within="1h", given_up=stopped.is_set)
