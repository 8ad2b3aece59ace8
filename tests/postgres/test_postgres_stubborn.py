"""Recoveries that meet damage, holes and half-done work, and targets at the very end of the log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from protected_site import Site, SiteMaker, wait_until
from site_acts import (
    LATEST,
    agent_of,
    finished,
    newest,
    program,
    streaming,
    wait_stored,
    waits_at_fence,
)

from processpilot.agent.conclusion import BY_AGENT
from processpilot.backup.protection import StreamState
from processpilot.errors import GapError, RefusedError
from processpilot.postgres.lsn import Lsn
from processpilot.progress import silent
from processpilot.repository.verify import verify_repository
from processpilot.restore.plan import RestoreRequest, plan_restore
from processpilot.runbook import people
from processpilot.runbook.history import read_run, run_ids
from processpilot.runbook.state import Verdict
from processpilot.runbook.step import StepOutcome
from processpilot.wiring.wired import Wired


def stored(site: Site) -> None:
    """Back up and store a few rows behind the backup."""
    site.run("create table t (id bigserial primary key)")
    with streaming(site) as agent:
        site.back_up()
        site.run("insert into t select from generate_series(1, 20)")
        wait_stored(site, agent)


def test_targets_at_the_very_end_of_the_log_are_met(make_site: SiteMaker, tmp_path: Path) -> None:
    """The window's own last moment and position can be restored to."""
    site = make_site()
    document = yaml.safe_load(site.plan.read_text())
    document["protection"]["heartbeat"] = False
    site.plan.write_text(yaml.safe_dump(document))
    stored(site)
    with closing(site.wired()) as wired:
        request = RestoreRequest(LATEST, tmp_path / "x", bin_dirs=wired.bin_dirs)
        window = plan_restore(wired.repository, request).window
    assert window.end_at is not None
    for words in (["--to-time", window.end_at.isoformat()], ["--to-lsn", str(window.end_lsn)]):
        target = tmp_path / words[0]
        done = program(site, "restore", "latest", "--target", str(target), *words, "--json")
        assert done.returncode == 0, done.stderr


def test_the_newest_commit_is_inside_the_window(make_site: SiteMaker, tmp_path: Path) -> None:
    """A record that ends in zero bytes is whole although the log held ends before its end."""
    site = make_site()
    stored(site)
    with streaming(site) as agent:
        for _ in range(5):
            site.run("insert into t default values")
            flushed = Lsn.parse(str(site.run("select pg_current_wal_flush_lsn()::text")[0][0]))
            wait_stored(site, agent)
            with closing(site.wired()) as wired:
                request = RestoreRequest(LATEST, tmp_path / "x", bin_dirs=wired.bin_dirs)
                assert plan_restore(wired.repository, request).planned_lsn >= flushed


