"""What this machine lacks for running a backup's cluster: libraries, extensions."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from processpilot.errors import RefusedError
from processpilot.postgres.binaries import Installation
from processpilot.repository.manifest import Manifest

# Libraries that start jobs of their own; a copy must not run them, so they are left out there.
SCHEDULERS = frozenset({"pg_cron", "pg_timetable", "pgagent", "pg_partman_bgw", "pgl_ddl_deploy"})


def missing_here(manifest: Manifest, installation: Installation) -> Iterator[str]:
    """Yield what the machine lacks that recovery can do without, as sentences.

    RefusedError for a library without which the server would not start at all.
    """
    library_dir = _pg_config(installation, "--pkglibdir")
    share_dir = _pg_config(installation, "--sharedir")
    absent = [
        name
        for name in manifest.cluster.preload_libraries
        if name not in SCHEDULERS and library_dir is not None and not _library(library_dir, name)
    ]
    if absent:
        raise RefusedError(
            f"PostgreSQL {installation.major} in {installation.bin_dir} lacks the preload "
            f"libraries {', '.join(absent)}",
            hint="Install the packages that hold them, then restore again.",
        )
    for extension in manifest.cluster.extensions:
        name = extension.split(" ")[0]
        if share_dir and not (share_dir / "extension" / f"{name}.control").exists():
            yield f"extension {extension} is not installed here; its functions will fail"
    if installation.major != manifest.cluster.major:
        raise RefusedError(
            f"the backup is of PostgreSQL {manifest.cluster.major}, "
            f"{installation.bin_dir} holds {installation.major}"
        )


def _library(folder: Path, name: str) -> bool:
    plain = name.removeprefix("$libdir/").removesuffix(".so")
    return Path(name).is_absolute() or (folder / f"{plain}.so").exists()


@lru_cache(maxsize=64)
def _pg_config(installation: Installation, option: str) -> Path | None:
    """Return a folder that pg_config reports; relocated installations keep the layout beside it."""
    program = installation.bin_dir / "pg_config"
    if not program.exists():
        return None
    done = subprocess.run([str(program), option], capture_output=True, text=True, check=False)
    path = Path(done.stdout.strip())
    return path if done.returncode == 0 and path.is_dir() else None
