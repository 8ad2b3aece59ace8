"""Running a program as a step, at most as long as it may take, with its words kept.

The program is kept by a process of its own (`steps.keeper`), so the end of a killed controller is
not the program's: it goes on, and the step's probe reads from the keeper's record how it ended,
waiting for it where needed. Only where keeper and program are gone without a word, as after the
machine stopped, can nobody tell.

A program gets no environment but the variables named in KEPT_VARIABLES, those that begin with LC_,
and the step's own `env`; secrets of ours are in none of them.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from processpilot.clock import Clock
from processpilot.errors import UnavailableError
from processpilot.journal.event import JsonValue
from processpilot.plan.act import CommandAct, act_from_json
from processpilot.plan.secrets import read_secret
from processpilot.runbook.action import (
    CannotTell,
    GivenUpError,
    Happened,
    NotHappened,
    ProbeAnswer,
    Result,
    StepContext,
    StepFailedError,
)
from processpilot.steps.ground import StepGround
from processpilot.steps.keeper import TERM_GRACE_S
from processpilot.steps.output import tail_of
from processpilot.steps.redact import Redactor

KEPT_VARIABLES = ("PATH", "HOME", "LANG", "TZ", "USER", "TMPDIR")
_POLL_S = 0.1
_KEEPER = (sys.executable, "-P", "-m", "processpilot.steps.keeper")

# An end by a person's will, in the middle of its work, leaves open what the program did.
_CERTAIN = ("by itself", "timed out", "not started")


@dataclass(frozen=True, slots=True)
class Places:
    """Where an attempt's record and output lie."""

    record: Path

    @property
    def output(self) -> Path:
        """What the program said."""
        return self.record.with_suffix(".log")


