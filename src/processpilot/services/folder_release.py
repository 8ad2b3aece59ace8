"""Releases that are folders beside each other, one of which a symbolic link names.

Every folder directly below `folder` is a release, except links and names that begin with a point;
their order is that of their names, numbers counted as numbers. The link is replaced by renaming a
new one over it, so that whoever follows it finds the old release or the new one, never nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

from processpilot.errors import NotFoundError, RefusedError
from processpilot.services.release_change import sync_folder, writing
from processpilot.services.release_order import Release, Standing, natural_key

NOTE_NAME = ".processpilot-release.json"


class ReleaseFolders:
    """The releases below `folder`; a relative `link` starts there and may lie outside."""

    shares_folder = False

    def __init__(self, folder: Path, link: Path) -> None:
        self.title = str(folder)
        self._folder = folder
        self._link = Path(os.path.normpath(folder / link))

    def note_path(self) -> Path:
        """Return the note's place among the releases."""
        self._require_folder()
        return self._folder / NOTE_NAME

    def look(self) -> Standing:
        """Return the standing; a release that the link names and that is gone counts as in place.

        RefusedError unless the link is one and names something directly below the folder.
        """
        self._require_folder()
        here = self._linked()
        names = sorted(
            (
                entry.name
                for entry in self._folder.iterdir()
                if not entry.name.startswith(".") and entry.is_dir() and not entry.is_symlink()
            ),
            key=natural_key,
        )
        own = natural_key(here)
        return Standing(
            Release(here, here),
            tuple(Release(name, name) for name in names if natural_key(name) < own),
            tuple(Release(name, name) for name in names if natural_key(name) > own),
        )

    def require_clean(self) -> None:
        """Do nothing: no release's folder is touched by another."""

    def place(self, release: Release, *, afresh: bool = False) -> None:
        """Let the link name the release; relative as before, or absolute as before."""
        if self._linked() == release.place:
            return
        target = self.folder_of(release)
        if not target.is_dir():
            raise NotFoundError(
                f"release {release.name} is not there any more: no folder {target}",
                hint="Deploy it once more, or roll back to another one.",
            )
        new = self._link.with_name(f".{self._link.name}.processpilot")
        with writing(self._link):
            is_absolute = self._link.readlink().is_absolute()
            new.unlink(missing_ok=True)
            new.symlink_to(target if is_absolute else os.path.relpath(target, self._link.parent))
            new.replace(self._link)
            sync_folder(self._link.parent)

    def folder_of(self, release: Release) -> Path:
        """Return the release's own folder."""
        return self._folder / release.place

    def settle(self) -> None:
        """Do nothing: what the steps changed lies in the release's folder."""

    def _require_folder(self) -> None:
        if not self._folder.is_dir():
            raise NotFoundError(
                f"there is no folder of releases at {self._folder}",
                hint="Correct `folder` of the component's release in the plan.",
            )

    def _linked(self) -> str:
        """Return the name of the folder that the link leads to."""
        link = self._link
        if not os.path.lexists(link):
            raise RefusedError(
                f"there is no link {link} that names the release in place",
                hint=f"Make it once by hand: `ln -s RELEASE {link}`.",
            )
        if not link.is_symlink():
            raise RefusedError(
                f"{link} is not a symbolic link, so it cannot be set to another release",
                hint="Move what is there into a release's folder and put a link in its place.",
            )
        target = Path(os.path.normpath(link.parent / link.readlink()))
        if target.parent.resolve() != self._folder.resolve() or target.is_symlink():
            raise RefusedError(
                f"{link} leads to {target}, which is no release's folder in {self._folder}",
                hint="Let it name a folder directly there, or correct `folder` in the plan.",
            )
        return target.name
