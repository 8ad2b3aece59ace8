"""What makes a release ready: the plan's install, build and migrate programs.

They run in the release's folder and may run again after a crash, so they must bear repetition, as
`npm ci` and migrations do. A controller that is killed leaves its program running. Every program
carries a mark in its environment, by which one that outlived its controller is found.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from processpilot.clock import Clock, SystemClock
from processpilot.errors import LockedError, RefusedError, UnavailableError
from processpilot.services.argv import run_argv, said

MARK = "PROCESSPILOT_RELEASE_FOLDER"


@dataclass(frozen=True, slots=True)
class ReleaseSteps:
    """The programs; an empty one is left out. `timeout_s` bounds each."""

    install: Sequence[str]
    build: Sequence[str]
    migrate: Sequence[str]
    timeout_s: float
    clock: Clock = SystemClock()

    def require_programs(self) -> None:
        """Raise UnavailableError for a program that is not on PATH; paths are left to the steps."""
        for step, argv in (
            ("install", self.install),
            ("build", self.build),
            ("migrate", self.migrate),
        ):
            if argv and "/" not in argv[0] and shutil.which(argv[0]) is None:
                raise UnavailableError(
                    f"{argv[0]}, which is to {step} a release, is not on PATH; nothing was changed",
                    hint=f"Install {argv[0]}, or correct `{step}` in the plan.",
                )

    def run_all(self, folder: Path, release: str) -> None:
        """Install, build and migrate; UnavailableError names the one that failed."""
        self.prepare(folder, release)
        self._run("migrate", self.migrate, folder, release)

    def prepare(self, folder: Path, release: str) -> None:
        """Install and build only."""
        self._run("install", self.install, folder, release)
        self._run("build", self.build, folder, release)

    def run_migrate(self, folder: Path, release: str) -> None:
        """Migrate; RefusedError when the plan has no program for it."""
        if not self.migrate:
            raise RefusedError(
                f"the release in {folder} has no program that migrates",
                hint="Give the component's release a `migrate` command in the plan.",
            )
        self._run("migrate", self.migrate, folder, release)

    def _run(self, step: str, argv: Sequence[str], folder: Path, release: str) -> None:
        if not argv:
            return
        what = f"{step} of release {release}"
        by_hand = f"Run `{' '.join(argv)}` in {folder} by hand to see why."
        if not folder.is_dir():
            raise UnavailableError(
                f"{what} cannot run: there is no folder {folder}",
                hint="Check `folder` of the component's release in the plan.",
            )
        try:
            outcome = run_argv(
                argv,
                timeout_s=self.timeout_s,
                folder=folder,
                environment={MARK: str(folder)},
                missing_hint=f"Install {argv[0]}, or correct `{step}` in the plan.",
                clock=self.clock,
            )
        except UnavailableError as error:
            raise UnavailableError(
                f"{what} failed: {error.message}",
                hint=error.hint or by_hand,
                transient=error.transient,
            ) from error
        if outcome.exit_code != 0:
            raise UnavailableError(
                f"{what} ended with exit code {outcome.exit_code}{said(outcome.tail)}",
                hint=by_hand,
            )


def require_no_survivor(folder: Path) -> None:
    """Raise LockedError while a step of a killed controller still runs for `folder`."""
    mark = f"{MARK}={folder}".encode()
    pids = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (entry / "environ").read_bytes().split(b"\0") and _is_running(entry):
                pids.append(int(entry.name))
    if pids:
        raise LockedError(
            f"a step of an interrupted change still runs in {folder}: process"
            f" {', '.join(map(str, sorted(pids)))}",
            hint=f"Wait for its end or run `kill {min(pids)}`, then retry.",
        )


def _is_running(entry: Path) -> bool:
    return (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
