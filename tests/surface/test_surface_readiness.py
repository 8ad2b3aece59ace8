"""What is said before the day: room, places, harm; and where a repository may lie."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from protected_site import SUPERUSER, Site, SiteMaker
from site_acts import program, streaming, wait_stored

from processpilot.agent.readiness import harm_in, lack_of_room


def check_names(site: Site) -> dict[str, str]:
    """Return what `check` found, by name."""
    done = program(site, "check", "--json")
    return {f["name"]: f["outcome"] for f in json.loads(done.stdout)["findings"]}


def test_a_repository_in_the_data_directory_is_refused(site: Site, tmp_path: Path) -> None:
    """It would be lost with the database, and would back itself up."""
    for number, repository in enumerate((site.data / "backups", site.data, site.data.parent)):
        plan = tmp_path / f"other-{number}" / "processpilot.yaml"
        plan.parent.mkdir()
        dsn = f"postgresql://{SUPERUSER}@/postgres?host={site.sockets}&port=5432"
        words = ["init", "--dsn", dsn, "--repo", str(repository), "--heartbeat"]
        done = program_with(plan, *words)
        assert done[0] == 3, done
        assert "inside" in done[1]
        assert not plan.exists()
    assert not (site.data / "backups").exists()


def program_with(plan: Path, *words: str) -> tuple[int, str]:
    """Run a command with a plan of its own; return status and standard error."""
    argv = [sys.executable, "-m", "processpilot", *words, "--plan", str(plan)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stderr


def test_check_says_what_would_be_missing_on_the_day(site: Site) -> None:
    """Room to restore beside, and a repository on the database's own disk."""
    site.back_up()
    names = check_names(site)
    assert names["room for a recovery"] == "passed"
    assert names["repository's place"] == "skipped"


def test_too_little_room_is_a_sentence_with_both_sizes(site: Site) -> None:
    """The need is that of the restore's own check."""
    manifest = site.back_up()
    assert lack_of_room(manifest, site.data) is None
    huge = manifest.model_copy(update={"source_bytes": 1 << 60})
    text = lack_of_room(huge, site.data)
    assert text is not None
    assert str(site.data) in text
    assert list(harm_in(manifest)) == []
    harmed = manifest.model_copy(update={"missing_files": ("base/5/1",)})
    assert "1 missing files" in next(iter(harm_in(harmed)))


def test_a_recovery_s_json_is_one_document(make_site: SiteMaker) -> None:
    """Standard output holds the report alone; events go to standard error."""
    site = make_site()
    site.run("create table t (id int)")
    with streaming(site) as agent:
        site.back_up()
        wait_stored(site, agent)
    site.destroy()
    done = program(site, "recover", "--yes", "--json")
    assert json.loads(done.stdout)["verdict"] == "passed", done.stderr
    assert "restore: passed" in done.stderr
    with closing(site.wired()) as wired:
        assert os.listdir(wired.state_dir / "runs")
