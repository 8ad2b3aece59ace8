"""Putting a component's previous release in place, or the newest one again, and restarting it.

Which release is left is written down beside the run's outputs before anything changes, so however
often the step is carried out, it goes back by one release.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from processpilot.errors import RefusedError
from processpilot.journal.event import JsonValue
from processpilot.plan.act import ReleaseAct, act_from_json
from processpilot.runbook.action import (
    CannotTell,
    NotHappened,
    ProbeAnswer,
    Result,
    StepContext,
    StepFailedError,
)
from processpilot.services.release import Releases, releases_of
from processpilot.steps.drive import restart
from processpilot.steps.ground import StepGround


@dataclass(frozen=True, slots=True)
class Intent:
    """Which release a rollback leaves, and which is to be there after it."""

    before: str | None
    wanted: str | None


class ChangeRelease:
    """Rolls a component back or forward, or lets its release migrate the data."""

    def __init__(self, ground: StepGround) -> None:
        self._ground = ground

    def probe(self, context: StepContext) -> ProbeAnswer:
        """Carrying it out again finishes what was begun, unless somebody else changed the release.

        Migrations know by themselves what they have done.
        """
        act = _act(context)
        intent = _read(self._place(context)) if act.do == "rollback" else None
        if intent is None:
            return NotHappened()
        releases = self._releases(act)
        expected = (intent.before, intent.wanted)
        is_ours = releases.unfinished() is not None or releases.current() in expected
        return NotHappened() if is_ours else CannotTell()

    def execute(self, context: StepContext) -> Result:
        """Return the release before and after; the component is restarted if the plan knows how."""
        act = _act(context)
        releases = self._releases(act)
        if act.do == "migrate":
            releases.migrate()
            return {"component": act.component, "release": releases.current()}
        before: str | None
        if act.do == "rollback":
            before, after = self._roll_back(context, releases)
        else:
            change = releases.roll_forward()
            before, after = change.before, change.after
        driver = self._ground.driver_of(self._ground.loaded.plan.component(act.component))
        if driver is not None:
            restart(driver)
        result: dict[str, JsonValue] = {"component": act.component, "before": before}
        return {**result, "after": after, "restarted": None if driver is None else driver.name}

    def _roll_back(self, context: StepContext, releases: Releases) -> tuple[str | None, str]:
        place = self._place(context)
        intent = _read(place)
        if intent is None:
            intent = _intent(releases)
            _write(place, intent)
        after = releases.roll_back(leaving=intent.before).after
        if after != intent.wanted:
            raise StepFailedError(
                f"release {after} is in place; the step began at {intent.before}"
                f" and wanted {intent.wanted}",
                result={"before": intent.before, "wanted": intent.wanted, "after": after},
                hint="Find out who changed it, put one of the two in place, then retry.",
            )
        return intent.before, after

    def _releases(self, act: ReleaseAct) -> Releases:
        component = self._ground.loaded.plan.component(act.component)
        if component.release is None:
            raise RefusedError(
                f"the plan does not say where the releases of {act.component} are",
                hint=f"Give the component {act.component} a release in the plan.",
            )
        return releases_of(component.release, self._ground.loaded.base, self._ground.clock)

    def _place(self, context: StepContext) -> Path:
        return self._ground.outputs(context.run.run_id) / f"{context.spec.id}.release"


def _act(context: StepContext) -> ReleaseAct:
    act = act_from_json(context.spec.settings)
    assert isinstance(act, ReleaseAct)
    return act


def _intent(releases: Releases) -> Intent:
    """Return what a rollback that begins now is about; one that was interrupted goes on."""
    pending = releases.unfinished()
    if pending is not None:
        return Intent(pending.before, pending.after)
    return Intent(releases.current(), releases.previous())


def _read(place: Path) -> Intent | None:
    try:
        data = json.loads(place.read_text())
    except FileNotFoundError:
        return None
    return Intent(data["before"], data["wanted"])


def _write(place: Path, intent: Intent) -> None:
    """Write down what is wanted; on return it is on disk."""
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = place.with_name(f".{place.name}.new")
    with temporary.open("w") as file:
        json.dump({"before": intent.before, "wanted": intent.wanted}, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(place)
    folder = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
