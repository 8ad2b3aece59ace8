"""Whether a recovery could begin now: room beside the data directory, and a backup worth having."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from processpilot.evidence.page import format_bytes
from processpilot.repository.manifest import Manifest
from processpilot.restore.plan import bytes_needed


def lack_of_room(manifest: Manifest, data_dir: Path) -> str | None:
    """Return what a recovery lacks on the data directory's disk, or None when there is room."""
    parent = next((p for p in data_dir.parents if p.exists()), None)
    if parent is None:
        return None
    free, needed = shutil.disk_usage(parent).free, bytes_needed(manifest)
    if needed <= free:
        return None
    return (
        f"no room for a recovery: it needs {format_bytes(needed)} beside {data_dir}, "
        f"{format_bytes(free)} are free"
    )


def harm_in(manifest: Manifest) -> Iterator[str]:
    """Yield what was wrong with the cluster when a backup was taken."""
    for count, what in (
        (len(manifest.bad_pages), "pages with a wrong checksum"),
        (len(manifest.missing_files), "missing files of relations"),
    ):
        if count:
            yield f"the newest backup holds a harmed cluster: {count} {what}"
