"""What a general step would do, and how much of that can be seen beforehand. Changes nothing.

Questions are asked and programs, services, releases and switches are looked for; nothing is
started, sent or turned.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from processpilot.checks.condition import shown
from processpilot.plan.act import (
    CheckAct,
    CommandAct,
    HttpAct,
    MaintenanceAct,
    MessageAct,
    ReleaseAct,
    ServiceAct,
    SqlAct,
    ToggleAct,
    VendorAct,
    WaitAct,
    act_from_json,
)
from processpilot.plan.condition import Condition
from processpilot.plan.secrets import read_secret
from processpilot.runbook.step import StepSpec
from processpilot.services.release import releases_of
from processpilot.services.switch import switch_of
from processpilot.steps.ground import StepGround


class Coverage(StrEnum):
    """How well a dry run knows a step: looked at, only described, or unknowable beforehand."""

    VERIFIED = "verified"
    SIMULATED = "simulated"
    UNKNOWN = "cannot be known"


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a step would do; `refusal` is what would stop it now."""

    coverage: Coverage
    text: str
    refusal: str | None = None


def foresee(ground: StepGround, spec: StepSpec) -> Foreseen:
    """Return what a general step would do; ProcessPilotError when it would be refused."""
    act = act_from_json(spec.settings)
    match act:
        case CommandAct():
            return _command(ground, act)
        case HttpAct() if act.method in ("GET", "HEAD"):
            return Foreseen(Coverage.SIMULATED, f"ask {act.url}, expect status {act.status}")
        case HttpAct():
            return Foreseen(Coverage.SIMULATED, f"send {act.method} to {act.url}")
        case SqlAct():
            return Foreseen(Coverage.SIMULATED, f"execute: {' '.join(act.query.split())[:200]}")
        case ServiceAct():
            driver = ground.required_driver(act.component)
            text = f"{act.do} {driver.name}, which is {driver.status().state}"
            return Foreseen(Coverage.VERIFIED, text)
        case CheckAct():
            return _check(ground, act.conditions)
        case WaitAct():
            what = f"{act.for_s:g} s" if act.until is None else f"until {shown(act.until)}"
            return Foreseen(Coverage.UNKNOWN, f"wait {what}, at most {act.limit_s:g} s")
        case MessageAct():
            return _message(ground, act.channels, act.text)
        case VendorAct():
            vendor = next(v for v in ground.loaded.plan.vendors if v.id == act.vendor)
            return Foreseen(Coverage.UNKNOWN, f"ask {vendor.title} ({act.severity}): {act.text}")
        case ReleaseAct():
            return _release(ground, act)
        case MaintenanceAct() | ToggleAct():
            return _switch(ground, act)
    instruction = str(spec.settings.get("instruction") or spec.title)
    return Foreseen(Coverage.UNKNOWN, f"people: {instruction}")


def _command(ground: StepGround, act: CommandAct) -> Foreseen:
    loaded = ground.loaded
    folder = loaded.base if act.folder is None else loaded.resolve(act.folder)
    text = f"run {shlex.join(act.argv)} in {folder}, at most {act.timeout_s:g} s"
    if not folder.is_dir():
        return Foreseen(Coverage.VERIFIED, text, f"there is no folder {folder}")
    for value in act.env.values():
        if value.startswith(("file:", "env:")):
            read_secret(value, loaded.base)
    if _found(act.argv[0], folder) is None:
        return Foreseen(Coverage.VERIFIED, text, f"there is no program {act.argv[0]}")
    return Foreseen(Coverage.SIMULATED, text)


def _found(program: str, folder: Path) -> Path | None:
    if "/" in program:
        path = folder / program
        return path if os.access(path, os.X_OK) and path.is_file() else None
    found = shutil.which(program)
    return None if found is None else Path(found)


def _check(ground: StepGround, conditions: Sequence[Condition]) -> Foreseen:
    """Ask now; that it does not hold before the disaster is no refusal."""
    said = []
    for condition in conditions:
        why = ground.asker.ask(condition)
        said.append(f"{shown(condition)}: {'holds now' if why is None else f'not now: {why}'}")
    return Foreseen(Coverage.VERIFIED, "; ".join(said))


def _message(ground: StepGround, names: Sequence[str], text: str) -> Foreseen:
    plan = ground.loaded.plan
    chosen = [c for c in plan.channels if not names or c.id in names]
    for channel in chosen:
        read_secret(channel.url, ground.loaded.base)
    over = ", ".join(channel.id for channel in chosen)
    if not over:
        return Foreseen(Coverage.VERIFIED, "write it into the journal: the plan has no channel")
    first = text.splitlines()[0][:120]
    return Foreseen(Coverage.SIMULATED, f"send over {over}: {first}")


def _release(ground: StepGround, act: ReleaseAct) -> Foreseen:
    spec = ground.loaded.plan.component(act.component).release
    assert spec is not None, "the plan's references hold"
    releases = releases_of(spec, ground.loaded.base, ground.clock)
    current = releases.current()
    if act.do == "migrate":
        return Foreseen(Coverage.SIMULATED, f"let release {current} of {act.component} migrate")
    wanted = releases.previous() if act.do == "rollback" else releases.newest()
    text = f"put release {wanted} of {act.component} in place of {current}"
    refusal = f"there is no release before {current}" if wanted is None else None
    return Foreseen(Coverage.VERIFIED, text, refusal)


def _switch(ground: StepGround, act: MaintenanceAct | ToggleAct) -> Foreseen:
    plan = ground.loaded.plan
    if isinstance(act, ToggleAct):
        toggle = next(t for t in plan.toggles if t.id == act.toggle)
        spec, name, wanted = toggle.switch, toggle.title, act.state
    else:
        assert plan.maintenance is not None, "the plan's references hold"
        spec, name, wanted = plan.maintenance, "maintenance mode", act.mode
    now = switch_of(spec, ground.loaded.base, ground.address).is_on()
    state = {True: "on", False: "off", None: "not to be asked"}[now]
    return Foreseen(Coverage.VERIFIED, f"turn {name} {wanted}; it is {state} now")
