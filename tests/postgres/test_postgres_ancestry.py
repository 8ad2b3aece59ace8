"""Servers whose log must not be stored: another cluster, an older state, a timeline left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from protected_site import SUPERUSER, Site, SiteMaker, wait_until
from site_acts import agent_of, program, streaming, wait_stored

from processpilot.agent.agent import Agent, Duties
from processpilot.agent.backups import backup_is_due
from processpilot.backup.protection import StreamState
from processpilot.cli.follow import Lines
from processpilot.errors import RefusedError
from processpilot.postgres.cluster import initialise
from processpilot.repository.wal import WalArchive, segment_object
from processpilot.wiring.wired import Wired

QUIET = Lines(as_json=False)


def refused_stream(site: Site, what: str) -> None:
    """Start streaming; it stays broken, says why, and stores nothing."""
    with closing(site.wired()) as wired:
        before = {info.name for info in wired.repository.store.list("wal/")}
        with Agent(wired, Duties(watch=False, schedule=False), QUIET) as agent:
            wait_until(lambda: agent.stream_state is StreamState.BROKEN, "the refusal")
        event = wired.journal.latest("stream-broken")
        assert event is not None
        assert what in str(event.data["message"])
        assert {info.name for info in wired.repository.store.list("wal/")} == before


def copied(site: Site) -> Path:
    """Stop the server and copy its data directory."""
    subprocess.run(site.pg_ctl("-m", "fast", "stop"), check=True, capture_output=True)
    older = site.folder / "older"
    subprocess.run(["cp", "-a", str(site.data), str(older)], check=True)
    return older


def put_back(site: Site, older: Path) -> None:
    """Replace the data directory with an older copy and start the server."""
    subprocess.run(site.pg_ctl("-m", "fast", "stop"), check=True, capture_output=True)
    shutil.rmtree(site.data)
    older.rename(site.data)
    site.start()


def test_a_server_that_went_back_in_time_is_refused(site: Site) -> None:
    """An old copy of the data directory would write other log under the same names."""
    older = copied(site)
    site.start()
    with streaming(site) as agent:
        site.back_up()
        site.run("create table t as select g from generate_series(1, 20000) g")
        wait_stored(site, agent)
    put_back(site, older)
    refused_stream(site, "went back in time")
    with pytest.raises(RefusedError, match="went back in time") as caught:
        site.back_up()
    assert "processpilot recover" in str(caught.value.hint)


def test_another_cluster_is_refused(site: Site) -> None:
    """A fresh cluster in the old one's place keeps away from its log."""
    with streaming(site) as agent:
        site.back_up()
        wait_stored(site, agent)
    subprocess.run(site.pg_ctl("-m", "fast", "stop"), check=True, capture_output=True)
    shutil.rmtree(site.data)
    initialise(site.installation, site.data, superuser=SUPERUSER)
    site.start()
    refused_stream(site, "the repository holds cluster")
    with pytest.raises(RefusedError, match="the repository holds cluster"):
        site.back_up()


def test_a_server_that_a_recovery_left_behind_is_refused(site: Site) -> None:
    """The old primary, started again after the takeover, is on a timeline of the past."""
    with agent_of(site) as (_, agent):
        wait_until(lambda: agent.stream_state is StreamState.STREAMING, "the stream")
        site.back_up()
        wait_stored(site, agent)
    older = copied(site)
    site.start()
    signal = site.data / "standby.signal"
    subprocess.run(site.pg_ctl("-m", "fast", "stop"), check=True, capture_output=True)
    signal.touch()
    shutil.copystat(site.data / "PG_VERSION", signal)
    owner = (site.data / "PG_VERSION").stat()
    os.chown(signal, owner.st_uid, owner.st_gid)
    site.start()
    subprocess.run(site.pg_ctl("promote"), check=True, capture_output=True)
    with streaming(site) as agent:
        wait_stored(site, agent)
    put_back(site, older)
    refused_stream(site, "timeline 2 already")


def test_a_lost_slot_is_a_named_gap_and_a_new_backup_is_due(site: Site) -> None:
    """The log in between is gone for good: it is said, and the window begins anew."""
    with streaming(site) as agent:
        site.back_up()
        wait_stored(site, agent)
    site.run("select pg_drop_replication_slot(slot_name) from pg_replication_slots")
    for _ in range(3):
        site.run("select pg_logical_emit_message(true, 'x', 'y'), pg_switch_wal()", "checkpoint")
    with streaming(site) as agent:
        wait_stored(site, agent)
        with closing(site.wired()) as wired:
            due = backup_is_due(wired)
            assert due is not None
            assert "slot was made anew" in due or "breaks at" in due
        site.back_up()
        with closing(site.wired()) as wired:
            assert backup_is_due(wired) is None


def test_log_lost_from_the_spool_is_named(site: Site) -> None:
    """Whole segments that reached the spool and never the repository are missed at once."""
    with streaming(site) as agent:
        site.back_up()
        wait_stored(site, agent)
    with closing(site.wired()) as wired:
        inventory = _archive(wired).inventory()
        missing = sorted(inventory.whole_segments())[-1]
        wired.repository.store.delete(segment_object(missing))
        for segment in list(inventory.tails):
            _archive(wired).drop_tail(segment)
        shutil.rmtree(wired.spool_dir)
    with streaming(site) as agent:
        wait_stored(site, agent)
    with closing(site.wired()) as wired:
        event = wired.journal.latest("log-gap")
        assert event is not None
        assert event.data["missing"] == missing.name
    status = program(site, "status")
    assert status.returncode != 0


def _archive(wired: Wired) -> WalArchive:
    return WalArchive(wired.repository, wired.facts().wal_segment_bytes)


@pytest.mark.skipif(os.getuid() != 0, reason="mounting a small disk needs root")
def test_a_full_spool_stops_says_so_and_loses_nothing(make_site: SiteMaker) -> None:
    """The server keeps the log; status names what is at risk; with room again all of it comes."""
    site = make_site(18)
    disk = site.folder / "small"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(disk)], check=True)
    try:
        text = site.plan.read_text()
        site.plan.write_text(text.replace("protection:\n", f"protection:\n  spool_dir: {disk}/s\n"))
        ballast = disk / "ballast"
        with agent_of(site) as (wired, agent):
            wait_until(lambda: agent.stream_state is StreamState.STREAMING, "the stream")
            ballast.write_bytes(b"\1" * (22 << 20))
            site.run("create table t (v text)")
            for _ in range(4):
                site.run(
                    "insert into t select repeat(md5(g::text), 30) from generate_series(1, 15000) g"
                )
            wait_until(lambda: agent.stream_state is StreamState.BROKEN, "the full disk")
            # The server answers all the while.
            site.run("insert into t values ('while the spool was full')")
            said = program(site, "status").stdout
            assert "No space left" in said
            assert "lie on the server alone" in said
            ballast.unlink()
            wait_until(lambda: agent.stream_state is StreamState.STREAMING, "room again")
            wait_stored(site, agent)
            archive = _archive(wired)
            inventory = archive.inventory()
            numbers = sorted(segment.number for segment in inventory.whole_segments())
            assert numbers == list(range(numbers[0], numbers[-1] + 1))
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
