"""SupervisordDriver.stop() at the moments when supervisord is about to start a program.

A real supervisord passes through these moments too quickly to be caught there on demand, so a
scripted XML-RPC server stands in for it and the clock is the test's own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from xmlrpc.server import SimpleXMLRPCServer

import pytest

from processpilot.errors import UnavailableError
from processpilot.services.supervisord import SETTLED_S, SupervisordDriver

STATES = {"STOPPED": 0, "STARTING": 10, "RUNNING": 20, "EXITED": 100, "UNKNOWN": 1000}


class ManualClock:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class Script:
    """What supervisord would answer: one (state, start) per look, the last one for ever."""

    def __init__(self, *looks: tuple[str, int]) -> None:
        self.looks = list(looks)
        self.stops = 0

    def info(self, name: str) -> dict[str, object]:
        state, start = self.looks[0]
        if len(self.looks) > 1:
            self.looks.pop(0)
        return {
            "name": name,
            "state": STATES[state],
            "statename": state,
            "start": start,
            "exitstatus": 0,
            "spawnerr": "",
            "description": "",
            "pid": 0,
        }

    def stop(self, name: str, wait: bool) -> bool:
        self.stops += 1
        self.looks = [("STOPPED", 7)]
        return True


@contextmanager
def driver(script: Script, clock: ManualClock) -> Iterator[SupervisordDriver]:
    """Yield a driver that talks to `script` over HTTP."""
    with SimpleXMLRPCServer(("127.0.0.1", 0), logRequests=False) as server:
        calls: dict[str, Callable[..., object]] = {
            "supervisor.getProcessInfo": script.info,
            "supervisor.stopProcess": script.stop,
            "supervisor.tailProcessStderrLog": lambda *_: ["", 0, False],
            "supervisor.tailProcessStdoutLog": lambda *_: ["", 0, False],
        }
        for name, call in calls.items():
            server.register_function(call, name)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield SupervisordDriver(address, "db", timeout_s=10, clock=clock)
        finally:
            server.shutdown()
            thread.join()


def test_an_exited_program_that_comes_back_is_stopped() -> None:
    """EXITED is not believed at once: the restart that follows is caught and stopped."""
    script = Script(("EXITED", 5), ("EXITED", 5), ("STARTING", 7))
    with driver(script, ManualClock()) as db:
        db.hold()
    assert script.stops == 1


def test_a_program_that_autostart_has_not_reached_is_stopped() -> None:
    """STOPPED without any start so far may be the moment before autostart."""
    script = Script(("STOPPED", 0), ("STARTING", 7))
    with driver(script, ManualClock()) as db:
        db.hold()
    assert script.stops == 1


def test_a_new_start_between_two_exits_begins_the_watch_again() -> None:
    """A program seen EXITED every time, but with new starts, is in a loop: it is never settled."""
    script = Script(*(("EXITED", 5 + look // 9) for look in range(200)))
    clock = ManualClock()
    with driver(script, clock) as db, pytest.raises(UnavailableError, match="is not stopped"):
        db.hold()
    assert clock.seconds >= 10


@pytest.mark.parametrize("look", [("EXITED", 5), ("STOPPED", 0)])
def test_a_program_that_stays_as_it_is_counts_as_down(look: tuple[str, int]) -> None:
    """The same answer for SETTLED_S is believed, and no stop is asked for."""
    script = Script(look)
    clock = ManualClock()
    with driver(script, clock) as db:
        db.hold()
    assert clock.seconds >= SETTLED_S
    assert script.stops == 0


def test_a_program_supervisord_lost_track_of_is_an_error() -> None:
    """UNKNOWN is never taken for down."""
    script = Script(("UNKNOWN", 5))
    lost = pytest.raises(UnavailableError, match="lost track")
    with driver(script, ManualClock()) as db, lost:
        db.hold()
