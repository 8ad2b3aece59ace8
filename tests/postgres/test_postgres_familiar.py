"""Familiar names on a real cluster whose application nobody described, and what they refuse."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from protected_site import Site, processes_in
from site_acts import program

from processpilot.incident.begin import find_scenario, request_run
from processpilot.postgres.cluster import server_processes
from processpilot.runbook.runner import begin_run


def staged(site: Site) -> list[Path]:
    """Return the copies in the staging folder, oldest first."""
    found = (site.plan.parent / "staging").glob("*")
    return sorted(path for path in found if not path.name.endswith("-companions"))


def described(site: Site, *components: dict[str, object]) -> None:
    """Add components to the plan."""
    document = yaml.safe_load(site.plan.read_text())
    document["components"] += components
    site.plan.write_text(yaml.safe_dump(document))


def component(site: Site, name: str, **more: object) -> dict[str, object]:
    """Return a component whose service leaves a line for each thing that is done with it."""
    log = site.folder / f"{name}.log"
    objectives = {"priority": "low", "rto": "1h", "rpo": "1h"}
    service = {
        "kind": "command",
        "start": ["sh", "-c", f"echo start >> {log}"],
        "stop": ["sh", "-c", f"echo stop >> {log}"],
        "status": ["sh", "-c", f"tail -n 1 {log} | grep -q start"],
    }
    return {"id": name, "title": name.title(), **objectives, "service": service, **more}


def test_a_copy_in_staging_is_proven_and_production_goes_on(site: Site) -> None:
    """It holds the data of its moment, no server is left on it, and it can be asked again."""
    site.run("create table kept (v int)", "insert into kept values (1)")
    manifest = site.back_up()
    words = ("as", "restore.sh", "postgresql", str(manifest.backup_id), "--target=staging")
    done = program(site, *words, "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["verdict"] == "passed"
    (copy,) = staged(site)
    assert answer["folder"] == str(copy)
    assert copy.name.endswith(f"-of-{manifest.backup_id}")
    assert server_processes(copy) == []
    assert processes_in(copy) == []
    assert site.run("select v from kept") == [(1,)]
    asked = program(site, "as", "test:data-integrity", "--env=staging")
    assert asked.returncode == 0, asked.stderr
    assert "restored" in program(site, "backup", "list").stdout


def test_damage_in_the_copy_is_found(site: Site) -> None:
    """A page that was changed there afterwards fails, and so does the name."""
    site.run("create table hurt as select i, repeat('x', 500) from generate_series(1, 500) i")
    path = str(site.run("select pg_relation_filepath('hurt')")[0][0])
    site.back_up()
    assert program(site, "as", "restore.sh", "auto", "latest", "--target=staging").returncode == 0
    with (staged(site)[0] / path).open("r+b") as file:
        file.seek(8192 + 4000)
        file.write(b"damage")
    asked = program(site, "as", "test:data-integrity", "--env", "staging")
    assert asked.returncode == 1
    assert "FAIL  page checksums: expected 0 bad pages, found 1 bad" in asked.stdout
    assert "test:data-integrity: failed" in asked.stdout
    whole = program(site, "as", "test:data-integrity")
    assert whole.returncode == 0, whole.stdout


def test_only_whole_copies_on_which_nothing_runs_are_asked(site: Site) -> None:
    """One that was interrupted is passed over; somebody's server is left alone."""
    site.back_up()
    missing = program(site, "as", "test:data-integrity", "--env=staging")
    assert missing.returncode == 4
    assert "hint: Make one: processpilot as restore.sh" in missing.stderr
    assert program(site, "as", "restore.sh", "auto", "latest", "--target=staging").returncode == 0
    (copy,) = staged(site)
    later = copy.with_name(f"99990101T000000Z-of-{copy.name.partition('-of-')[2]}")
    later.mkdir()
    passed = program(site, "as", "test:data-integrity", "--env=staging")
    assert passed.returncode == 0, passed.stderr
    assert str(copy) in passed.stdout
    (copy / "postmaster.pid").write_text((site.data / "postmaster.pid").read_text())
    owned = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], cwd=copy, stdin=subprocess.PIPE
    )
    try:
        (copy / "postmaster.pid").write_text(f"{owned.pid}\n")
        refused = program(site, "as", "test:data-integrity", "--env=staging")
    finally:
        owned.kill()
        owned.communicate()
    assert refused.returncode == 3, refused.stderr
    assert f"a server (pid {owned.pid}) runs in {copy}" in refused.stderr


