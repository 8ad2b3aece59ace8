"""The contract between recovery and the releases of a component.

A release is an earlier or later state of a component's program that can be put in place: a tag of a
git work tree, or one of several folders. Which one the component's supervisor starts is decided by
what is in place; restarting the component is not done here.

A change that has returned is complete: the release is in place, installed, built and migrated. One
that raises leaves the former release in place, or says that it could not. One that was interrupted
is finished by the same call again; until then `unfinished()` tells of it, and what is in place may
not be ready. Migrations are never taken back: an application's releases must bear the next one's
schema.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from processpilot.clock import Clock, SystemClock
from processpilot.plan.component import FolderRelease, GitRelease
from processpilot.services.folder_release import ReleaseFolders
from processpilot.services.git_release import GitTree
from processpilot.services.release_change import Change
from processpilot.services.release_steps import ReleaseSteps
from processpilot.services.rollout import Rollout, Shelf

__all__ = ["Change", "Releases", "releases_of"]


class Releases(Protocol):
    """The releases of one component."""

    def current(self) -> str | None:
        """Return what is in place: a release, or in its words what no release names."""
        ...

    def previous(self) -> str | None:
        """Return the release before what is in place."""
        ...

    def newest(self) -> str | None:
        """Return the newest release there is."""
        ...

    def unfinished(self) -> Change | None:
        """Return a change that was begun and not finished, or None."""
        ...

    def roll_back(self, *, leaving: str | None = None) -> Change:
        """Put the previous release in place; RefusedError when there is none.

        With `leaving`, nothing is done unless that release is in place, so that a call which may
        be a repetition does not go one release further.
        """
        ...

    def roll_forward(self) -> Change:
        """Put the newest release in place."""
        ...

    def migrate(self) -> None:
        """Run the migrations of the release in place."""
        ...


def releases_of(
    spec: GitRelease | FolderRelease, base: Path, clock: Clock = SystemClock()
) -> Releases:
    """Return the releases that the plan describes; relative folders start from `base`."""
    folder = (base / Path(spec.folder).expanduser()).absolute()
    shelf: Shelf
    match spec:
        case GitRelease():
            shelf = GitTree(folder, spec.tags, timeout_s=spec.timeout_s, clock=clock)
        case FolderRelease():
            shelf = ReleaseFolders(folder, Path(spec.current).expanduser())
    steps = ReleaseSteps(spec.install, spec.build, spec.migrate, spec.timeout_s, clock)
    return Rollout(shelf, steps)
