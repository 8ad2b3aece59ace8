"""Page checksums of a cluster that is shut down: every page of every relation file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from threading import Lock

from processpilot.checks.result import CheckResult, Outcome, passed_if
from processpilot.parallel import run_all
from processpilot.postgres.lsn import Lsn
from processpilot.postgres.pages import find_bad_pages, first_block_of, has_checksums
from processpilot.progress import Progress

NAME = "page checksums"
_PAGE_BYTES = 8192
_WINDOW_BYTES = 8 * 1024 * 1024
_WORKERS = 2
_EVERY_LSN = Lsn(2**64 - 1)


def check_pages(data_dir: Path, *, enabled: bool, progress: Progress) -> CheckResult:
    """Return whether every page's checksum is right; skipped when the cluster keeps none."""
    if not enabled:
        return CheckResult(
            NAME,
            Outcome.SKIPPED,
            "0 bad pages",
            "not looked at",
            "the cluster keeps no data checksums; pg_checksums --enable would add them",
        )
    files = list(_relation_files(data_dir))
    total = sum(path.stat().st_size for path, _ in files)
    bad: list[str] = []
    done = 0
    lock = Lock()

    def look(file: tuple[Path, str]) -> None:
        nonlocal done
        for size, found in _bad_in(*file):
            with lock:
                bad.extend(found)
                done += size
                now = done
            progress("checksums", now, total)

    run_all(look, files, _WORKERS)
    pages = total // _PAGE_BYTES
    return passed_if(
        NAME, not bad, "0 bad pages", f"{len(bad)} bad of {pages} pages", ", ".join(bad[:5])
    )


def _relation_files(data_dir: Path) -> Iterator[tuple[Path, str]]:
    """Yield files that carry checksums, with their path inside the data directory."""
    for base in ("global", "base", "pg_tblspc"):
        for folder, _, names in os.walk(data_dir / base, followlinks=True):
            inside = os.path.relpath(folder, data_dir)
            for name in sorted(names):
                if has_checksums(f"{inside}/{name}"):
                    yield Path(folder) / name, f"{inside}/{name}"


def _bad_in(path: Path, shown: str) -> Iterator[tuple[int, list[str]]]:
    """Yield for each window of a file its size and its bad pages."""
    block = first_block_of(shown)
    with path.open("rb") as file:
        while window := file.read(_WINDOW_BYTES):
            whole = len(window) - len(window) % _PAGE_BYTES
            bad = find_bad_pages(window[:whole], block, skip_after=_EVERY_LSN)
            found = [f"{shown} block {block + index}" for index in bad]
            if whole != len(window):
                found.append(f"{shown} ends inside a page")
            yield len(window), found
            block += whole // _PAGE_BYTES
