"""Where a restored cluster's scratch server keeps its own things: log to replay, settings, output.

Not beside the cluster: that folder belongs to the cluster's owner, who could put links there for
root to follow. The place is ours alone; the server's account may write into two folders inside it.
"""

from __future__ import annotations

import os
import stat
import threading
from hashlib import sha256
from pathlib import Path

from processpilot.errors import RefusedError, UnavailableError

_PLACE = "/var/tmp"  # noqa: S108 - survives a reboot; what lies there is checked
_VARIABLE = "PROCESSPILOT_STAGING_DIR"


def staging_of(folder: Path) -> Path:
    """Return where the scratch server on `folder` keeps its things, made or not."""
    mark = sha256(os.fsencode(folder)).hexdigest()[:12]
    return _base() / f"{folder.name}-{mark}"


def _base() -> Path:
    return Path(os.environ.get(_VARIABLE, _PLACE)) / f"processpilot-{os.geteuid()}"


def make_staging(folder: Path) -> Path:
    """Return the same place, made; RefusedError when somebody else made one in our name."""
    staging = staging_of(folder)
    for path in (_base(), staging):
        try:
            path.mkdir(mode=0o711, exist_ok=True)
            status = path.lstat()
        except FileExistsError as error:
            raise RefusedError(f"{path} is not a folder", hint="Remove it, then retry.") from error
        except OSError as error:
            raise UnavailableError(f"cannot make {path}: {error.strerror}") from error
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            raise RefusedError(
                f"{path} is not a folder of ours", hint="Find out whose it is; remove it, retry."
            )
        path.chmod(0o711)
    return staging


def write_into(
    folder: Path,
    name: str,
    data: bytes,
    owner: tuple[int, int] | None = None,
    *,
    durable: bool = False,
) -> None:
    """Put a file into a folder under its final name at once, readable by all or only by `owner`.

    Nothing planted in the folder is followed or overwritten in place.
    """
    temporary = folder / f".{name}.{os.getpid()}.{threading.get_ident()}"
    temporary.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    descriptor = os.open(temporary, flags, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        if owner is None:
            os.fchmod(descriptor, 0o644)
        elif os.geteuid() == 0:
            os.fchown(descriptor, *owner)
        file.write(data)
        if durable:
            file.flush()
            os.fsync(descriptor)
    temporary.rename(folder / name)


def hand_over(folder: Path, owner: tuple[int, int]) -> None:
    """Make a folder in the staging place, for the server's account to write into."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.geteuid() == 0:
            os.fchown(descriptor, *owner)
    finally:
        os.close(descriptor)