def test_what_the_plan_has_nothing_for_is_not_run(site: Site) -> None:
    """It ends with status 1 and says what to add; a plan's own questions are asked all the same."""
    for name in ("test:auth", "verify-recovery.sh"):
        done = program(site, "as", name)
        assert done.returncode == 1, name
        assert f"{name}: not run, " in done.stdout
        assert "hint: Add a check to validation:" in done.stderr
    smoke = program(site, "as", "test:smoke", "--json")
    assert smoke.returncode == 0, smoke.stdout
    answer = json.loads(smoke.stdout)
    named = {c["name"]: c["outcome"] for c in answer["sections"][0]["checks"]}
    assert named == {"Database: connect": "passed"}


def test_a_server_that_is_gone_fails_every_question(site: Site) -> None:
    """Each name says so with status 1; none takes silence for health."""
    site.stop()
    for name in ("db:health-check", "db:verify-integrity", "db:integrity-check", "test:smoke"):
        done = program(site, "as", name)
        assert done.returncode == 1, name
        assert "FAIL" in done.stdout
        assert f"{name}: failed" in done.stdout


def test_a_dump_is_refused_and_the_newest_backup_named(site: Site) -> None:
    """Also where there is none yet; nothing is written."""
    done = program(site, "as", "restore.sh", "postgresql", "/var/backups/x.dump")
    assert done.returncode == 3
    assert "there is no backup here yet" in done.stderr.lower()
    manifest = site.back_up()
    again = program(site, "as", "restore.sh", "postgresql", "x.dump", "--target=staging")
    assert again.returncode == 3
    assert str(manifest.backup_id) in again.stderr
    assert staged(site) == []


def test_services_are_restarted_in_order_and_judged_by_their_probes(site: Site) -> None:
    """Nothing is touched before a person agreed; what stays unwell keeps nobody else back."""
    described(site, component(site, "worker", depends_on=["app"]), component(site, "app"))
    asked = program(site, "as", "restart-production")
    assert asked.returncode == 3
    assert "Restart app, worker?" in asked.stderr
    assert not (site.folder / "app.log").exists()
    done = program(site, "as", "restart-production", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (site.folder / "app.log").read_text() == "stop\nstart\n"
    assert done.stdout.index("App: ") < done.stdout.index("Worker: ")
    assert site.run("select 1") == [(1,)]
    stuck = component(site, "stuck")
    stuck["service"] = {"kind": "command", "start": ["false"], "stop": ["false"]}
    described(site, stuck)
    failed = program(site, "as", "restart-production", "--yes")
    assert failed.returncode == 1, failed.stderr
    assert "FAIL  Stuck: expected well, found not restarted" in failed.stdout
    assert (site.folder / "worker.log").read_text() == "stop\nstart\n" * 2


def test_migrations_are_run_and_their_failure_is_told(site: Site) -> None:
    """Only those of the release in place; a plan without any says what to add."""
    nothing = program(site, "as", "db:migrate", "--yes")
    assert nothing.returncode == 4
    assert "hint: Add release:" in nothing.stderr
    releases = site.folder / "releases"
    (releases / "1").mkdir(parents=True)
    (releases / "current").symlink_to("1")
    release = {"kind": "folders", "folder": str(releases), "migrate": ["touch", "migrated"]}
    described(site, component(site, "app", release=release))
    assert program(site, "as", "db:migrate").returncode == 3
    assert not (releases / "1" / "migrated").exists()
    done = program(site, "as", "db:migrate", "--yes")
    assert done.returncode == 0, done.stderr
    assert "1 migrated its data" in done.stdout
    assert (releases / "1" / "migrated").exists()
    text = site.plan.read_text().replace("- touch", "- 'false'")
    site.plan.write_text(text)
    assert program(site, "as", "db:migrate", "--yes").returncode == 6


@pytest.mark.parametrize("name", ["restart-production", "db:migrate"])
def test_nothing_is_changed_beside_a_run(site: Site, name: str) -> None:
    """A recovery drives the same services; whoever is second is told which run it is."""
    release = {"kind": "folders", "folder": str(site.folder), "migrate": ["touch", "x"]}
    described(site, component(site, "app", release=release))
    with closing(site.wired()) as wired:
        scenario = find_scenario(wired.loaded.plan, "database-failure")
        begin_run(wired.journal, request_run(wired.loaded, scenario, "r-1", "test", None))
    done = program(site, "as", name, "--yes")
    assert done.returncode == 3, done.stderr
    assert "run r-1 is under way" in done.stderr
    assert not (site.folder / "app.log").exists()
