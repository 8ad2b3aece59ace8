"""This machine: real files, programs, units, names and disks."""

from __future__ import annotations

import json
import os
import stat
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from feasibility_plans import findings, of_code, small

from processpilot.feasibility.check import check_plan
from processpilot.feasibility.world import (
    device_of,
    hosts_known,
    path_exists,
    read_text,
    this_machine,
    unit_exists,
)
from processpilot.plan.load import load_plan

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_files_and_folders(tmp_path: Path) -> None:
    """A broken link is there; what lies below a file is not."""
    (tmp_path / "file").write_text("text")
    (tmp_path / "link").symlink_to("nowhere")
    assert path_exists(tmp_path / "file")
    assert path_exists(tmp_path / "link")
    assert not path_exists(tmp_path / "other")
    assert not path_exists(tmp_path / "file" / "below")
    assert read_text(tmp_path / "file") == "text"
    assert read_text(tmp_path) is None


def test_a_path_that_is_not_made_yet_lies_on_the_disk_of_its_nearest_folder(
    tmp_path: Path,
) -> None:
    """So a plan can be checked before its folders exist."""
    assert device_of(tmp_path / "a" / "b") == tmp_path.stat().st_dev
    assert device_of(Path("/proc/self")) != device_of(tmp_path)


def test_addresses_and_localhost_need_no_resolver() -> None:
    """They are known at once."""
    assert hosts_known(["localhost", "127.0.0.1", "::1", "db.localhost"]) == {
        "localhost": True,
        "127.0.0.1": True,
        "::1": True,
        "db.localhost": True,
    }


def test_a_name_that_cannot_be_a_host_leads_nowhere() -> None:
    """The resolver says so by itself, without asking anybody."""
    assert hosts_known(["not a name", "localhost"]) == {"not a name": False, "localhost": True}


def test_a_unit_that_no_folder_holds() -> None:
    """It is missing where systemd has folders, and unknown elsewhere."""
    assert unit_exists("processpilot-nobody-has-this.service", False) in (False, None)


def test_units_are_found_with_and_without_their_ending() -> None:
    """Templates serve their instances."""
    folder = Path("/lib/systemd/system")
    names = sorted(p.name for p in folder.glob("*.service")) if folder.is_dir() else []
    if not names:
        pytest.skip("no systemd unit is installed here")
    assert unit_exists(names[0], False)
    assert unit_exists(names[0].removesuffix(".service"), False)
    template = next((n for n in names if n.endswith("@.service")), None)
    if template is not None:
        assert unit_exists(template.replace("@.", "@one."), False)


def test_a_plan_is_compared_with_what_is_really_here(tmp_path: Path) -> None:
    """Programs on PATH, beside the plan, scripts of package.json, folders."""
    backend = tmp_path / "backend"
    backend.mkdir()
    (backend / "package.json").write_text(json.dumps({"scripts": {"there": "true"}}))
    tool = tmp_path / "tool.sh"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(stat.S_IRWXU)
    plan = tmp_path / "processpilot.yaml"
    plan.write_text(
        small(
            "- {id: one, title: One, action: command, argv: [./tool.sh]}\n"
            f"- {{id: two, title: Two, action: command, argv: ['{sys.executable}', -V]}}\n"
            "- {id: three, title: Three, action: command, folder: backend, "
            "argv: [sh, -c, 'npm run there; npm run gone; no-such-program-here']}\n"
            f"- {{id: four, title: Four, action: command, argv: [ls, '{tmp_path}', /no/such]}}\n"
        ).replace("- {id: two", "- {id: two", 1)
    )
    found = check_plan(load_plan(plan), this_machine(NOW))
    lacking = [f.message for f in found if f.code in ("command-missing", "script-missing")]
    assert [m for m in lacking if not m.startswith("npm ")] == [
        "no-such-program-here does not exist here",
        f'{backend / "package.json"} has no script "gone"',
    ]
    assert [f.message for f in of_code(found, "file-missing")] == ["/no/such does not exist here"]
    assert os.environ["PATH"]


def test_nothing_is_run_or_written(tmp_path: Path) -> None:
    """The commands of a plan are read only: what they would make is not made."""
    mark = tmp_path / "ran"
    plan = tmp_path / "processpilot.yaml"
    plan.write_text(small(f"- {{id: a, title: A, action: command, argv: [touch, '{mark}']}}"))
    check_plan(load_plan(plan), this_machine(NOW))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["processpilot.yaml"]
    assert findings(plan.read_text())
