"""The proof of isolation: what reaching means, and what of production is compared."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from processpilot.checks.result import Outcome
from processpilot.drill.proof import Production, compare, targets_of
from processpilot.drill.reach import REACHED, reach
from processpilot.postgres.connection import ServerAddress


def test_what_is_there_is_reached(tmp_path: Path) -> None:
    """A port, a socket, one socket of several, a process, a folder, another network."""
    with (
        socket.create_server(("127.0.0.1", 0)) as port,
        socket.socket(socket.AF_UNIX) as listener,
    ):
        path = tmp_path / "s"
        listener.bind(str(path))
        listener.listen()
        for target in (
            f"tcp:127.0.0.1:{port.getsockname()[1]}",
            f"unix:{path}",
            f"process:{os.getpid()}",
            f"write:{tmp_path}",
        ):
            assert reach(target) == REACHED, target
        assert reach(f"sockets:{tmp_path / 'none'}:{path}") == REACHED
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_not_there_says_why(tmp_path: Path) -> None:
    """By the system's names."""
    with socket.create_server(("127.0.0.1", 0)) as port:
        closed = port.getsockname()[1]
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert reach(f"tcp:127.0.0.1:{closed}") == "ECONNREFUSED"
    assert reach(f"unix:{tmp_path / 'none'}") == "ENOENT"
    assert reach(f"sockets:{tmp_path / 'none'}") == "ECONNREFUSED"
    assert reach(f"process:{ended.pid}") == "ESRCH"
    assert reach(f"write:{tmp_path / 'none'}") == "ENOENT"
    assert reach("tcp:no-such-host.invalid:1") == "no address"


def test_an_unknown_target_is_no_answer() -> None:
    """A mistake in the proof must not look like isolation."""
    with pytest.raises(ValueError, match="is no target"):
        reach("carrier-pigeon:home")


def test_every_way_to_production_is_tried(tmp_path: Path) -> None:
    """Each address of the database, its folder and its repository, mail, and the outside."""
    address = ServerAddress.parse(f"host={tmp_path},127.0.0.1 port=5433 dbname=shop user=me")
    targets = targets_of(Production(address, tmp_path / "data", tmp_path / "repository"))
    assert {
        f"unix:{tmp_path}/.s.PGSQL.5433",
        "tcp:127.0.0.1:5433",
        "tcp:127.0.0.1:25",
        "tcp:192.0.2.1:443",
        "network:",
        f"write:{tmp_path}/data",
        f"write:{tmp_path}/repository",
    } <= set(targets)


def test_new_backups_may_come_and_none_may_be_gone() -> None:
    """Production goes on while the drill walks."""
    before = {"backups": "a,b"}
    (good,) = compare(before, {"backups": "a,b,c"})
    assert good.outcome is Outcome.PASSED
    (bad,) = compare(before, {"backups": "b,c"})
    assert (bad.outcome, bad.actual) == (Outcome.FAILED, "a")


def test_another_folder_fails_and_a_restarted_server_leaves_it_open() -> None:
    """Nobody can tell any more who restarted it."""
    before = {"folder": "1:2", "server": "77"}
    folder, server = compare(before, {"folder": "1:3", "server": "78"})
    assert folder.outcome is Outcome.FAILED
    assert server.outcome is Outcome.UNKNOWN
    folder, server = compare(before, before)
    assert (folder.outcome, server.outcome) == (Outcome.PASSED, Outcome.PASSED)
