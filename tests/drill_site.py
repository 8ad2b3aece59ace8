"""A protected site that is drilled: its plan changed, drills walked, traces looked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from protected_site import Site

from processpilot.drill.history import read_rehearsal
from processpilot.drill.place import left_places, place_of
from processpilot.drill.state import Rehearsal


def namespaces_are_open() -> bool:
    """Whether this machine lets us make the namespaces that a drill needs."""
    words = ["unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "true"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def is_hidden_inside() -> bool:
    """Whether our own interpreter lies below a folder that a drill keeps empty (docs/drills.md)."""
    return any(Path(sys.executable).is_relative_to(p) for p in ("/tmp", "/var/tmp", "/run"))


def drills_can_run() -> bool:
    """Whether a drill can isolate here and finds our interpreter inside."""
    return namespaces_are_open() and not is_hidden_inside()


needs_namespaces = pytest.mark.skipif(
    not drills_can_run(),
    reason="this machine closes namespaces, or the interpreter lies below /tmp",
)


def change_plan(site: Site, **parts: Any) -> None:
    """Replace parts of the plan."""
    document = yaml.safe_load(site.plan.read_text())
    document.update(parts)
    site.plan.write_text(yaml.safe_dump(document))


def a_drill(steps: Sequence[dict[str, Any]] = (), **parts: Any) -> dict[str, Any]:
    """Return a drill of the plan, as it is written there."""
    drill = {"id": "whole", "title": "Whole system", "kind": "complete", "every": "30d"}
    return drill | {"steps": list(steps)} | parts


def escrow(site: Site) -> Path:
    """Return the file of the escrow key that `init` made."""
    return site.plan.parent / "processpilot-escrow.key"


def drill_words(site: Site, *words: str) -> list[str]:
    """Return the command line of `processpilot drill`."""
    return [sys.executable, "-m", "processpilot", "drill", *words, "--plan", str(site.plan)]


def drill_command(
    site: Site, *words: str, before: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Run `processpilot drill`, with words before it; it gives up after two minutes."""
    argv = [*before, *drill_words(site, *words)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=240)


def walked(site: Site, *words: str, before: Sequence[str] = ()) -> Rehearsal:
    """Run a drill to its verdict and return it as the journal tells it."""
    done = drill_command(site, "run", *words, "--json", before=before)
    assert done.returncode in (0, 1), done.stderr
    rehearsal_id = json.loads(done.stdout)["rehearsal_id"]
    with closing(site.wired()) as wired:
        return read_rehearsal(wired.journal, rehearsal_id)


def outcome_of(rehearsal: Rehearsal, beginning: str) -> str:
    """Return the outcome of the one check whose name begins so."""
    (found,) = [check for check in rehearsal.checks if check.name.startswith(beginning)]
    return str(found.outcome)


def traces(rehearsal_id: str) -> list[str]:
    """Return what a drill left on this machine: folders, mounts, processes."""
    root = str(place_of(rehearsal_id).root)
    left = [str(path) for path in place_of(rehearsal_id).root.parent.glob("*cluster*")]
    left += [str(place.root) for place in left_places()]
    left += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if root in line]
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                words = Path(entry.path, "cmdline").read_bytes()
                folder = str(Path(entry.path, "cwd").readlink())
            except OSError:
                continue
            if root.encode() in words or folder.startswith(root):
                left.append(f"process {entry.name}: {words!r}")
    return left
