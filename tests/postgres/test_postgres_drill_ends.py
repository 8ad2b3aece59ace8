"""Drills that do not come to their end: killed, told to end, given way, too slow, not isolated."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from drill_site import (
    a_drill,
    change_plan,
    drill_words,
    needs_namespaces,
    outcome_of,
    traces,
    walked,
)
from protected_site import Site, wait_until
from site_acts import streaming, wait_stored

from processpilot.drill.history import history
from processpilot.drill.place import place_of
from processpilot.drill.state import Rehearsal
from processpilot.postgres.cluster import server_processes
from processpilot.runbook.state import Kind, Verdict

# Namespaces of networks are closed for whatever follows, as a careful administrator closes them.
_CLOSED = (
    "unshare",
    "--user",
    "--map-root-user",
    "/bin/sh",
    "-c",
    'echo 0 > /proc/sys/user/max_net_namespaces && exec "$@"',
    "sh",
)
_STEPS: list[dict[str, Any]] = [
    {"id": "app", "title": "Start", "action": "command", "argv": ["sleep", "600"]}
]


@pytest.fixture
def stocked(site: Site) -> Site:
    """Give a site with a backup, whose drill stays in its last step for ten minutes."""
    change_plan(site, drills=[a_drill(_STEPS), a_drill(id="plain", kind="restore")])
    with streaming(site) as agent:
        site.back_up()
        wait_stored(site, agent)
    return site


def rehearsals(site: Site) -> tuple[Rehearsal, ...]:
    """Return the drills of a site, newest first."""
    with closing(site.wired()) as wired:
        return history(wired.journal)


@contextmanager
def under_way(site: Site) -> Iterator[tuple[subprocess.Popen[str], Rehearsal]]:
    """Run the long drill, and give it once the copy's server runs."""
    process = subprocess.Popen(
        drill_words(site, "run", "whole"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_until(lambda: len(rehearsals(site)) > 0 or process.poll() is not None, "the drill")
        begun = rehearsals(site)[0]
        cluster = place_of(begun.rehearsal_id).cluster
        wait_until(lambda: bool(server_processes(cluster)), "the copy's server")
        yield process, begun
    finally:
        process.kill()
        process.communicate()


@needs_namespaces
def test_a_killed_drill_leaves_nothing_running_and_the_next_one_sweeps_up(stocked: Site) -> None:
    """Its processes end with it; its folder goes, and its verdict comes, with the next drill."""
    with under_way(stocked) as (process, killed):
        process.kill()
        process.wait()
        cluster = place_of(killed.rehearsal_id).cluster
        wait_until(lambda: not server_processes(cluster), "the end of the copy's server")
    assert place_of(killed.rehearsal_id).root.exists()
    assert rehearsals(stocked)[0].verdict is None
    after = walked(stocked, "plain")
    assert after.verdict is Verdict.PASSED
    swept = rehearsals(stocked)[1]
    assert (swept.rehearsal_id, swept.verdict) == (killed.rehearsal_id, Verdict.FAILED)
    assert not any("cleanup failed" in reason for reason in swept.reasons)
    assert traces(killed.rehearsal_id) == []


@needs_namespaces
def test_a_drill_that_is_told_to_end_cleans_up_first(stocked: Site) -> None:
    """It is aborted and has left nothing."""
    with under_way(stocked) as (process, begun):
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 1
    ended = rehearsals(stocked)[0]
    assert (ended.verdict, ended.reasons) == (Verdict.ABORTED, ("it was told to end",))
    assert traces(begun.rehearsal_id) == []


@needs_namespaces
def test_a_drill_gives_way_to_a_run(stocked: Site) -> None:
    """Recovery needs the machine; and beside an open run no drill is begun at all."""
    with under_way(stocked) as (process, begun), closing(stocked.wired()) as wired:
        wired.journal.append("run/now", Kind.RUN_BEGUN, {})
        process.wait()
        ended = rehearsals(stocked)[0]
        assert (ended.verdict, ended.reasons) == (Verdict.ABORTED, ("run now needs the machine",))
        assert traces(begun.rehearsal_id) == []
        refused = subprocess.run(
            drill_words(stocked, "run"), capture_output=True, text=True, check=False
        )
        assert refused.returncode == 3
        assert "run now is not finished" in refused.stderr


@needs_namespaces
def test_a_drill_that_outlives_its_lifetime_has_failed(stocked: Site) -> None:
    """Whatever it is doing then; nothing of it is left."""
    change_plan(stocked, drills=[a_drill(_STEPS, lifetime="1s")])
    done = walked(stocked, "whole")
    assert done.verdict is Verdict.FAILED
    assert traces(done.rehearsal_id) == []


def test_where_namespaces_are_closed_isolation_is_unproven_and_missed_at_best(
    stocked: Site,
) -> None:
    """The data is still proven, on a server that is cut off by its settings; programs stay out."""
    done = walked(stocked, "whole", before=_CLOSED)
    assert done.verdict is Verdict.MISSED
    assert outcome_of(done, "isolation: namespaces") == "unknown"
    assert any(reason.startswith("isolation unproven: ") for reason in done.reasons)
    assert any("no program was started" in reason for reason in done.reasons)
    assert outcome_of(done, "every table can be read") == "passed"
    assert traces(done.rehearsal_id) == []
