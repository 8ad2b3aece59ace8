"""The whole recovery of a destroyed cluster, by the agent and by the command, and interrupted."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from protected_site import Site, SiteMaker, wait_until
from site_acts import QUIET, agent_of, finished, newest, program, started, streaming, wait_stored

from processpilot.agent.agent import Agent, Duties
from processpilot.backup.protection import StreamState
from processpilot.errors import LockedError
from processpilot.evidence.report import build_report
from processpilot.incident.begin import find_scenario, request_run
from processpilot.postgres.control import read_control
from processpilot.runbook import people
from processpilot.runbook.history import read_run, run_ids
from processpilot.runbook.runner import begin_run
from processpilot.runbook.state import Verdict
from processpilot.runbook.step import StepOutcome


def test_a_destroyed_cluster_comes_back_twice_and_nothing_is_lost(make_site: SiteMaker) -> None:
    """The agent recovers and proves; a second disaster right after loses nothing either."""
    site = make_site(synchronous=True)
    site.run("create table t (id bigserial primary key, v int)")
    total = 0
    with agent_of(site) as (wired, agent):
        wait_until(lambda: agent.commits_wait, "synchronous protection")
        wait_until(lambda: bool(wired.repository.backup_ids()), "the first backup")
        for disaster in (1, 2):
            for value in range(50):
                site.run(f"insert into t (v) values ({value})")
                total += 1
            site.destroy()
            wait_until(lambda n=disaster: finished(wired, n), f"run {disaster}")
            state = newest(wired)
            assert state.verdict is Verdict.PASSED, state
            assert site.run("select count(*) from t")[0][0] == total
            wait_until(lambda: agent.commits_wait, "synchronous protection again")
        report = build_report(state, {})
        assert report.data_loss_window_s == 0.0
        assert report.recovery_time_s is not None
        assert {check.outcome for check in report.checks} <= {"passed", "skipped"}
        assert report.old_data_dir is None
        folder = wired.reports_dir(state.run_id)
        wait_until(lambda: (folder / "report.html").exists(), "the report")
        assert json.loads((folder / "report.json").read_text())["verdict"] == "passed"
        assert "Complete database failure" in (folder / "report.html").read_text()


def test_nothing_is_swapped_in_before_a_person_agrees(make_site: SiteMaker) -> None:
    """With autonomy approve the run waits before the fence; the old files are then kept."""
    site = make_site(autonomy="approve")
    site.run("create table t as select 1 as id")
    with agent_of(site) as (wired, agent):
        wait_until(lambda: agent.stream_state is StreamState.STREAMING, "the stream")
        wait_until(lambda: bool(wired.repository.backup_ids()), "the first backup")
        pid = int((site.data / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        (site.data / "global" / "pg_control").unlink()

        def waits() -> bool:
            ids = run_ids(wired.journal)
            step = read_run(wired.journal, ids[0]).step("fence") if ids else None
            return step is not None and step.asked

        wait_until(waits, "the request for approval")
        run_id = run_ids(wired.journal)[0]
        assert not (site.data / "global" / "pg_control").exists()
        say_what_it_waits_for(site, run_id)
        people.approve(people.Person(wired.journal, run_id, "a person"), None, None)
        wait_until(lambda: finished(wired), "the run")
        state = newest(wired)
        assert state.verdict is Verdict.PASSED, state
        kept = Path(str(state.result_of("swap")["old_data_dir"]))
        assert (kept / "base").is_dir()
        assert not (kept / "global" / "pg_control").exists()


def say_what_it_waits_for(site: Site, run_id: str) -> None:
    """Wherever somebody looks in that night, the command to type is there."""
    answer = f"`processpilot run approve {run_id}` (or refuse)"
    shown = program(site, "incident", "show").stdout
    assert "the run waits: Fence" in shown
    assert answer in shown
    again = program(site, "recover", "--yes")
    assert again.returncode == 3
    assert answer in again.stderr
    left_out = program(site, "run", "skip", "--reason", "why not")
    assert left_out.returncode == 3
    assert "Leave 'Fence" in left_out.stderr


def test_a_database_that_answers_is_left_alone(site: Site) -> None:
    """`recover` stops at its first step, with the status of a refusal, and touches nothing."""
    site.back_up()
    before = read_control(site.data).timeline
    done = program(site, "recover", "database-failure", "--yes", "--json")
    assert done.returncode == 8, done.stderr
    assert "answers; there is nothing to recover" in done.stderr + done.stdout
    assert site.run("select 1") == [(1,)]
    assert read_control(site.data).timeline == before


def test_a_dry_run_prints_every_step_and_changes_nothing(site: Site) -> None:
    """`recover --dry-run` says of each step how well it is known; nothing begins."""
    site.back_up()
    done = program(site, "recover", "--dry-run")
    assert "cannot be known" in done.stdout
    assert "WOULD STOP HERE" in done.stdout
    with closing(site.wired()) as wired:
        assert run_ids(wired.journal) == ()


def test_a_second_controller_is_refused(site: Site) -> None:
    """While one agent leads, another one cannot take the lease."""
    site.back_up()
    with agent_of(site), closing(site.wired()) as other:
        with pytest.raises(LockedError, match="runs here already"):
            Agent(other, Duties(False, False), QUIET).__enter__()
    done = program(site, "run", "resume")
    assert done.returncode == 4


def test_a_run_keeps_to_the_plan_it_began_with(site: Site) -> None:
    """Whoever edits the plan meanwhile changes the next run, not this one."""
    site.back_up()
    site.destroy()
    with closing(site.wired()) as wired:
        scenario = find_scenario(wired.loaded.plan, "database-failure")
        begin_run(wired.journal, request_run(wired.loaded, scenario, "r1", "a person", None))
    text = site.plan.read_text()
    place = "  data_dir: "
    assert text.count(place) == 1
    site.plan.write_text(text.replace(place, f"{place}/nowhere # "))
    with closing(site.wired()) as wired, Agent(wired, Duties(False, False), QUIET) as agent:
        state = agent.lead("r1")
        if not state.is_finished:
            # The killed server may not have been reaped yet, and its socket's lock names it.
            wait_until(lambda: started(site), "the server")
            people.retry(people.Person(wired.journal, "r1", "a person"), None)
            state = agent.lead("r1")
    assert state.is_finished
    assert state.step("swap").outcome is StepOutcome.PASSED
    assert site.run("select 1") == [(1,)]


def test_a_recovery_killed_at_any_moment_is_finished_by_resume(make_site: SiteMaker) -> None:
    """SIGKILL `recover` again and again; `run resume` finishes with every acknowledged row."""
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    source = random.Random(seed)
    site = make_site(synchronous=True)
    site.run("create table t (id bigserial primary key)")
    with streaming(site) as agent:
        site.back_up()
        for _ in range(20):
            site.run("insert into t default values")
        wait_stored(site, agent)
    site.destroy()
    base = [sys.executable, "-m", "processpilot"]
    words = ["recover", "--yes"]
    kills = 0
    while True:
        process = subprocess.Popen(
            [*base, *words, "--plan", str(site.plan)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            # Every attempt may take a little longer, so that a slow machine comes to an end too.
            output, _ = process.communicate(timeout=source.uniform(1.0, 2.5 + 0.4 * kills))
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
            with closing(site.wired()) as wired:
                words = ["run", "resume"] if run_ids(wired.journal) else words
            assert kills < 40, "no attempt comes to an end"
    with closing(site.wired()) as wired:
        state = newest(wired)
    assert state.verdict is Verdict.PASSED, output
    assert kills
    assert all(step.outcome is StepOutcome.PASSED for step in state.steps)
    assert site.run("select count(*) from t")[0][0] == 20


def test_a_receiver_that_hangs_does_not_hold_commits_forever(make_site: SiteMaker) -> None:
    """A stopped receiver is ended after the grace period, and the lifted wait is written down."""
    site = make_site(synchronous=True)
    document = yaml.safe_load(site.plan.read_text())
    document["protection"]["sync_grace"] = "2s"
    site.plan.write_text(yaml.safe_dump(document))
    site.run("create table t (id int)")
    with streaming(site) as agent:
        wait_until(lambda: agent.commits_wait, "synchronous protection")
        pid = int((site.plan.parent / ".processpilot" / "receiver.pid").read_text())
        os.kill(pid, signal.SIGSTOP)
        site.run("insert into t values (1)")
        with closing(site.wired()) as wired:

            def kinds() -> list[str]:
                return [event.kind for event in wired.journal.read("protection")]

            wait_until(lambda: kinds().count("protection-synchronous") == 2, "synchrony again")
            assert kinds().index("protection-lifted") == 2


def test_a_database_that_comes_back_by_itself_keeps_its_place(make_site: SiteMaker) -> None:
    """When the old server answers again before the fence, the run ends and streaming goes on."""
    site = make_site(synchronous=True, autonomy="act")
    site.run("create table t (id int)")
    with agent_of(site) as (wired, agent):
        wait_until(lambda: agent.commits_wait, "synchronous protection")
        wait_until(lambda: bool(wired.repository.backup_ids()), "the first backup")
        os.kill(int((site.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        wait_until(lambda: bool(run_ids(wired.journal)), "a run")
        wait_until(lambda: started(site), "the old server")
        wait_until(lambda: finished(wired), "the end of the run")
        state = newest(wired)
        if state.verdict is Verdict.ABORTED:
            assert read_control(site.data).timeline == 1
        wait_until(lambda: agent.commits_wait, "synchronous protection again")
        site.run("insert into t values (1)")
        assert site.run("select count(*) from t") == [(1,)]
