"""Log that only the dead server's disk holds, and databases that come back while people decide."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from protected_site import Site, SiteMaker, wait_until
from site_acts import (
    agent_of,
    finished,
    kill_only,
    newest,
    program,
    started,
    streaming,
    wait_stored,
    waits_at_fence,
)

from processpilot.agent.overview import read_overview
from processpilot.backup.protection import StreamState
from processpilot.evidence.report import build_report
from processpilot.postgres.binaries import installation_for
from processpilot.postgres.control import read_control
from processpilot.postgres.lsn import Lsn
from processpilot.restore.survivor import surviving_log
from processpilot.runbook import people
from processpilot.runbook.history import read_run, run_ids
from processpilot.runbook.state import Verdict


def test_log_written_while_nobody_streamed_is_taken_from_the_old_disk(
    make_site: SiteMaker,
) -> None:
    """Rows committed while the agent was away survive, and loss 0 is claimed from that log."""
    site = make_site()
    site.run("create table t (id bigserial primary key, pad text)")
    with agent_of(site) as (wired, agent):
        wait_until(lambda: agent.stream_state is StreamState.STREAMING, "the stream")
        wait_until(lambda: bool(wired.repository.backup_ids()), "the first backup")
        site.run("insert into t (pad) values ('streamed')")
    site.run(
        "insert into t (pad) select repeat(md5(g::text), 30) from generate_series(1, 30000) g",
        "select pg_switch_wal()",
        "insert into t (pad) values ('last')",
    )
    kill_only(site)
    with agent_of(site) as (wired, _):
        wait_until(lambda: finished(wired), "the run")
        state = newest(wired)
    assert state.verdict is Verdict.PASSED, state
    assert site.run("select count(*) from t") == [(30_002,)]
    report = build_report(state, {})
    assert (report.data_loss_window_s, report.data_loss_basis) == (0.0, "old-log")


def test_without_the_old_disk_an_absence_is_not_called_no_loss(make_site: SiteMaker) -> None:
    """When nobody streamed at the end and the disk is gone, only a bound is reported."""
    site = make_site()
    site.run("create table t (id bigserial primary key)")
    with agent_of(site) as (wired, agent):
        wait_until(lambda: agent.stream_state is StreamState.STREAMING, "the stream")
        wait_until(lambda: bool(wired.repository.backup_ids()), "the first backup")
    site.run("insert into t default values")
    site.destroy()
    done = program(site, "recover", "--yes")
    assert done.returncode == 0, done.stderr
    with closing(site.wired()) as wired:
        report = build_report(newest(wired), {})
    assert report.data_loss_window_s is None
    assert report.data_loss_basis == "bound"
    assert report.data_loss_bound_s is not None
    assert report.data_loss_bound_s > 0


def test_a_database_that_comes_back_while_people_decide_ends_the_run(
    make_site: SiteMaker,
) -> None:
    """A second disaster after that is a new run, and what was written in between survives."""
    site = make_site(synchronous=True, autonomy="approve")
    site.run("create table t (id bigserial primary key)")
    with agent_of(site) as (wired, agent):
        wait_until(lambda: agent.commits_wait, "synchronous protection")
        wait_until(lambda: bool(wired.repository.backup_ids()), "the first backup")
        kill_only(site)
        wait_until(lambda: waits_at_fence(wired), "the request for approval")
        first = run_ids(wired.journal)[0]
        wait_until(lambda: started(site), "the old server")
        wait_until(lambda: finished(wired), "the end of the first run")
        assert read_run(wired.journal, first).verdict is Verdict.ABORTED
        wait_until(lambda: not list(site.folder.glob("data.recovered-*")), "the copy's end")
        wait_until(lambda: agent.commits_wait, "synchronous protection again")
        site.run("insert into t select from generate_series(1, 500)")
        site.destroy()
        wait_until(
            lambda: run_ids(wired.journal)[0] != first and waits_at_fence(wired), "a second run"
        )
        second = run_ids(wired.journal)[0]
        people.approve(people.Person(wired.journal, second, "a person"), None, None)
        wait_until(lambda: finished(wired, 2), "the end of the second run")
        assert read_run(wired.journal, second).verdict is Verdict.PASSED
    assert site.run("select count(*) from t") == [(500,)]


def test_a_copy_that_lacks_what_the_old_server_wrote_since_never_takes_over(
    make_site: SiteMaker,
) -> None:
    """The fence refuses a stale copy; aborting and recovering again brings everything."""
    site = make_site(autonomy="approve")
    site.run("create table t (id bigserial primary key)")
    with streaming(site) as agent:
        site.back_up()
        wait_stored(site, agent)
    kill_only(site)
    assert program(site, "recover", "--yes").returncode == 8
    with closing(site.wired()) as wired:
        assert waits_at_fence(wired)
        first = run_ids(wired.journal)[0]
    wait_until(lambda: started(site), "the old server")
    site.run("insert into t select from generate_series(1, 200)")
    kill_only(site)
    assert program(site, "run", "approve", first, "--yes").returncode == 0
    done = program(site, "run", "resume")
    assert done.returncode == 8
    assert "the old server wrote log up to" in done.stderr + done.stdout
    assert read_control(site.data).timeline == 1
    program(site, "run", "abort", first, "--reason", "stale", "--yes")
    program(site, "run", "resume")
    program(site, "recover", "--yes")
    with closing(site.wired()) as wired:
        second = run_ids(wired.journal)[0]
    assert second != first
    program(site, "run", "approve", second, "--yes")
    assert program(site, "run", "resume").returncode == 0
    with closing(site.wired()) as wired:
        assert read_run(wired.journal, second).verdict is Verdict.PASSED
    assert site.run("select count(*) from t") == [(200,)]


def test_a_run_can_be_aborted_after_its_plan_was_changed(make_site: SiteMaker) -> None:
    """A plan edited during a run does not concern it; the next one uses it."""
    site = make_site(autonomy="approve")
    site.run("create table t (id bigserial primary key)")
    with streaming(site) as agent:
        site.back_up()
        wait_stored(site, agent)
    site.destroy()
    assert program(site, "recover", "--yes").returncode == 8
    with closing(site.wired()) as wired:
        run_id = run_ids(wired.journal)[0]
    document = yaml.safe_load(site.plan.read_text())
    document["autonomy"] = "act"
    site.plan.write_text(yaml.safe_dump(document))
    assert program(site, "run", "resume").returncode == 8
    program(site, "run", "abort", run_id, "--reason", "wrong plan", "--yes")
    program(site, "run", "resume")
    with closing(site.wired()) as wired:
        assert read_run(wired.journal, run_id).verdict is Verdict.ABORTED
    assert program(site, "recover", "--yes").returncode == 0


def test_a_frozen_agent_is_not_healthy(make_site: SiteMaker) -> None:
    """`status` believes an agent only while it goes on writing of itself."""
    site = make_site()
    argv = [sys.executable, "-m", "processpilot", "up", "--plan", str(site.plan)]
    agent = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: program(site, "status").returncode == 0, "a healthy status")
        agent.send_signal(signal.SIGSTOP)
        with closing(site.wired()) as wired:
            wait_until(
                lambda: any("hangs" in text for text in read_overview(wired).problems),
                "a status that notices",
            )
    finally:
        agent.send_signal(signal.SIGCONT)
        agent.terminate()
        agent.wait(60)


def test_names_of_log_files_prove_nothing(site: Site, tmp_path: Path) -> None:
    """Recycled files ahead of the log do not count; the end is where the last record ends."""
    site.run(
        "create table t as select repeat(md5(g::text), 50) v from generate_series(1, 20000) g",
        "select pg_switch_wal()",
        "checkpoint",
        "select pg_switch_wal()",
        "insert into t values ('last')",
    )
    row = site.run("select pg_current_wal_lsn()::text, pg_current_wal_flush_lsn()::text")
    kill_only(site)
    copy = tmp_path / "old"
    wait_until(lambda: not (site.data / "postmaster.pid").exists() or True, "the end")
    shutil.copytree(site.data, copy)
    control = read_control(copy)
    installation = installation_for(18)
    found = surviving_log(
        copy,
        control.system_identifier,
        installation,
        control.wal_segment_bytes,
        Lsn(control.redo),
    )
    assert found.joined
    assert Lsn.parse(str(row[0][1])) <= found.end <= Lsn.parse(str(row[0][0])) + 8192
    names = {segment.name for segment in found.segments}
    ahead = {p.name for p in (copy / "pg_wal").iterdir() if len(p.name) == 24} - names
    assert all(name < min(names) or name > max(names) for name in ahead)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be led to another's files")
def test_root_follows_no_link_that_the_clusters_owner_planted(site: Site, tmp_path: Path) -> None:
    """Links in the folder of the target, where the cluster's account may write, lead nowhere."""
    site.back_up()
    parent, victim = tmp_path / "parent", tmp_path / "victim"
    victim.write_text("precious")
    parent.mkdir()
    os.chown(parent, 65534, 65534)
    (parent / "r-companions").mkdir()
    (parent / "r-companions" / "processpilot.yaml").symlink_to(victim)
    (parent / ".r.processpilot").mkdir()
    (parent / ".r.processpilot" / "pg_hba.conf").symlink_to(victim)
    refused = program(site, "restore", "latest", "--target", str(parent / "r"))
    assert refused.returncode != 0
    assert "exists" in refused.stderr
    shutil.rmtree(parent / "r-companions")
    done = program(site, "restore", "latest", "--target", str(parent / "r"))
    assert done.returncode == 0, done.stderr
    assert victim.read_text() == "precious"
    assert victim.stat().st_uid == 0
