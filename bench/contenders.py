"""Who is measured: this program, pgBackRest, pg_basebackup and cp, each as its users run it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from bench.cluster import Cluster, folder_bytes
from bench.measure import run_program
from processpilot.agent.setup import SetupRequest, set_up
from processpilot.postgres.history import TimelineHistory
from processpilot.postgres.lsn import Lsn
from processpilot.repository.chain import resolve_chain
from processpilot.repository.wal import WalArchive
from processpilot.wiring.wired import open_plan

OURS, PGBACKREST, BASEBACKUP, COPY = "processpilot", "pgBackRest", "pg_basebackup", "cp -r"
_PROGRAM = [sys.executable, "-m", "processpilot"]
_RENEWALS = 10


class Ours:
    """This program through its command line, with nothing tuned."""

    name = OURS

    def __init__(self, cluster: Cluster, home: str = "ours") -> None:
        self._cluster = cluster
        self._home = cluster.folder / home
        self.repository = self._home / "repository"
        self.plan = self._home / "processpilot.yaml"

    def renew(self, *, synchronous: bool = False) -> None:
        """Begin with an empty repository."""
        shutil.rmtree(self._home, ignore_errors=True)
        self._home.mkdir()
        set_up(
            SetupRequest(
                self.plan,
                self._cluster.dsn,
                str(self.repository),
                "bench",
                self._cluster.data,
                synchronous=synchronous,
                heartbeat=False,
                storage={},
            )
        )

    def back_up(self, *words: str) -> int:
        """Take a backup; durable on return. Returns peak memory."""
        return self._run("backup", "create", *words)

    @contextmanager
    def up(self) -> Iterator[None]:
        """Stream the log, watch, and back up when there is no backup yet."""
        argv = [*_PROGRAM, "up", "--plan", str(self.plan)]
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.terminate()
            process.wait()

    def wait_for_backup(self) -> None:
        """Return when there is a backup."""
        while not self.backup_ids():
            time.sleep(0.5)

    def wait_for_log(self, end: Lsn) -> None:
        """Return when the log up to `end` is stored."""
        with closing(open_plan(self.plan)) as wired:
            manifest = wired.repository.manifests()[-1]
            size = manifest.cluster.wal_segment_bytes
            archive = WalArchive(wired.repository, size)
            history = TimelineHistory(1, ())
            while resolve_chain(archive.inventory(), history, manifest.start_lsn).end < end:
                time.sleep(0.5)

    def backup_ids(self) -> list[str]:
        """Return the backups there are, oldest first."""
        with closing(open_plan(self.plan)) as wired:
            return [str(backup) for backup in wired.repository.backup_ids()]

    def restore(self, target: Path, backup: str = "latest") -> int:
        """Write a backup's files; synced on return. Returns peak memory."""
        return run_program(
            [sys.executable, "-m", "bench.restore_files", str(self.plan), backup, str(target)]
        )

    def verify(self, *words: str) -> int:
        """Verify the repository. Returns peak memory."""
        return self._run("backup", "verify", *words)

    def stored_bytes(self) -> int:
        """Return the repository's size."""
        return folder_bytes(self.repository)

    def newest_stored_bytes(self) -> int:
        """Return what the newest backup added."""
        with closing(open_plan(self.plan)) as wired:
            return wired.repository.manifests()[-1].stored_bytes

    def objects(self) -> tuple[int, int]:
        """Return how many packs there are and their bytes."""
        packs = [path for path in (self.repository / "packs").rglob("*") if path.is_file()]
        return len(packs), sum(path.stat().st_size for path in packs)

    def _run(self, *words: str) -> int:
        return run_program([*_PROGRAM, *words, "--plan", str(self.plan)])


class PgBackRest:
    """pgBackRest, encrypted, with our compression and our number of processes."""

    name = PGBACKREST

    def __init__(self, cluster: Cluster, program: tuple[str, ...], options: dict[str, str]) -> None:
        self._cluster = cluster
        self._program = program
        self._home = cluster.folder / "pgbackrest"
        self.repository = self._home / "repository"
        self._config = cluster.folder / "pgbackrest.conf"
        values = {
            "repo1-path": str(self.repository),
            "repo1-cipher-type": "aes-256-cbc",
            "repo1-cipher-pass": "only-for-this-measurement",
            "repo1-bundle": "y",
            "compress-type": "zst",
            "compress-level": "1",
            "process-max": str(max(2, os.cpu_count() or 2)),
            "start-fast": "y",
            "expire-auto": "n",
            "repo1-retention-full": "99",
            "lock-path": str(self._home / "lock"),
            "log-path": str(self._home / "log"),
            "spool-path": str(self._home / "spool"),
            "log-level-console": "error",
            "log-level-file": "off",
        } | options
        lines = [f"{key}={value}" for key, value in values.items()]
        lines += ["[bench]", f"pg1-path={cluster.data}", f"pg1-socket-path={cluster.host}"]
        self._config.write_text("\n".join(["[global]", *lines, "pg1-user=postgres"]) + "\n")

    @property
    def archive_command(self) -> str:
        """The server's archive_command."""
        return " ".join([*self._program, f"--config={self._config}", "--stanza=bench"]) + (
            " archive-push %p"
        )

    def renew(self) -> None:
        """Begin with an empty repository; the server may push log into it in between."""
        for attempt in range(_RENEWALS):
            shutil.rmtree(self._home, ignore_errors=True)
            for name in ("repository", "lock", "log", "spool"):
                (self._home / name).mkdir(parents=True, exist_ok=True)
            try:
                self._run("stanza-create")
            except RuntimeError:
                if attempt == _RENEWALS - 1:
                    raise
            else:
                return

    def back_up_full(self) -> int:
        """Take a full backup. Returns peak memory."""
        return self._run("--type=full", "backup")

    def back_up_incremental(self) -> int:
        """Take an incremental backup. Returns peak memory."""
        return self._run("--type=incr", "backup")

    def restore(self, target: Path) -> int:
        """Write the newest backup's files; synced on return. Returns peak memory."""
        target.mkdir(mode=0o700)
        return self._run(f"--pg1-path={target}", "restore")

    def stored_bytes(self) -> int:
        """Return the repository's size."""
        return folder_bytes(self.repository)

    def base_bytes(self) -> int:
        """Return the size of the backups, the archived log left out."""
        return folder_bytes(self.repository / "backup")

    def version(self) -> str:
        """Return the program's version."""
        done = subprocess.run([*self._program, "version"], capture_output=True, text=True)
        return done.stdout.strip()

    def _run(self, *words: str) -> int:
        return run_program([*self._program, f"--config={self._config}", "--stanza=bench", *words])


class Plain:
    """pg_basebackup and cp: no compression, no encryption, no repository."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def basebackup(self) -> int:
        """Take a plain base backup, which syncs by itself. Returns peak memory."""
        target = self._cluster.folder / "targets" / "basebackup"
        program = str(self._cluster.installation.bin_dir / "pg_basebackup")
        return run_program(
            [program, "-d", self._cluster.dsn, "-D", str(target), "-X", "stream", "-c", "fast"]
        )

    def copy(self) -> int:
        """Copy the data directory as if nobody wrote to it, without its log, and sync.

        Returns peak memory.
        """
        target = self._cluster.folder / "targets" / "copy"
        target.mkdir()
        names = [path for path in self._cluster.data.iterdir() if path.name != "pg_wal"]
        script = 'target=$1; shift; cp -r "$@" "$target" 2>/dev/null; sync'
        return run_program(["sh", "-c", script, "sh", str(target), *map(str, names)])
