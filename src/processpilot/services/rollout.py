"""Going from one release to another and back, whatever the releases lie in.

The order is: refuse what would lose something, note the change, make it, remove the note. Where all
releases share one folder, the release is put in place and then made ready; where each has its own,
it is made ready first, so that what is in place stays untouched until then. When that fails, the
former release is put back, and built again where the folder is shared.

After a crash the note is still there. The same call again then finishes what was begun; the
opposite call goes the other way. Without a note, a repeated `roll_back()` would go one release
further back: whoever may be repeating names the release that is to be left.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from processpilot.errors import NotFoundError, ProcessPilotError, RefusedError, UnavailableError
from processpilot.services.release_change import Change, Direction, NoteFile, Unfinished
from processpilot.services.release_order import Release, Standing
from processpilot.services.release_steps import ReleaseSteps, require_no_survivor


class Shelf(Protocol):
    """Where the releases lie."""

    @property
    def title(self) -> str:
        """What messages call it."""
        ...

    @property
    def shares_folder(self) -> bool:
        """Whether a release in place overwrites the one before."""
        ...

    def note_path(self) -> Path:
        """Return where the note of an unfinished change lies."""
        ...

    def look(self) -> Standing:
        """Return what is in place and what else there is; RefusedError when that is unclear."""
        ...

    def require_clean(self) -> None:
        """Raise RefusedError when a change would take away what nobody else has."""
        ...

    def place(self, release: Release, *, afresh: bool = False) -> None:
        """Put a release in place, durably; nothing happens when it is there already.

        With `afresh`, files of it that were changed are put back as well.
        """
        ...

    def folder_of(self, release: Release) -> Path:
        """Return the folder in which a release is made ready."""
        ...

    def settle(self) -> None:
        """Remember what the steps changed, when they succeeded."""
        ...


class Rollout:
    """The releases on a shelf, with the steps that make one ready."""

    def __init__(self, shelf: Shelf, steps: ReleaseSteps) -> None:
        self._shelf = shelf
        self._steps = steps

    def current(self) -> str | None:
        """Return what is in place: a release, or in its words what no release names."""
        return self._shelf.look().in_place.name

    def previous(self) -> str | None:
        """Return the release before what is in place."""
        earlier = self._shelf.look().earlier
        return earlier[-1].name if earlier else None

    def newest(self) -> str | None:
        """Return the newest release there is."""
        newest = self._shelf.look().newest
        return None if newest is None else newest.name

    def unfinished(self) -> Change | None:
        """Return a change that was begun and not finished, or None."""
        pending = self._note().read()
        return None if pending is None else pending.change

    def roll_back(self, *, leaving: str | None = None) -> Change:
        """Put the previous release in place, ready; finish a rollback that was interrupted.

        With `leaving`, nothing is done unless that release is in place.
        """
        pending = self._note().read()
        if pending is not None:
            return self._resume(pending, Direction.BACK, pending.before)
        standing = self._shelf.look()
        here = standing.in_place
        if leaving is not None and here.name != leaving:
            return Change(here.name, here.name)
        if not standing.earlier:
            raise RefusedError(
                f"{self._shelf.title} has no release before {here.name}",
                hint="Repair the release in place, or deploy another one by hand.",
            )
        return self._begin(Unfinished(Direction.BACK, here, standing.earlier[-1]))

    def roll_forward(self) -> Change:
        """Put the newest release in place, ready; nothing is done when nothing newer is there."""
        pending = self._note().read()
        standing = self._shelf.look()
        here, newest = standing.in_place, standing.newest
        if newest is None:
            raise NotFoundError(
                f"{self._shelf.title} has no release",
                hint="Check `folder` and `tags` of the component's release in the plan.",
            )
        if pending is not None:
            return self._resume(pending, Direction.FORWARD, newest)
        if not standing.later:
            return Change(here.name, here.name)
        return self._begin(Unfinished(Direction.FORWARD, here, newest))

    def migrate(self) -> None:
        """Run the migrations of the release in place; RefusedError while a change is unfinished."""
        pending = self._note().read()
        if pending is not None:
            raise RefusedError(
                f"the change of {self._shelf.title} from {pending.before.name} to"
                f" {pending.after.name} is unfinished",
                hint="Roll back or forward once more to finish it.",
            )
        here = self._shelf.look().in_place
        self._steps.run_migrate(self._shelf.folder_of(here), here.name)

    def _begin(self, change: Unfinished) -> Change:
        self._shelf.require_clean()
        return self._carry_out(change)

    def _resume(self, pending: Unfinished, direction: Direction, otherwise: Release) -> Change:
        """Finish `pending`, or go to `otherwise` when it went the other way."""
        for release in (pending.before, pending.after):
            require_no_survivor(self._shelf.folder_of(release))
        if pending.direction is direction:
            return self._carry_out(pending)
        before = pending.after if otherwise == pending.before else pending.before
        return self._carry_out(Unfinished(direction, before, otherwise))

    def _carry_out(self, change: Unfinished) -> Change:
        self._steps.require_programs()
        note = self._note()
        note.write(change)
        folder = self._shelf.folder_of(change.after)
        has_begun = False
        try:
            if self._shelf.shares_folder:
                self._shelf.place(change.after)
            has_begun = True
            self._steps.run_all(folder, change.after.name)
            self._shelf.place(change.after)
        except ProcessPilotError as error:
            raise self._put_back(change, error, rebuild=has_begun) from error
        self._shelf.settle()
        note.remove()
        return change.change

    def _put_back(
        self, change: Unfinished, error: ProcessPilotError, *, rebuild: bool
    ) -> UnavailableError:
        """Put the former release back and return the error that tells both."""
        before, note = change.before, self._note()
        transient = isinstance(error, UnavailableError) and error.transient
        try:
            note.write(change.reversed())
            self._shelf.place(before, afresh=True)
            if rebuild and self._shelf.shares_folder:
                self._steps.prepare(self._shelf.folder_of(before), before.name)
        except ProcessPilotError as second:
            return UnavailableError(
                f"{error.message}; putting {before.name} back failed too: {second.message};"
                f" what is in place is {self._in_place_words()} and not ready",
                hint=f"{error.hint or 'Find out why.'} Then roll back or forward once more.",
                transient=transient,
            )
        self._shelf.settle()
        note.remove()
        return UnavailableError(
            f"{error.message}; {before.name} is in place", hint=error.hint, transient=transient
        )

    def _in_place_words(self) -> str:
        try:
            return self._shelf.look().in_place.name
        except ProcessPilotError:
            return "not known"

    def _note(self) -> NoteFile:
        return NoteFile(self._shelf.note_path())
