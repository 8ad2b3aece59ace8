"""Thin executables of the familiar names: five shell scripts, and npm's names in a package.json.

The plan is written into them, so they mean the same plan from everywhere. Only files that carry our
mark are ever replaced or removed.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from processpilot.errors import NotFoundError, RefusedError
from processpilot.familiar.names import Name

PACKAGE = "package.json"
MARK = "Written by processpilot names install; processpilot names remove takes it away."
# npm keeps options before -- for itself, and hands them on in the environment.
_NPM_TAKES = {Name.DATA: ' ${npm_config_env:+--env="$npm_config_env"}'}


@dataclass(frozen=True, slots=True)
class Removal:
    """What was removed, and what was left because it is not ours."""

    removed: tuple[Path, ...]
    left: tuple[Path, ...]


def files_for(plan: Path) -> Mapping[str, str]:
    """Return the files by name that carry out the familiar names for the plan at `plan`."""
    scripts = {
        str(name): f'#!/bin/sh\n# {MARK}\n{_command(name, plan)} "$@"\n'
        for name in Name
        if name.is_script
    }
    package = {
        "//": MARK,
        "name": "processpilot-names",
        "private": True,
        "scripts": {
            str(name): _command(name, plan) + _NPM_TAKES.get(name, "")
            for name in Name
            if not name.is_script
        },
    }
    return {**scripts, PACKAGE: json.dumps(package, indent=2) + "\n"}


def install(folder: Path, plan: Path) -> tuple[Path, ...]:
    """Write the executables into `folder`, which is made if needed; return them.

    RefusedError, before anything is written, when a file that is not ours has one of the names.
    """
    files = files_for(plan.absolute())
    for name in files:
        if not _is_free(folder / name):
            raise RefusedError(
                f"{folder / name} is there and not ours",
                hint="Choose another folder, or move the file away; it is never overwritten.",
            )
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        _write(folder / name, text, mode=0o644 if name == PACKAGE else 0o755)
    return tuple(folder / name for name in files)


def remove(folder: Path) -> Removal:
    """Remove our executables from `folder`; NotFoundError when there is none."""
    present = [folder / name for name in (*_script_names(), PACKAGE)]
    present = [path for path in present if os.path.lexists(path)]
    ours = [path for path in present if _is_ours(path)]
    if not ours:
        raise NotFoundError(
            f"none of our names is in {folder}", hint="Name the folder they were installed in."
        )
    for path in ours:
        path.unlink()
    return Removal(tuple(ours), tuple(path for path in present if path not in ours))


def _script_names() -> list[str]:
    return [str(name) for name in Name if name.is_script]


def _command(name: Name, plan: Path) -> str:
    words = (sys.executable, "-m", "processpilot", "as", str(name), "--plan", str(plan))
    return f"exec {shlex.join(words)}"


def _is_free(path: Path) -> bool:
    return not os.path.lexists(path) or _is_ours(path)


def _is_ours(path: Path) -> bool:
    """Whether a regular file carries our mark where we put it; links are nobody's."""
    if path.is_symlink() or not path.is_file():
        return False
    try:
        text = path.read_text()
    except UnicodeDecodeError:
        return False
    if path.name != PACKAGE:
        return text.splitlines()[1:2] == [f"# {MARK}"]
    try:
        document = json.loads(text)
    except ValueError:
        return False
    return isinstance(document, dict) and document.get("//") == MARK


def _write(path: Path, text: str, *, mode: int) -> None:
    """Put the file in place whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(temporary, flags, 0o600), "w") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
    temporary.replace(path)
