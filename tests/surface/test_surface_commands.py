"""What people and programs see: messages, hints, exit statuses, JSON; from the outside only."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from protected_site import Site, SiteMaker

import processpilot.errors as errors
from processpilot.agent.agent import Agent, Duties
from processpilot.cli.exits import MEANINGS, exit_status
from processpilot.cli.follow import Lines
from processpilot.errors import ProcessPilotError
from processpilot.plan.builtin import Basics, starter_plan

ROOT = Path(__file__).parents[2]


def pilot(
    *words: str, cwd: Path | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the command line; standard input is not a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "processpilot", *words],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def told(done: subprocess.CompletedProcess[str], status: int) -> str:
    """Return the one message; it comes with a hint, the right status, and no traceback."""
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    messages = [line for line in done.stderr.splitlines() if line.startswith("processpilot: ")]
    assert len(messages) == 1, done.stderr
    assert "hint: " in done.stderr
    return messages[0]


def test_every_error_class_has_a_documented_status() -> None:
    """No error ends with a status that docs/commands.md does not explain."""
    classes = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, ProcessPilotError)
    ]
    made = [
        kind.__new__(kind)
        for kind in classes  # Their constructors differ; only the type decides the status.
    ]
    assert {exit_status(error) for error in made} <= set(MEANINGS)
    text = (ROOT / "docs" / "commands.md").read_text()
    for status, meaning in MEANINGS.items():
        assert f"| {status} | {meaning} |" in text


def test_generated_references_are_current() -> None:
    """docs/commands.md and the plan's schema are what the code says."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_command_in_the_readme_exists() -> None:
    """Each `processpilot ...` line of the README names a command that explains itself."""
    text = (ROOT / "README.md").read_text()
    lines = re.findall(r"^    processpilot ([a-z]+)(?: ([a-z|\s]+?))?(?:\s+[#-].*)?$", text, re.M)
    assert len(lines) > 5
    for command, rest in lines:
        for sub in (rest or "").split(" | ") if "|" in (rest or "") else [""]:
            words = [command, *([sub.strip()] if sub.strip() else []), "--help"]
            assert pilot(*words).returncode == 0, words


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    """init with an unreachable DSN says so and leaves nothing."""
    done = pilot(
        *("init", "--dsn", "postgresql://u:geheim@127.0.0.1:1/x", "--repo", str(tmp_path / "r")),
        "--heartbeat",
        cwd=tmp_path,
    )
    message = told(done, 6)
    assert "127.0.0.1:1" in message
    assert "geheim" not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_plan_with_a_typo_is_told_with_line_and_column(tmp_path: Path) -> None:
    """check names the line and the key that was probably meant."""
    text = starter_plan(Basics("x", "postgresql://u@h/x", "/r")).replace("rto: 4h", "rtoo: 4h", 1)
    (tmp_path / "processpilot.yaml").write_text(text)
    message = told(pilot("check", cwd=tmp_path), 2)
    assert re.search(r"processpilot\.yaml:\d+:\d+: components\[0\]", message)


def test_no_plan_at_all(tmp_path: Path) -> None:
    """Without a plan every command says where it looked."""
    for words in (["check"], ["status"], ["backup", "list"], ["up"], ["run", "list"]):
        assert "processpilot.yaml" in told(pilot(*words, cwd=tmp_path), 4)


def test_init_asks_nobody_when_nobody_is_there(tmp_path: Path) -> None:
    """Without a terminal the heartbeat must be decided by an option; nothing implies it."""
    done = pilot("init", "--dsn", "postgresql://u@127.0.0.1:1/x", "--repo", "r", cwd=tmp_path)
    assert "heartbeat" in told(done, 2)


def test_missing_privileges_are_told_beforehand(site: Site, tmp_path: Path) -> None:
    """A login that may not replicate is refused, with the statement that mends it."""
    site.run("create role weak login")
    dsn = f"postgresql://weak@/postgres?host={site.sockets}"
    done = pilot("init", "--dsn", dsn, "--repo", str(tmp_path / "r"), "--heartbeat", cwd=tmp_path)
    message = told(done, 3)
    assert "weak" in message
    assert not (tmp_path / "r").exists()
    assert not (tmp_path / "processpilot.yaml").exists()


def test_wal_level_minimal_is_refused(make_site: SiteMaker, tmp_path: Path) -> None:
    """A server that writes too little log is refused before anything is made."""
    site = make_site()
    site.run("alter system set wal_level = minimal", "alter system set max_wal_senders = 0")
    subprocess.run(site.pg_ctl("-m", "fast", "restart"), check=True, capture_output=True)
    dsn = f"postgresql://postgres@/postgres?host={site.sockets}"
    done = pilot("init", "--dsn", dsn, "--repo", str(tmp_path / "r"), "--heartbeat", cwd=tmp_path)
    assert "wal_level is minimal" in told(done, 3)
    assert not (tmp_path / "r").exists()


def test_a_wrong_key_opens_nothing(site: Site, tmp_path: Path) -> None:
    """Another age key is refused, and the recipients are named."""
    site.back_up()
    stranger = tmp_path / "key"
    from processpilot.repository.keys import new_identity

    stranger.write_text(new_identity().secret)
    message = told(pilot("key", "check", "--key", str(stranger), "--plan", str(site.plan)), 3)
    assert "operator" in message
    assert "escrow" in message


