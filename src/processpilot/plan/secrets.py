"""Secrets by reference: file:PATH or env:NAME, read when needed and never shown."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from processpilot.errors import NotFoundError, RefusedError


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret's text; its repr hides it."""

    text: str = field(repr=False)


def read_secret(reference: str, base: Path) -> Secret:
    """Return what `reference` names; relative files are looked for in `base`.

    One line break at the end is dropped. RefusedError for a file that others can read.
    """
    kind, _, rest = reference.partition(":")
    if kind == "env":
        value = os.environ.get(rest)
        if value is None:
            raise NotFoundError(
                f"the environment variable {rest} is not set",
                hint=f"Set it, or change the reference {reference} in the plan.",
            )
        return Secret(value)
    path = base / rest
    try:
        path = base / Path(rest).expanduser()
        mode = path.stat().st_mode
        text = path.read_text()
    except (OSError, RuntimeError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text that can be read"
        raise NotFoundError(
            f"cannot read the secret {path}: {why}",
            hint="Put the secret there with mode 0600, or correct the reference in the plan.",
        ) from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise RefusedError(
            f"{path} can be read by others (mode {stat.S_IMODE(mode):04o})",
            hint=f"Run chmod 600 {path}",
        )
    return Secret(text.removesuffix("\n"))


def write_secret(path: Path, text: str) -> None:
    """Create a file of mode 0600 that holds `text`; one that is there is not overwritten."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise RefusedError(
            f"{path} exists", hint="Move it away if it is not needed any more."
        ) from error
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{text}\n")
        file.flush()
        os.fsync(file.fileno())
