"""Writes a backup's files and nothing more: python -m bench.restore_files PLAN BACKUP TARGET."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

from processpilot.progress import silent
from processpilot.repository.blob import BackupId
from processpilot.restore.files import FileWriter
from processpilot.wiring.wired import open_plan


def main(plan: str, backup: str, target: str) -> None:
    """Write the files of one backup into a folder; synced on return."""
    with closing(open_plan(Path(plan))) as wired:
        repository = wired.repository
        ids = repository.backup_ids()
        chosen = ids[-1] if backup == "latest" else BackupId.parse(backup)
        FileWriter(repository, repository.manifest(chosen), Path(target), {}, silent).write()


if __name__ == "__main__":
    main(*sys.argv[1:])
