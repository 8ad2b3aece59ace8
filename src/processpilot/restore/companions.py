"""What a backup holds besides the cluster's files: the plan in force, configuration kept elsewhere.

A restore to a folder writes them beside it, for whoever sets the machine up.
"""

from __future__ import annotations

import os
from pathlib import Path

from processpilot.restore.plan import RestorePlan, companions_of


def write_companions(plan: RestorePlan) -> list[Path]:
    """Write them into `TARGET-companions`; return the files, none when there is nothing.

    The folder must be new, which planning has made sure of; no link is followed.
    """
    manifest = plan.manifest
    texts = {Path(path).name: text for path, text in manifest.config_files.items()}
    if manifest.plan is not None:
        texts["processpilot.yaml"] = manifest.plan
    if not texts:
        return []
    folder = companions_of(plan.folder)
    folder.mkdir(mode=0o700)
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        for name, text in sorted(texts.items()):
            with os.fdopen(os.open(name, flags, 0o600, dir_fd=place), "w") as file:
                file.write(text)
    finally:
        os.close(place)
    return [folder / name for name in sorted(texts)]