def test_init_twice_is_refused_and_nothing_is_touched(site: Site) -> None:
    """A second init in the same folder changes neither plan nor keys."""
    before = {path: path.read_bytes() for path in site.plan.parent.rglob("*.key")}
    text = site.plan.read_text()
    dsn = f"postgresql://postgres@/postgres?host={site.sockets}"
    done = pilot("init", "--dsn", dsn, "--repo", "other", "--heartbeat", cwd=site.plan.parent)
    told(done, 3)
    assert site.plan.read_text() == text
    assert {path: path.read_bytes() for path in site.plan.parent.rglob("*.key")} == before


def test_a_full_disk_is_one_message(site: Site, tmp_path: Path) -> None:
    """A backup into a full repository fails with both figures, and verify stays clean."""
    if os.geteuid() != 0:
        pytest.skip("a small file system needs root")
    room = tmp_path / "small"
    room.mkdir()
    repository = site.folder / "repository"
    script = f"""
set -e
mount -t tmpfs -o size=3m tmpfs {room}
cp -a {repository}/. {room}/
mount --bind {room} {repository}
{sys.executable} -m processpilot backup create --plan {site.plan}; status=$?
exit $status
"""
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script.replace("set -e\n", "")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "full" in told(done, 6)
    verified = pilot("backup", "verify", "--plan", str(site.plan))
    assert verified.returncode == 0, verified.stdout


def test_every_reading_command_speaks_json(site: Site) -> None:
    """`--json` prints exactly one document on standard output."""
    site.back_up()
    plan = ["--plan", str(site.plan), "--json"]
    for words in (
        ["check"],
        ["status"],
        ["backup", "list"],
        ["backup", "show", "latest"],
        ["backup", "verify"],
        ["backup", "expire", "--dry-run"],
        ["run", "list"],
        ["recover", "--dry-run"],
        ["restore", "latest", "--target", str(site.folder / "copy"), "--dry-run"],
    ):
        done = pilot(*words, *plan)
        assert json.loads(done.stdout), words
    failed = pilot("run", "show", "nobody", *plan)
    assert json.loads(failed.stdout)["error"]["code"] == "not-found"
    assert not (site.folder / "copy").exists()


def test_nothing_is_removed_without_a_yes(site: Site) -> None:
    """Where a person would be asked and nobody is there, nothing is done."""
    for words, status in ((["uninstall"], 3), (["recover"], 3), (["run", "abort"], 4)):
        done = pilot(*words, "--json", "--plan", str(site.plan))
        assert done.returncode == status, (words, done.stderr)
        code = "refused" if status == 3 else "not-found"
        assert json.loads(done.stdout)["error"]["code"] == code


def test_uninstall_leaves_the_server_as_it_was(site: Site) -> None:
    """Slot, schema and setting go; the repository and its backups stay."""
    with (
        closing(site.wired()) as wired,
        Agent(wired, Duties(watch=False, schedule=False), Lines(as_json=False)),
    ):
        site.back_up()
    assert site.run("select count(*) from pg_replication_slots")[0][0] == 1
    done = pilot("uninstall", "--yes", "--json", "--plan", str(site.plan))
    assert done.returncode == 0, done.stderr
    assert site.run("select count(*) from pg_replication_slots")[0][0] == 0
    assert site.run("select to_regnamespace('processpilot') is null")[0][0] is True
    assert pilot("backup", "verify", "--plan", str(site.plan)).returncode == 0


def test_a_bare_machine_needs_only_repository_and_key(site: Site, tmp_path: Path) -> None:
    """restore works with --repo and --key, without a plan, and with either key."""
    site.back_up()
    escrow = site.plan.parent / "processpilot-escrow.key"
    operator = site.plan.parent / ".processpilot" / "secrets" / "operator.key"
    for name, key in (("one", escrow), ("two", operator)):
        target = tmp_path / name
        done = pilot(
            *("restore", "latest", "--repo", str(site.folder / "repository"), "--key", str(key)),
            *("--target", str(target)),
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        assert (target / "global" / "pg_control").exists()
        plan = tmp_path / f"{name}-companions" / "processpilot.yaml"
        assert plan.read_text() == site.plan.read_text()
        assert not list(tmp_path.glob(".*.processpilot"))


def test_secrets_stay_where_they_belong(site: Site) -> None:
    """A password in the DSN ends in a file of mode 0600 and in no other file."""
    site.run("alter role postgres password 'Tr0ub4dor'")
    folder = site.folder / "second"
    folder.mkdir()
    dsn = f"postgresql://postgres:Tr0ub4dor@/postgres?host={site.sockets}"
    repo = str(site.folder / "second-repository")
    done = pilot("init", "--dsn", dsn, "--repo", repo, "--heartbeat", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "Tr0ub4dor" not in done.stdout + done.stderr
    assert pilot("backup", "create", cwd=folder).returncode == 0
    holders = [
        path
        for base in (folder, Path(repo))
        for path in base.rglob("*")
        if path.is_file() and b"Tr0ub4dor" in path.read_bytes()
    ]
    assert [path.name for path in holders] == ["database"]
    assert holders[0].stat().st_mode & 0o777 == 0o600
