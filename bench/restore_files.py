"""Writes a backup's files and nothing more: python -m bench.restore_files PLAN BACKUP TARGET."""

from __future__ import annotations

import sys
from collections import deque
from contextlib import closing
from pathlib import Path

from bench.reader import Start
from processpilot.crew import open_crew, worker_count
from processpilot.progress import silent
from processpilot.repository.blob import BackupId
from processpilot.repository.manifest import Manifest
from processpilot.repository.needs import Needs
from processpilot.repository.repository import Repository
from processpilot.restore.files import FileWriter
from processpilot.wiring.wired import open_plan

NOWHERE = "nowhere"


def main(plan: str, backup: str, target: str) -> None:
    """Write the files of one backup into a folder, or read them `nowhere`; synced on return."""
    with closing(open_plan(Path(plan))) as wired:
        repository = wired.repository
        ids = repository.backup_ids()
        chosen = ids[-1] if backup == "latest" else BackupId.parse(backup)
        manifest = repository.manifest(chosen)
        if target == NOWHERE:
            read_everything(repository, manifest)
        else:
            FileWriter(repository, manifest, Path(target), {}, silent).write()


def read_everything(repository: Repository, manifest: Manifest) -> None:
    """Restore a backup to nowhere."""
    needs = Needs(repository)
    needs.add(manifest)
    rows = (needs.refs_of(pack).tobytes() for pack in needs.packs())
    with open_crew(Start(repository), worker_count(), processes=True) as crew:
        deque(crew.results(rows), maxlen=0)


if __name__ == "__main__":
    main(*sys.argv[1:])
