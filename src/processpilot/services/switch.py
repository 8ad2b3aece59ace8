"""Switches: maintenance mode and feature toggles, turned on and off and asked how they stand.

Turning is idempotent: a switch that says it is already so is left alone. After turning it is asked
again, and a contradiction is an error. A switch that cannot be asked is turned each time, and its
word that it was done is all there is. One that does not answer raises UnavailableError; that is
never taken for off.

The four mechanisms are here and in `switch_remote`: a file, commands, SQL, HTTP.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from processpilot.errors import RefusedError, UnavailableError
from processpilot.plan.switch import Switch, SwitchCommands, SwitchFile, SwitchHttp, SwitchSql
from processpilot.postgres.connection import ServerAddress
from processpilot.services.argv import Outcome, run_argv, said
from processpilot.services.switch_remote import HttpMechanism, SqlMechanism

NOT_RUN_EXIT_CODE = 126
"""From here on a shell's exit code says that the program did not run or was killed."""


class SwitchDriver(Protocol):
    """One thing that is on or off."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    def is_on(self) -> bool | None:
        """Return whether it is on; None when there is no way to ask."""
        ...

    def turn_on(self) -> None:
        """Return when it is on."""
        ...

    def turn_off(self) -> None:
        """Return when it is off."""
        ...


class Mechanism(Protocol):
    """How one kind of switch is asked and set; setting may assume nothing of its state."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    def ask(self) -> bool | None:
        """Return whether it is on; None when there is no way to ask."""
        ...

    def put(self, on: bool) -> None:
        """Set it."""
        ...


def switch_of(spec: Switch, base: Path, address: ServerAddress) -> SwitchDriver:
    """Return the switch that the plan describes.

    Relative paths and commands start from `base`; `address` is where SQL goes.
    """
    match spec:
        case SwitchFile():
            path = (base / Path(spec.path).expanduser()).absolute()
            return VerifiedSwitch(FileMechanism(path, spec.text))
        case SwitchCommands():
            return VerifiedSwitch(CommandMechanism(spec, base))
        case SwitchSql():
            return VerifiedSwitch(SqlMechanism(spec, address))
        case SwitchHttp():
            return VerifiedSwitch(HttpMechanism(spec, base))


class VerifiedSwitch:
    """A mechanism that is asked before and after it is set."""

    def __init__(self, mechanism: Mechanism) -> None:
        self.name = mechanism.name
        self._mechanism = mechanism

    def is_on(self) -> bool | None:
        """Return whether it is on; None when there is no way to ask."""
        return self._mechanism.ask()

    def turn_on(self) -> None:
        """Return when it is on, by its own word where it can be asked."""
        self._turn(True)

    def turn_off(self) -> None:
        """Return when it is off, by its own word where it can be asked."""
        self._turn(False)

    def _turn(self, on: bool) -> None:
        if self._mechanism.ask() is on:
            return
        self._mechanism.put(on)
        now = self._mechanism.ask()
        if now is not None and now is not on:
            raise UnavailableError(
                f"switch {self.name} was turned {_word(on)} and says it is {_word(now)}",
                hint="Check what `status` of this switch asks, and whether it takes effect later.",
            )


def _word(on: bool) -> str:
    return "on" if on else "off"


class FileMechanism:
    """A file that is there while it is on; a file that is there already keeps its content."""

    def __init__(self, path: Path, text: str) -> None:
        self.name = str(path)
        self._path = path
        self._text = text

    def ask(self) -> bool:
        """Return whether the file is there; RefusedError when it is something else."""
        with self._reaching():
            try:
                mode = self._path.lstat().st_mode
            except FileNotFoundError:
                return False
        if not stat.S_ISREG(mode):
            raise RefusedError(
                f"{self._path} is no regular file, so it cannot serve as a switch",
                hint="Look what it is, or correct `path` of the switch in the plan.",
            )
        return True

    def put(self, on: bool) -> None:
        """Create the file whole, readable for servers under other accounts, or remove it."""
        with self._reaching():
            if not on:
                self._path.unlink(missing_ok=True)
                return
            temporary = self._path.with_name(f".{self._path.name}.processpilot")
            # The folder is often another account's: what is there already is not written into.
            temporary.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with os.fdopen(os.open(temporary, flags, 0o644), "w") as file:
                file.write(self._text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UnavailableError(
                f"the switch file {self._path} cannot be reached: {error.strerror or error}",
                hint=f"Check that {self._path.parent} is there and belongs to this account.",
            ) from error


class CommandMechanism:
    """Two programs, and one that ends with 0 while it is on and with 1 to 125 while it is off."""

    def __init__(self, spec: SwitchCommands, folder: Path) -> None:
        self.name = shlex.join(spec.on)
        self._spec = spec
        self._folder = folder

    def ask(self) -> bool | None:
        """Return what the status program says; UnavailableError when it did not really run."""
        if self._spec.status is None:
            return None
        outcome = self._run(self._spec.status)
        if not 0 <= outcome.exit_code < NOT_RUN_EXIT_CODE:
            raise self._failed(self._spec.status, outcome)
        return outcome.exit_code == 0

    def put(self, on: bool) -> None:
        """Run the program for it, which must end with 0."""
        argv = self._spec.on if on else self._spec.off
        outcome = self._run(argv)
        if outcome.exit_code != 0:
            raise self._failed(argv, outcome)

    def _run(self, argv: Sequence[str]) -> Outcome:
        return run_argv(
            argv,
            timeout_s=self._spec.timeout_s,
            folder=self._folder,
            missing_hint="Correct the switch's commands in the plan, or install the program.",
        )

    def _failed(self, argv: Sequence[str], outcome: Outcome) -> UnavailableError:
        return UnavailableError(
            f"{shlex.join(argv)} ended with exit code {outcome.exit_code}{said(outcome.tail)}",
            hint=f"Run `{shlex.join(argv)}` by hand to see why.",
        )