def test_a_damaged_newest_backup_is_passed_over(make_site: SiteMaker) -> None:
    """Recovery takes the older backup with all the log behind it, and says why."""
    site = make_site()
    stored(site)
    site.run("create table later as select repeat(md5(g::text), 99) from generate_series(1,999) g")
    with streaming(site) as agent:
        last = site.back_up().backup_id
        site.run("insert into t default values")
        wait_stored(site, agent)
    pack = next((site.folder / "repository" / "packs" / str(last)).iterdir())
    data = bytearray(pack.read_bytes())
    data[len(data) // 2] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(data)
    site.destroy()
    done = program(site, "recover", "--yes")
    with closing(site.wired()) as wired:
        state = newest(wired)
        report = json.loads((wired.reports_dir(state.run_id) / "report.json").read_text())
    assert state.verdict is Verdict.PASSED, done.stdout + done.stderr
    assert site.run("select count(*) from t") == [(21,)]
    assert str(last) in report["warnings"][0]


def test_a_hole_in_the_log_is_no_latest(make_site: SiteMaker, tmp_path: Path) -> None:
    """Restoring to the latest moment refuses to end at a hole unless that is accepted."""
    site = make_site()
    stored(site)
    with streaming(site) as agent:
        for _ in range(4):
            site.run("insert into t default values", "select pg_switch_wal()")
        wait_stored(site, agent)
    with closing(site.wired()) as wired:
        request = RestoreRequest(LATEST, tmp_path / "x", bin_dirs=wired.bin_dirs)
        hole = plan_restore(wired.repository, request).chain.segments[-2]
        (site.folder / "repository" / "wal" / f"{hole.timeline:08X}" / hole.name).unlink()
        with pytest.raises(GapError, match=hole.name):
            plan_restore(wired.repository, request)
        accepted = RestoreRequest(LATEST, tmp_path / "x", bin_dirs=wired.bin_dirs, allow_gap=True)
        assert any(hole.name in text for text in plan_restore(wired.repository, accepted).warnings)
    site.destroy()
    assert program(site, "recover", "--yes").returncode == 8
    with closing(site.wired()) as wired:
        run_id = run_ids(wired.journal)[0]
        assert read_run(wired.journal, run_id).step("restore").outcome is StepOutcome.FAILED
    program(site, "run", "abort", run_id, "--reason", "accept", "--yes")
    program(site, "run", "resume")
    done = program(site, "recover", "--yes", "--allow-gap")
    with closing(site.wired()) as wired:
        assert newest(wired).verdict is Verdict.MISSED, done.stdout + done.stderr


def test_what_others_build_on_cannot_be_skipped(make_site: SiteMaker) -> None:
    """A person who would leave out the fence is told so, and may retry or abort instead."""
    site = make_site(autonomy="approve")
    stored(site)
    site.destroy()
    program(site, "recover", "--yes")
    with closing(site.wired()) as wired:
        run_id = run_ids(wired.journal)[0]
        assert waits_at_fence(wired)
        with pytest.raises(RefusedError, match="build on it"):
            people.skip(people.Person(wired.journal, run_id, "a person"), None, reason="in a hurry")


def test_after_a_persons_abort_no_recovery_begins_by_itself(make_site: SiteMaker) -> None:
    """Whoever aborts works by hand; the agent waits until the database was well again."""
    site = make_site(autonomy="approve")
    with agent_of(site) as (wired, agent):
        wait_until(lambda: agent.stream_state is StreamState.STREAMING, "the stream")
        wait_until(lambda: bool(wired.repository.backup_ids()), "the first backup")
        site.destroy()
        wait_until(lambda: waits_at_fence(wired), "the request for approval")
        first = run_ids(wired.journal)[0]
        people.abort(people.Person(wired.journal, first, "a person"), reason="by hand")
        wait_until(lambda: finished(wired), "the end of the run")
        assert read_run(wired.journal, first).aborted_by != BY_AGENT
        threshold = 4 * 0.5
        wired.clock.sleep(3 * threshold)
        assert list(run_ids(wired.journal)) == [first]


def test_a_server_that_an_earlier_attempt_started_is_accepted(make_site: SiteMaker) -> None:
    """`up` killed while starting the database leaves a server that the next attempt finds."""
    site = make_site()
    stored(site)
    site.destroy()
    argv = [sys.executable, "-m", "processpilot", "recover", "--yes", "--plan", str(site.plan)]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def starting() -> bool:
        with closing(site.wired()) as wired:
            ids = run_ids(wired.journal)
            step = read_run(wired.journal, ids[0]).step("start-database") if ids else None
            return step is not None and step.outcome is not StepOutcome.WAITING

    wait_until(starting, "the start of the database")
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = program(site, "run", "resume")
    with closing(site.wired()) as wired:
        assert newest(wired).verdict is Verdict.PASSED, done.stdout + done.stderr
    assert site.run("select count(*) from t") == [(20,)]


def test_a_backup_of_a_cluster_that_lost_files_says_so(make_site: SiteMaker) -> None:
    """A relation whose file is gone while the server runs is named by the backup and by verify."""
    site = make_site()
    site.run("create table t as select g from generate_series(1, 1000) g", "checkpoint")
    path = str(site.run("select pg_relation_filepath('t')")[0][0])
    whole = site.back_up()
    assert whole.missing_files == ()
    os.unlink(site.data / path)
    for through_protocol in (False, True):
        assert site.back_up(through_protocol=through_protocol).missing_files == (path,)
    with closing(site.wired()) as wired:
        found = verify_repository(wired.repository, None, deep=False, progress=silent)
    assert {str(f.backups[0]) for f in found.findings} == {
        str(manifest.backup_id)
        for manifest in wired.repository.manifests()
        if manifest.missing_files
    }
    assert all(path in finding.message for finding in found.findings)


def step_of(wired: Wired, step_id: str) -> StepOutcome | None:
    """Return how far a step of the newest run is; None without a run."""
    ids = run_ids(wired.journal)
    step = read_run(wired.journal, ids[0]).step(step_id) if ids else None
    return None if step is None else step.outcome


@pytest.mark.parametrize("moment", ["protect", "backup"])
def test_a_second_disaster_before_the_first_backup_loses_nothing(
    make_site: SiteMaker, moment: str
) -> None:
    """What the recovered server wrote at once is joined to the log, so a new run brings it back."""
    site = make_site(synchronous=True)
    site.run("create table t (id bigserial primary key)")
    with agent_of(site) as (wired, agent):
        wait_until(lambda: agent.commits_wait, "synchronous protection")
        wait_until(lambda: bool(wired.repository.backup_ids()), "the first backup")
        site.run("insert into t select from generate_series(1, 100)")
        site.destroy()
        wait_until(lambda: step_of(wired, "start-database") is StepOutcome.PASSED, "the start")
        first = run_ids(wired.journal)[0]
        if moment == "backup":
            wait_until(lambda: step_of(wired, "protect") is StepOutcome.PASSED, "protection")
        wait_until(lambda: agent.commits_wait, "synchronous protection again")
        site.run("insert into t select from generate_series(1, 50)")
        site.destroy()
        wait_until(lambda: run_ids(wired.journal)[0] != first, "a second run", 120)
        wait_until(lambda: finished(wired, 2), "the end of the second run", 120)
        assert newest(wired).verdict is Verdict.PASSED
    assert site.run("select count(*) from t") == [(150,)]
