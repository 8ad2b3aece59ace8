"""A change from one release to another, and the note that one is under way.

The note is written before anything is touched and removed when the release is ready, so whoever
comes after a crash sees what was being done. It holds names and places only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from processpilot.errors import RefusedError, UnavailableError
from processpilot.services.release_order import Release


@dataclass(frozen=True, slots=True)
class Change:
    """Which release was in place and which one is now; equal when there was nothing to do."""

    before: str
    after: str


class Direction(StrEnum):
    """Which way a change goes."""

    BACK = "back"
    FORWARD = "forward"


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A change that has begun: `before` is put back should `after` not get ready."""

    direction: Direction
    before: Release
    after: Release

    @property
    def change(self) -> Change:
        """The change in names."""
        return Change(self.before.name, self.after.name)

    def reversed(self) -> Unfinished:
        """Return the change that takes this one back."""
        other = Direction.FORWARD if self.direction is Direction.BACK else Direction.BACK
        return Unfinished(other, self.after, self.before)


class NoteFile:
    """The note at `path`: there is one only while a change is under way."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Unfinished | None:
        """Return the change under way, or None; RefusedError for a note that cannot be read."""
        try:
            data = json.loads(self.path.read_bytes())
            return Unfinished(
                Direction(data["direction"]), Release(**data["before"]), Release(**data["after"])
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise RefusedError(
                f"the note of an unfinished change of release, {self.path}, cannot be read",
                hint="Look which release is in place and whether it is built, then remove the"
                " note.",
            ) from error

    def write(self, unfinished: Unfinished) -> None:
        """Note the change; on return the note is on disk."""
        temporary = self.path.with_name(f"{self.path.name}.new")
        with writing(self.path):
            with temporary.open("w") as file:
                json.dump(asdict(unfinished), file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
            sync_folder(self.path.parent)

    def remove(self) -> None:
        """Say that the change is finished."""
        with writing(self.path):
            self.path.unlink(missing_ok=True)
            sync_folder(self.path.parent)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Translate what the operating system says against writing `path`."""
    try:
        yield
    except OSError as error:
        raise UnavailableError(
            f"cannot write {path}: {error.strerror or error}",
            hint="Make room there, or run this as the account that the folder belongs to.",
        ) from error


def sync_folder(folder: Path) -> None:
    """Return when the names in `folder` are on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