class RunCommand:
    """Runs a program; it passes when the program ends with one of the exit codes expected."""

    def __init__(self, ground: StepGround, grace_s: float = TERM_GRACE_S) -> None:
        self._ground = ground
        self._grace_s = grace_s

    def probe(self, context: StepContext) -> ProbeAnswer:
        """Read how the earlier attempt's program ended; wait for it while it runs.

        The record is made and on disk before the program starts: without one it never did. Raises
        as `execute` does when the program ended badly.
        """
        act = _act(context)
        records = list(_records(self._ground.outputs(context.run.run_id), context))
        existing = [path for path in records if path.exists()]
        if not existing:
            return NotHappened()
        places = Places(existing[-1])
        with places.record.open("rb") as record:
            _await_lock(record.fileno(), self._ground.clock, context.given_up)
            lines = _lines(record.read())
        if not lines:
            return NotHappened()
        if lines[-1].get("ended") not in _CERTAIN:
            return CannotTell()
        return Happened(_concluded(act, lines[-1], places))

    def execute(self, context: StepContext) -> Result:
        """Return exit status, duration and the end of the output; StepFailedError with the same."""
        act = _act(context)
        folder = self._ground.outputs(context.run.run_id)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _new_record(folder, context) as (record, places):
            ended = self._keep(act, context, record, places)
        return _concluded(act, ended, places)

    def _keep(
        self, act: CommandAct, context: StepContext, record: int, places: Places
    ) -> Mapping[str, Any]:
        """Have the program kept; return how it ended."""
        keeper = subprocess.Popen(
            [*_KEEPER, str(record)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=_environment() | _where_we_are(),
            pass_fds=(record,),
            start_new_session=True,
        )
        assert keeper.stdin is not None
        with keeper.stdin as order, suppress(BrokenPipeError):
            order.write(json.dumps(self._order(act, places)).encode())
        clock = self._ground.clock
        asked = False
        while keeper.poll() is None:
            if not asked and context.given_up():
                keeper.terminate()
                asked = True
            clock.sleep(_POLL_S)
        lines = _lines(places.record.read_bytes())
        ended = lines[-1].get("ended") if lines else None
        if ended == "given up" or (ended is None and asked):
            raise GivenUpError(f"{act.argv[0]} was ended because nobody waits for it any more")
        if ended is None:
            raise UnavailableError(
                f"nobody saw the end of {act.argv[0]}: what kept it ended with {keeper.returncode}",
                hint=f"Look at {places.output}, then retry or skip the step.",
            )
        return lines[-1]

    def _order(self, act: CommandAct, places: Places) -> dict[str, object]:
        loaded = self._ground.loaded
        own, secrets = _own_environment(act, loaded.base)
        if self._ground.address.password is not None:
            secrets.append(self._ground.address.password)
        folder = loaded.base if act.folder is None else loaded.resolve(act.folder)
        return {
            "argv": list(act.argv),
            "folder": str(folder),
            "env": {**_environment(), **own},
            "secrets": secrets,
            "output": str(places.output),
            "timeout_s": act.timeout_s,
            "grace_s": self._grace_s,
        }


def _act(context: StepContext) -> CommandAct:
    act = act_from_json(context.spec.settings)
    assert isinstance(act, CommandAct)
    return act


def _environment() -> dict[str, str]:
    """Return what every program gets of our own environment."""
    return {k: v for k, v in os.environ.items() if k in KEPT_VARIABLES or k.startswith("LC_")}


def _where_we_are() -> dict[str, str]:
    """Return what the keeper needs to find this package where the controller found it."""
    path = os.environ.get("PYTHONPATH")
    return {} if path is None else {"PYTHONPATH": path}


def _own_environment(act: CommandAct, base: Path) -> tuple[dict[str, str], list[str]]:
    """Return the step's own variables, and those of their values that are secrets."""
    own: dict[str, str] = {}
    secrets: list[str] = []
    for name, value in act.env.items():
        if value.startswith(("file:", "env:")):
            own[name] = read_secret(value, base).text
            secrets.append(own[name])
        else:
            own[name] = value
    return own, secrets


def _records(folder: Path, context: StepContext) -> Iterator[Path]:
    """Yield where an attempt's record may lie: the undo of a step has names of its own, and where
    one was carried out before under the same name, a number follows."""
    step = context.run.step(context.spec.id)
    attempt = 1 if step is None else max(1, step.attempt)
    is_undo = step is not None and dict(step.spec.settings) != dict(context.spec.settings)
    name = re.sub(r"[^a-zA-Z0-9._-]", "_", context.spec.id)
    stem = f"{name}.{attempt}.undo" if is_undo else f"{name}.{attempt}"
    for number in count(1):
        path = folder / (f"{stem}.json" if number == 1 else f"{stem}.{number}.json")
        yield path
        if not path.exists():
            return


@contextmanager
def _new_record(folder: Path, context: StepContext) -> Iterator[tuple[int, Places]]:
    """Give a new, locked record that is on disk; the lock is the keeper's too."""
    *_, path = _records(folder, context)
    record = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
    try:
        fcntl.flock(record, fcntl.LOCK_EX)
        place = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(place)
        finally:
            os.close(place)
        yield record, Places(path)
    finally:
        os.close(record)


def _await_lock(record: int, clock: Clock, given_up: Callable[[], bool]) -> None:
    """Return once no keeper holds the record."""
    while True:
        try:
            fcntl.flock(record, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if given_up():
                raise GivenUpError("the program still runs; nobody waits for it any more") from None
            clock.sleep(_POLL_S)


def _lines(data: bytes) -> list[Mapping[str, Any]]:
    """Return a record's lines; one that was not written whole is none."""
    return [json.loads(line) for line in data.splitlines(keepends=True) if line.endswith(b"\n")]


def _concluded(act: CommandAct, ended: Mapping[str, Any], places: Places) -> Result:
    """Return a program's end as a step's result; StepFailedError when it is not as expected."""
    program = act.argv[0]
    if ended["ended"] == "not started":
        raise StepFailedError(
            f"{program} cannot be started: {ended['why']}",
            result={"output": str(places.output)},
            hint="Correct the command in the plan, or install the program.",
        )
    tail = tail_of(places.output)
    result: dict[str, JsonValue] = {
        "command": Redactor().text(shlex.join(act.argv)),
        **{k: ended[k] for k in ("exit_status", "duration_s", "bytes", "sha256", "cut")},
        "tail": tail,
        "output": str(places.output),
    }
    hint = f"Its output is in {places.output}; then retry, skip or abort."
    said = f": {_last_line(tail)}" if tail else ""
    if ended["ended"] == "timed out":
        message = f"{program} did not end within {act.timeout_s:g} s and was killed{said}"
        raise StepFailedError(message, result={**result, "timed_out": True}, hint=hint)
    if ended["exit_status"] not in act.exit_codes:
        expected = " or ".join(map(str, act.exit_codes))
        message = f"{program} ended with {ended['exit_status']}, expected {expected}{said}"
        raise StepFailedError(message, result=result, hint=hint)
    return result


def _last_line(tail: str) -> str:
    return tail.splitlines()[-1].strip()[:200]
